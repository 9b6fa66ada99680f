"""Decoding: several answers grow token by token in one batch, each with its own prompt, adapter, stop tokens and dice."""

import inspect
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import torch
from transformers import DynamicCache

from jobs.workers.adapters_in_memory import LoadedAdapter, RowAdapters
from jobs.workers.fronts import Front
from jobs.workers.growing_cache import put_together
from jobs.workers.with_peft import with_peft

READ_AT_ONCE = (
    512  # tokens of a prompt between two tokens of the answers beside it; a multiple of it whoever else is there
)
COLDEST = 1e-3  # temperatures below are 0: logits divided by them are no numbers any more


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the likeliest one; otherwise the seed decides, alone and in company alike."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(eq=False)
class Answer:
    """One answer being written."""

    prompt: list[int]
    stop_ids: frozenset[int]
    most_tokens: int
    adapter: LoadedAdapter | None = None
    sampling: Sampling = Sampling()
    front: Front | None = None
    """A learned prompt before the prompt; taken from the adapter where that has one."""
    ids: list[int] = field(default_factory=list)
    """The tokens written so far; a stop token is the last one when there was one."""
    stopped_by: str | None = None
    """None while it grows; then "end" (a stop token), "length" or "cancel"."""
    asked_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    last_at: float | None = None

    def __post_init__(self):
        self.front = self.front or (self.adapter and self.adapter.front)
        self.dice = torch.Generator().manual_seed(self.sampling.seed)

    def take(self, logits: torch.Tensor) -> int:
        """Choose the next token by its logits [vocabulary] and note whether it is the last."""
        token = choose(logits, self.sampling, self.dice)
        self.ids.append(token)
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        if token in self.stop_ids:
            self.stopped_by = "end"
        elif len(self.ids) >= self.most_tokens:
            self.stopped_by = "length"
        return token

    def cancel(self) -> None:
        self.stopped_by = self.stopped_by or "cancel"


def choose(logits: torch.Tensor, sampling: Sampling, dice: torch.Generator) -> int:
    """The next token. Drawn on the CPU in float64, so that a seed means the same on every device."""
    if sampling.temperature < COLDEST:
        return int(logits.argmax())
    chances = (logits.detach().double().cpu() / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ordered, order = chances.sort(descending=True, stable=True)
        ordered[ordered.cumsum(-1) - ordered >= sampling.top_p] = 0  # the first one always stays
        chances = torch.zeros_like(chances).scatter_(0, order, ordered)
    return int(torch.multinomial(chances, 1, generator=dice))


@dataclass(eq=False)
class Reading:
    """Prompts of one length, with one front, on their way into the batch."""

    rows: list[Answer]
    given: dict[str, torch.Tensor]  # ids or embeddings [rows, tokens, ...]
    mask: torch.Tensor  # [rows, tokens that the cache holds in the end]
    cache: DynamicCache
    read: int = 0  # of the tokens given

    @property
    def left(self) -> int:
        return next(iter(self.given.values())).shape[1] - self.read


class Batch:
    """The answers that grow together. New ones join and finished ones leave between two steps.

    A prompt is computed together with those of its own length and front only, so no prompt is ever padded, and a long one
    in pieces, so that the answers beside it go on. For the steps after that the caches lie side by side, padded on the left
    where one conversation is shorter; a mask hides the padding and each row counts its own positions.
    """

    def __init__(self, model, adapters: RowAdapters):
        """`adapters` is the model's only one: its hooks are on while this batch computes."""
        self.model = model
        self.answers: list[Answer] = []
        self._adapters = adapters
        self._reading: list[Reading] = []
        self._cache = None
        self._mask = torch.zeros(
            (0, 0), dtype=torch.long, device=model.device
        )  # [rows, cached tokens]: 0 where padding is
        self._takes = frozenset(inspect.signature(model.forward).parameters)

    @property
    def busy(self) -> bool:
        """Whether a further step has something to do."""
        return bool(self.answers or self._reading)

    @torch.inference_mode()
    def join(self, answers: Iterable[Answer]) -> None:
        """New answers. The next steps read their prompts."""
        for _, same in groupby(sorted(answers, key=_alike), key=_alike):
            rows = _by_adapter(same)
            front, ids = rows[0].front, torch.tensor([row.prompt for row in rows], device=self.model.device)
            # A cache without the config: every layer keeps all tokens, windows are the mask's business
            given, cache = front.before(self.model, ids) if front else ({"input_ids": ids}, DynamicCache())
            mask = torch.nn.functional.pad(torch.ones_like(ids), (front.tokens if front else 0, 0), value=1)
            self._reading.append(Reading(rows, given, mask, cache))

    @torch.inference_mode()
    def step(self) -> list[tuple[Answer, int]]:
        """One more token for every answer, and some more of the prompts. Returns (answer, token) pairs."""
        self.leave()
        written = self._write() if self.answers else []
        if self._reading:
            written += self._read()
        return written

    def _write(self) -> list[tuple[Answer, int]]:
        ids = torch.tensor([[answer.ids[-1]] for answer in self.answers], device=self.model.device)
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        logits = self._forward(self.answers, {"input_ids": ids}, self._mask, self._cache)
        return [(answer, answer.take(row)) for answer, row in zip(self.answers, logits, strict=True)]

    def _read(self) -> list[tuple[Answer, int]]:
        """The next piece of the prompts that wait; an answer whose prompt is read gets its first token and joins."""
        written: list[tuple[Answer, int]] = []
        groups = [(self.answers, self._cache, self._mask)] if self.answers else []
        room = READ_AT_ONCE
        while self._reading and room > 0:
            reading = self._reading[0]
            room -= min(reading.left, READ_AT_ONCE) * len(reading.rows)
            logits = self._read_piece(reading)
            if reading.left:
                continue
            self._reading.pop(0)
            pairs = zip(reading.rows, logits, strict=True)
            written += [(row, row.take(row_logits)) for row, row_logits in pairs if not row.stopped_by]
            groups.append((reading.rows, reading.cache, reading.mask))
        if written:
            self._regroup(groups)
        return written

    def _read_piece(self, reading: Reading) -> torch.Tensor:
        """Logits after it."""
        end = reading.read + min(reading.left, READ_AT_ONCE)
        given = {name: values[:, reading.read : end] for name, values in reading.given.items()}
        in_cache = reading.mask.shape[1] - reading.left + (end - reading.read)
        reading.read = end
        return self._forward(reading.rows, given, reading.mask[:, :in_cache], reading.cache)

    def leave(self) -> None:
        """Let answers that have stopped go, and give back what they held."""
        self._reading = [each for each in self._reading if not all(row.stopped_by for row in each.rows)]
        if any(answer.stopped_by for answer in self.answers):
            self._regroup([(self.answers, self._cache, self._mask)])

    def _forward(self, rows: list[Answer], given: dict, mask: torch.Tensor, cache) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last of the tokens `given` as ids or embeddings [rows, new tokens, ...]."""
        self._adapters.put_on([None if row.adapter and row.adapter.alone else row.adapter for row in rows])
        new = next(iter(given.values())).shape[1]
        told = {"attention_mask": mask, "past_key_values": cache, "use_cache": True, "logits_to_keep": 1, **given}
        told["position_ids"] = (mask.cumsum(-1) - 1)[:, -new:]
        return self.model(**{name: value for name, value in told.items() if name in self._takes}).logits[:, -1]

    def _regroup(self, groups: list) -> None:
        """One batch of all answers that still grow, those with the same adapter side by side."""
        kept = [
            (row, cache, mask, i) for rows, cache, mask in groups for i, row in enumerate(rows) if not row.stopped_by
        ]
        if not kept:
            self.answers, self._cache = [], None
            self._adapters.put_on([])  # with nobody answering, the model is the plain one
            return
        order = _by_adapter(row for row, *_ in kept)
        kept.sort(key=lambda part: order.index(part[0]))
        self.answers = order
        self._cache, self._mask = put_together([(cache, mask, i) for _, cache, mask, i in kept])


def _alike(answer: Answer) -> tuple[int, int]:
    """What answers have in common whose prompts can be read together."""
    return len(answer.prompt), id(answer.front) if answer.front else 0


def _by_adapter(answers: Iterable[Answer]) -> list[Answer]:
    """The base's rows first, then each adapter's rows together: one slice of the batch for each adapter."""
    return sorted(answers, key=lambda answer: answer.adapter.id if answer.adapter else "")


class OneByOne:
    """The same as a Batch, but every answer is computed alone: for models whose rows would not be what they are alone."""

    def __init__(self, model, adapters: RowAdapters):
        self.model, self._adapters = model, adapters
        self._batches: list[Batch] = []

    @property
    def answers(self) -> list[Answer]:
        return [answer for batch in self._batches for answer in batch.answers]

    @property
    def busy(self) -> bool:
        return any(batch.busy for batch in self._batches)

    def join(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            batch = Batch(self.model, self._adapters)
            batch.join([answer])
            self._batches.append(batch)

    def step(self) -> list[tuple[Answer, int]]:
        written = [pair for batch in self._batches for pair in batch.step()]
        self._batches = [batch for batch in self._batches if batch.busy]
        return written


def written_alone(model, adapters: RowAdapters, answer: Answer) -> Iterator[list[tuple[Answer, int]]]:
    """One answer on a model that PEFT has put the adapter on, step by step. Until it ends nothing else may use the model."""
    adapters.put_on([])
    with with_peft(model, answer.adapter.folder):
        batch = Batch(model, adapters)
        batch.join([answer])
        while batch.busy:
            yield batch.step()


def finish(model, adapters: RowAdapters, answers: list[Answer]) -> list[Answer]:
    """Write these answers to their ends in one batch of their own, and leave the model without hooks."""
    batch = Batch(model, adapters)
    try:
        batch.join(answers)
        while batch.busy:
            batch.step()
    finally:
        adapters.put_on([])
    return answers
