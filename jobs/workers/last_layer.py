"""The last decoder layer only where something is learned: no later layer looks at its other positions."""

import torch
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from jobs.workers.same_code import same_code


class LastLayer:
    """Attention looks at every position and answers for every position; from its output projection on, chosen rows alone go on.

    The rows come as an argument of the model's forward, which hands what it does not know to its layers, so gradient
    checkpointing computes the same rows again. A forward without that argument is the model's own.
    """

    def __init__(self, layer: torch.nn.Module):
        self.layer, self.original = layer, layer.forward
        self.rows: torch.Tensor | None = None  # while this layer's attention is computed

    def install(self) -> None:
        self.hook = self.layer.self_attn.o_proj.register_forward_pre_hook(self.before_output)
        self.layer.forward = self.forward

    def remove(self) -> None:
        self.hook.remove()
        del self.layer.forward

    def before_output(self, module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        return None if self.rows is None else (chosen(given[0], self.rows),)

    def forward(self, hidden_states: torch.Tensor, *args, learned_rows: torch.Tensor | None = None, **kwargs):
        """[rows, slots, size] -> [1, n, size] of the flat positions `learned_rows` [n]; without them all, as the model does."""
        if learned_rows is None:
            return self.original(hidden_states, *args, **kwargs)
        layer, self.rows = self.layer, learned_rows
        try:
            attended, _ = layer.self_attn(layer.input_layernorm(hidden_states), *args, **kwargs)
        finally:
            self.rows = None
        hidden_states = chosen(hidden_states, learned_rows) + attended
        return hidden_states + layer.mlp(layer.post_attention_layernorm(hidden_states))


def chosen(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """[rows, slots, size] -> [1, n, size]"""
    return states.flatten(0, 1).index_select(0, rows)[None]


def last_layer_of(decoder: torch.nn.Module) -> LastLayer | None:
    """None where the layers are not coded as Llama's: attention and MLP in turn, each added to what came in."""
    layers = getattr(decoder, "layers", None)
    count = getattr(getattr(decoder, "config", None), "num_hidden_layers", 0)
    if not layers or not 0 < count <= len(layers):
        return None
    last = layers[count - 1]
    known = "forward" not in vars(last) and same_code(type(last).forward, LlamaDecoderLayer.forward)
    return LastLayer(last) if known and isinstance(getattr(last.self_attn, "o_proj", None), torch.nn.Module) else None
