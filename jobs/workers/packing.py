"""Packing: the rows of one optimiser step share sequences without seeing each other, so that no padding is computed."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Example:
    """One row as token ids, and for each token whether its prediction is learned from."""

    row: int  # number in the source file, from 1
    ids: np.ndarray  # int32 [tokens]
    trained: np.ndarray  # bool [tokens]
    cut: int = 0  # tokens beyond the sequence length, not trained on

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def documents(self) -> tuple["Example", ...]:
        """What it is computed as: itself. (A pair of answers is computed as two.)"""
        return (self,)

    @property
    def trained_tokens(self) -> int:
        """Tokens that are predicted and learned from; the first one of a row has nothing to be predicted from."""
        return int(self.trained[1:].sum())


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass computes: rows packed into one sequence, or padded side by side."""

    input_ids: torch.Tensor  # int64 [rows, slots]; packed: [1, slots]
    position_ids: torch.Tensor  # as input_ids; begins at 0 in each document
    lengths: list[int] | None  # documents of the packed sequence, or the segments that they share; None: padded
    attention_mask: torch.Tensor | None  # padded: 1 where there is a token; None: packed, or no padding
    supervised: torch.Tensor  # int64 [n]: flat positions whose next token is learned from
    targets: torch.Tensor  # int64 [n]: those next tokens
    documents: torch.Tensor  # int64 [n]: which example of the group each of them belongs to, from 0
    tokens: int  # real ones
    before: list[tuple[int, ...]] | None = (
        None  # which segments stand in front of each; None: each is a document of its own
    )

    @property
    def padding(self) -> int:
        """Slots computed for nothing."""
        return self.input_ids.numel() - self.tokens


def split_for_packing(examples: list[Example], most_rows: int, most_tokens: int) -> list[list[Example]]:
    """Groups of at most `most_rows` rows and `most_tokens` tokens, as few as first-fit decreasing finds.

    A row longer than `most_tokens` goes alone. The order is fixed by the lengths and the order given, so a resumed run
    meets the same groups.
    """
    groups: list[list[Example]] = []
    used: list[int] = []
    for example in sorted(examples, key=len, reverse=True):
        for index, group in enumerate(groups):
            if len(group) < most_rows and used[index] + len(example) <= most_tokens:
                group.append(example)
                used[index] += len(example)
                break
        else:
            groups.append([example])
            used.append(len(example))
    return groups


def split_for_padding(examples: list[Example], most_rows: int, most_tokens: int) -> list[list[Example]]:
    """Groups of rows of similar length, each at most `most_rows` by its longest row within `most_tokens` slots."""
    groups: list[list[Example]] = []
    for example in sorted(examples, key=len, reverse=True):
        group = groups[-1] if groups else None
        if group and len(group) < most_rows and (len(group) + 1) * len(group[0]) <= most_tokens:
            group.append(example)
        else:
            groups.append([example])
    return groups


def packed(examples: list[Example], device: torch.device) -> MicroBatch:
    """All rows in one sequence; positions begin again at 0 in each."""
    lengths = [len(example) for example in examples]
    ids = np.concatenate([example.ids for example in examples]).astype(np.int64)
    positions = np.concatenate([np.arange(length) for length in lengths])
    learned = np.concatenate([np.append(example.trained[1:], False) for example in examples])
    documents = np.repeat(np.arange(len(examples)), lengths)
    return to_device(ids[None], positions[None], lengths, None, learned, documents, device)


def padded(examples: list[Example], device: torch.device, pad_id: int = 0) -> MicroBatch:
    """One row each, filled up on the right to the longest."""
    slots = max(len(example) for example in examples)
    ids = np.full((len(examples), slots), pad_id, np.int64)
    mask = np.zeros((len(examples), slots), np.int64)
    learned = np.zeros((len(examples), slots), bool)
    for index, example in enumerate(examples):
        ids[index, : len(example)] = example.ids
        mask[index, : len(example)] = 1
        learned[index, : len(example) - 1] = example.trained[1:]
    positions = np.broadcast_to(np.arange(slots), ids.shape).copy()
    documents = np.repeat(np.arange(len(examples)), slots)
    return to_device(ids, positions, None, mask, learned.ravel(), documents, device)


def to_device(ids, positions, lengths, mask, learned, documents, device) -> MicroBatch:
    supervised = np.flatnonzero(learned)
    return MicroBatch(
        input_ids=torch.from_numpy(ids).to(device),
        position_ids=torch.from_numpy(positions).to(device),
        lengths=lengths,
        attention_mask=None if mask is None or mask.all() else torch.from_numpy(mask).to(device),
        supervised=torch.from_numpy(supervised).to(device),
        targets=torch.from_numpy(ids.ravel()[supervised + 1]).to(device),
        documents=torch.from_numpy(documents[supervised]).to(device),
        tokens=int(ids.size if mask is None else mask.sum()),
    )
