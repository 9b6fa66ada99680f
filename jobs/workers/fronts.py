"""Fronts: a learned prompt or prefix that stands before an answer's own prompt when it is written."""

from dataclasses import dataclass

import torch
from transformers import DynamicCache


@dataclass(frozen=True, eq=False)
class EmbeddedFront:
    """Embeddings of virtual tokens, [tokens, hidden size]."""

    embeddings: torch.Tensor

    @property
    def tokens(self) -> int:
        return len(self.embeddings)

    def before(self, model, ids: torch.Tensor) -> tuple[dict, DynamicCache]:
        """The model's inputs for rows `ids` [rows, tokens] with the front before each, and the cache they begin with."""
        words = model.get_input_embeddings()(ids)
        front = self.embeddings.to(words).expand(len(ids), -1, -1)
        return {"inputs_embeds": torch.cat([front, words], dim=1)}, DynamicCache()


@dataclass(frozen=True, eq=False)
class PrefixFront:
    """(keys, values) of each layer, each [1, heads, tokens, head size]."""

    layers: list[tuple[torch.Tensor, torch.Tensor]]

    @property
    def tokens(self) -> int:
        return self.layers[0][0].shape[-2]

    def before(self, model, ids: torch.Tensor) -> tuple[dict, DynamicCache]:
        """As above; the prefix stands in the cache already."""
        cache = DynamicCache()
        for number, layer in enumerate(self.layers):
            keys, values = (states.to(model.dtype).expand(len(ids), -1, -1, -1).contiguous() for states in layer)
            cache.update(keys, values, number)
        return {"input_ids": ids}, cache


Front = EmbeddedFront | PrefixFront


def keys_and_values(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Those of each layer of PEFT's prefix, detached."""
    return [(layer.keys.detach(), layer.values.detach()) for layer in cache.layers]
