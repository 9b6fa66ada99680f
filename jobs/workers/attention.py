"""Attention within each document of a packed sequence: one causal call per document, or one for all that knows where each ends.

Documents that begin alike may share that beginning (prefixes.py): it is a segment of its own, and each segment that goes on
from it looks at its keys and values first, then at its own.
"""

import inspect
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from jobs.workers.packing import MicroBatch

try:
    from torch.nn.attention.varlen import varlen_attn  # CUDA only
except ImportError:  # an older torch
    varlen_attn = None

NAME = "studio_documents"
KNOWN_OPTIONS = {
    "sliding_window",
    "position_ids",
    "use_cache",
    "cache_position",
    "is_causal",
    "output_attentions",
    "output_hidden_states",
    "learned_rows",  # for the last decoder layer: last_layer.py
}


class UnknownAttention(Exception):
    """The model asks for something of its attention that is not computed per document (softcap, sinks, position bias)."""


class Documents:
    """Which documents the sequence now computed is packed from; None: none is packed, attention is transformers' own."""

    def __init__(self):
        self.lengths: list[int] | None = None
        self.before: list[tuple[int, ...]] | None = None
        self.made: dict = {}  # for the batch that is computed, once for all layers
        self.at_once = False  # one call for all documents; the engine turns it on where it was tried

    @contextmanager
    def of(self, batch: MicroBatch):
        """Holds over forward *and* backward: gradient checkpointing computes attention again in the backward pass."""
        self.lengths, self.before = batch.lengths, batch.before
        try:
            yield
        finally:
            self.lengths = self.before = None
            self.made.clear()

    def mask(self, *args, **kwargs):
        return None if self.lengths else sdpa_mask(*args, **kwargs)

    def attend(
        self, module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None, **kwargs
    ):
        """query [1, heads, tokens, size]; key and value may have fewer heads. Returns [1, tokens, heads, size] as transformers expects."""
        if not self.lengths:
            return sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
            )
        if unknown := {name for name, option in kwargs.items() if option is not None} - KNOWN_OPTIONS:
            raise UnknownAttention(f"attention with {', '.join(sorted(unknown))}")
        window = kwargs.get("sliding_window")
        if self.at_once and not dropout and can_be_at_once(query):
            return self.all_at_once(query, key, value, window, scaling), None
        grouped = query.shape[1] != key.shape[1]
        queries, keys, values = (states.split(self.lengths, dim=2) for states in (query, key, value))
        outputs = []
        for number, one_query in enumerate(queries):
            one_key, one_value = (joined([states[each] for each in self.seen_by(number)]) for states in (keys, values))
            mask = self.band(one_query.shape[2], one_key.shape[2], window, query)
            outputs.append(
                scaled_dot_product_attention(
                    one_query, one_key, one_value,
                    attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scaling, enable_gqa=grouped,
                )
            )  # fmt: skip
        return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None

    def seen_by(self, number: int) -> tuple[int, ...]:
        """The segments whose keys this one's tokens look at, in the order of their positions; itself is the last."""
        return (number,) if self.before is None else (*self.before[number], number)

    def band(self, length: int, keys: int, window: int | None, states: torch.Tensor) -> torch.Tensor | None:
        """What is added to the scores of the last `length` of so many tokens, [length, keys]; None: causal attention says it all."""
        if length == keys and (window is None or window >= keys):
            return None
        return self.once(
            ("band", length, keys, window, states.dtype),
            lambda: banded(length, keys, window, states.device, states.dtype),
        )

    def all_at_once(self, query, key, value, window: int | None, scaling: float | None) -> torch.Tensor:
        """One kernel for all documents. query [1, heads, tokens, size], key and value with as many heads or fewer -> [1, tokens, heads, size]."""
        behind = -1 if window is None else window - 1  # a window counts the token itself; -1: all that came before
        given = {"scale": scaling, "window_size": (behind, 0)}
        if query.shape[1] != key.shape[1]:
            if "enable_gqa" in inspect.signature(varlen_attn).parameters:
                given["enable_gqa"] = True
            else:
                key, value = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (key, value))
        query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
        lengths = keys = self.lengths
        if (
            self.before is not None
        ):  # the last query sees the last key: a beginning's keys come before each that goes on
            places, keys = self.once(("places", query.device), lambda: self.places_seen(query.device))
            key, value = key.index_select(0, places), value.index_select(0, places)
        ends = [torch.tensor([0, *each], device=query.device).cumsum(0).int() for each in (lengths, keys)]
        return varlen_attn(query, key, value, *ends, max(lengths), max(keys), **given)[None]

    def places_seen(self, device: torch.device) -> tuple[torch.Tensor, list[int]]:
        """For one segment after another the slots of all keys that it looks at, and how many those are."""
        slots = torch.arange(sum(self.lengths), device=device).split(self.lengths)
        seen = [torch.cat([slots[each] for each in self.seen_by(number)]) for number in range(len(slots))]
        return torch.cat(seen), [len(each) for each in seen]

    def once(self, name: tuple, make: Callable):
        """What is the same for all layers, made for the first of them."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


def can_be_at_once(query: torch.Tensor) -> bool:
    return varlen_attn is not None and query.is_cuda and query.dtype in (torch.bfloat16, torch.float16)


def joined(states: list[torch.Tensor]) -> torch.Tensor:
    return states[0] if len(states) == 1 else torch.cat(states, dim=2)


def banded(length: int, keys: int, window: int | None, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """0 where the last `length` of `keys` tokens may look: themselves and the `window` - 1 tokens before them; -inf elsewhere."""
    position = torch.arange(keys, device=device)
    distance = position[keys - length :, None] - position[None, :]
    seen = (distance >= 0) & (distance < (keys if window is None else window))
    return torch.zeros(length, keys, device=device, dtype=dtype).masked_fill_(~seen, -torch.inf)


DOCUMENTS = Documents()  # transformers keeps its attention functions by name for the whole process, so this is one too
AttentionInterface.register(NAME, DOCUMENTS.attend)
AttentionMaskInterface.register(NAME, DOCUMENTS.mask)
