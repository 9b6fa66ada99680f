"""The key and value cache of a batch whose rows come and go: room to grow without copying, and rows of any length side by side."""

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens that fit before the next copy, at least


class GrowingLayer(DynamicLayer):
    """A DynamicLayer that writes new tokens into spare room instead of copying the whole cache for each of them."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor):
        super().__init__()
        self.lazy_initialization(keys, values)
        self._make_room(keys, values)

    def update(self, key_states, value_states, *args, **kwargs):
        used, new = self.keys.shape[-2], key_states.shape[-2]
        if used + new > self._key_room.shape[-2]:
            self._make_room(self.keys, self.values)
        self._key_room[:, :, used : used + new] = key_states
        self._value_room[:, :, used : used + new] = value_states
        self.keys, self.values = self._key_room[:, :, : used + new], self._value_room[:, :, : used + new]
        return self.keys, self.values

    def _make_room(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        room = keys.shape[-2] + max(ROOM, keys.shape[-2] // 2)
        self._key_room, self._value_room = _with_room(keys, room), _with_room(values, room)
        self.keys, self.values = self._key_room[:, :, : keys.shape[-2]], self._value_room[:, :, : keys.shape[-2]]


def _with_room(states: torch.Tensor, room: int) -> torch.Tensor:
    wide = states.new_zeros((*states.shape[:2], room, states.shape[-1]))
    wide[:, :, : states.shape[-2]] = states
    return wide


def put_together(rows: list[tuple[DynamicCache, torch.Tensor, int]]) -> tuple[DynamicCache, torch.Tensor]:
    """One cache and mask [rows, tokens] from single rows (cache, mask, row number) of others, padded on the left.

    Padding that no row needs any more is cut away.
    """
    lengths = [int(mask[i].sum()) for _, mask, i in rows]
    longest = max(lengths)
    mask = torch.tensor([[0] * (longest - length) + [1] * length for length in lengths], device=rows[0][1].device)
    together = DynamicCache()
    for number in range(len(rows[0][0].layers)):
        layers = [(cache.layers[number], i) for cache, _, i in rows]
        keys = _stacked([layer.keys[i] for layer, i in layers], lengths)
        values = _stacked([layer.values[i] for layer, i in layers], lengths)
        together.layers.append(GrowingLayer(keys, values))
    return together, mask


def _stacked(rows: list[torch.Tensor], lengths: list[int]) -> torch.Tensor:
    """[rows, heads, longest, width] from rows of [heads, tokens, width] whose last `length` tokens count."""
    heads, _, width = rows[0].shape
    stacked = rows[0].new_zeros((len(rows), heads, max(lengths), width))
    for row, states, length in zip(stacked, rows, lengths, strict=True):
        row[:, row.shape[1] - length :] = states[:, states.shape[1] - length :]
    return stacked
