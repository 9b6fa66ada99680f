"""Attention within each document of a packed sequence: one causal call per document, or one for all that knows where each ends."""

import inspect
from contextlib import contextmanager

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

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
        self.at_once = False  # one call for all documents; the engine turns it on where it was tried

    @contextmanager
    def of(self, lengths: list[int] | None):
        """Holds over forward *and* backward: gradient checkpointing computes attention again in the backward pass."""
        self.lengths = lengths
        try:
            yield
        finally:
            self.lengths = None

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
            return all_at_once(query, key, value, self.lengths, window, scaling), None
        grouped = query.shape[1] != key.shape[1]
        outputs = []
        each = zip(*(states.split(self.lengths, dim=2) for states in (query, key, value)), strict=True)
        for one_query, one_key, one_value in each:
            length = one_query.shape[2]
            masked = window is not None and window < length
            outputs.append(
                scaled_dot_product_attention(
                    one_query, one_key, one_value,
                    attn_mask=banded(length, window, query.device) if masked else None,
                    dropout_p=dropout, is_causal=not masked, scale=scaling, enable_gqa=grouped,
                )
            )  # fmt: skip
        return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def can_be_at_once(query: torch.Tensor) -> bool:
    return varlen_attn is not None and query.is_cuda and query.dtype in (torch.bfloat16, torch.float16)


def all_at_once(query, key, value, lengths: list[int], window: int | None, scaling: float | None) -> torch.Tensor:
    """One kernel for all documents. query [1, heads, tokens, size], key and value with as many heads or fewer -> [1, tokens, heads, size]."""
    ends = torch.tensor([0, *lengths], dtype=torch.int32, device=query.device).cumsum(0, dtype=torch.int32)
    behind = -1 if window is None else window - 1  # a window counts the token itself; -1: all that came before
    given = {"scale": scaling, "window_size": (behind, 0)}
    if query.shape[1] != key.shape[1]:
        if "enable_gqa" in inspect.signature(varlen_attn).parameters:
            given["enable_gqa"] = True
        else:
            key, value = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (key, value))
    rows = [each[0].transpose(0, 1) for each in (query, key, value)]
    return varlen_attn(*rows, ends, ends, max(lengths), max(lengths), **given)[None]


def banded(length: int, window: int, device: torch.device) -> torch.Tensor:
    """True where a token may look: itself and the `window` - 1 tokens before it."""
    position = torch.arange(length, device=device)
    distance = position[:, None] - position[None, :]
    return (distance >= 0) & (distance < window)


DOCUMENTS = Documents()  # transformers keeps its attention functions by name for the whole process, so this is one too
AttentionInterface.register(NAME, DOCUMENTS.attend)
AttentionMaskInterface.register(NAME, DOCUMENTS.mask)
