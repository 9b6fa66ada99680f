"""Which of a model's weights are linear layers that LoRA can be put beside (the set that PEFT calls "all-linear"), and what else it has."""

import re

from studio.model_facts import LinearLayer, OtherModule

Shapes = dict[str, tuple[int, ...]]

EMBEDDINGS = {"embed_tokens", "embed_positions", "embed_in", "wte", "wpe"}
HEADS = {"lm_head", "embed_out"}
TRANSPOSED = {"gpt2"}  # Conv1D keeps its weight as (inputs, outputs)
BUFFERS = re.compile(r"(\.attn\.(bias|masked_bias)|\.attention\.(bias|masked_bias)|rotary_emb\.inv_freq|position_ids)$")
NUMBERED = re.compile(r"\.(?:layers|h)\.(\d+)\.")
# Within a layer, in the order in which they compute
ORDER = [
    "q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn", "o_proj", "out_proj", "dense",
    "gate_proj", "up_proj", "gate_up_proj", "down_proj", "c_fc", "c_proj", "fc1", "fc2", "dense_h_to_4h", "dense_4h_to_h",
]  # fmt: skip


def parameters_of(shapes: Shapes) -> Shapes:
    """The tensors that are learned: masks and rotary tables, which old files hold too, are not."""
    return {name: shape for name, shape in shapes.items() if not BUFFERS.search(name)}


def in_memory_names(shapes: Shapes, prefix: str) -> Shapes:
    """Names as the loaded model has them: files saved from the bare model lack its prefix."""
    if any(name.startswith(f"{prefix}.") for name in shapes):
        return shapes
    return {name if name.split(".")[0] in HEADS else f"{prefix}.{name}": shape for name, shape in shapes.items()}


def layer_number(name: str) -> int | None:
    found = NUMBERED.search(name)
    return int(found[1]) if found else None


def linear_layers(shapes: Shapes, model_type: str) -> list[LinearLayer]:
    """All linear layers but the output head, in the order of the model. `shapes` has names as in memory."""
    found = []
    for name, shape in shapes.items():
        module, _, kind = name.rpartition(".")
        target = module.rpartition(".")[2]
        if kind != "weight" or len(shape) != 2 or target in EMBEDDINGS or target in HEADS or target.endswith("_norm"):
            continue  # (Cohere's norms of queries and keys have two dimensions)
        outputs, inputs = reversed(shape) if model_type in TRANSPOSED else shape
        bias = shapes.get(f"{module}.bias", (0,))[0]
        found.append(
            LinearLayer(name=module, target=target, layer=layer_number(name), inputs=inputs, outputs=outputs, bias=bias)
        )
    return sorted(found, key=_place)


def other_modules(shapes: Shapes, linear: list[LinearLayer]) -> list[OtherModule]:
    """What else has weights: embeddings, norms and the output layer. `shapes` has names as in memory, a tied output layer left out."""
    known = {layer.name for layer in linear}
    found: dict[str, dict[str, list[int]]] = {}
    for name, shape in shapes.items():
        module, _, kind = name.rpartition(".")
        if module not in known:
            found.setdefault(module, {})[kind] = list(shape)
    return [
        OtherModule(name=module, shapes=weights, head=module.rpartition(".")[2] in HEADS)
        for module, weights in found.items()
    ]


def _place(layer: LinearLayer) -> tuple:
    rank = ORDER.index(layer.target) if layer.target in ORDER else len(ORDER)
    attention_first = ".mlp." in layer.name  # GPT-2 has a c_proj in both
    return (-1 if layer.layer is None else layer.layer, attention_first, rank, layer.name)
