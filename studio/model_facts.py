"""Facts about a base model, as read from its config.json and safetensors headers: what is shown, checked and planned with."""

from pydantic import BaseModel, ConfigDict


class LinearLayer(BaseModel):
    """One linear layer that an adapter can be put beside."""

    model_config = ConfigDict(frozen=True)

    name: str  # "model.layers.0.self_attn.q_proj"
    target: str  # "q_proj", the name that selects it as a target module
    layer: int | None  # its number in the stack of layers; None outside of it
    inputs: int
    outputs: int
    bias: int = 0  # how many bias terms it has


class OtherModule(BaseModel):
    """A module with weights that is no linear layer: an embedding, a norm, or the output layer."""

    model_config = ConfigDict(frozen=True)

    name: str  # "model.embed_tokens"
    shapes: dict[str, list[int]]  # of its own weights: {"weight": [32000, 2048]}
    head: bool = False  # whether it is the output layer


class ModelFacts(BaseModel):
    """Everything the studio knows of a base model without loading it."""

    model_config = ConfigDict(frozen=True)

    architecture: str  # "LlamaForCausalLM"
    model_type: str  # "llama"
    parameters: int  # distinct ones, counted in the safetensors headers
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    vocabulary: int  # rows of the embedding
    context_length: int
    dtype: str  # "float32", as stored
    tied_embeddings: bool
    linear_layers: list[LinearLayer]
    other_modules: list[OtherModule] = []  # the output layer among them where it is not the embedding
    bias_parameters: int = 0
    has_chat_template: bool
    template: str | None = None  # name of an offered template that the person chose when the model has none ("plain")
    licence: str | None = None
    size_bytes: int
    fingerprint: str  # sha256 over the weights' names, shapes and contents

    @property
    def target_modules(self) -> list[str]:
        """Names that can be chosen as targets, in the order of the model."""
        return list(dict.fromkeys(layer.target for layer in self.linear_layers))
