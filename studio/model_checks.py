"""Facts of a base model, told by its weights' headers and checked against its config.json and tokenizer."""

from collections import Counter, defaultdict
from typing import Any

from studio.errors import BadInput, clip
from studio.linear_layers import (
    HEADS,
    NUMBERED,
    Shapes,
    in_memory_names,
    layer_number,
    linear_layers,
    other_modules,
    parameters_of,
)
from studio.model_config import (
    ARCHITECTURES,
    CONTEXT,
    HEAD_COUNT,
    HIDDEN,
    INNER,
    LAYERS,
    TIED_UNLESS_SAID,
    check_architecture,
    number,
)
from studio.model_facts import LinearLayer, ModelFacts
from studio.model_files import AGAIN, DTYPES, Weights
from studio.tokens import ChatTokenizer

TOKEN_EMBEDDINGS = ("embed_tokens", "wte", "embed_in")


def facts_of_weights(config: dict[str, Any], weights: Weights, tokenizer: ChatTokenizer) -> ModelFacts:
    """Raises BadInput, with both numbers, where config.json, weights and tokenizer are at odds."""
    architecture = check_architecture(config)
    kind = config["model_type"]
    all_shapes = {name: tensor.shape for name, tensor in weights.tensors.items()}
    shapes = in_memory_names(parameters_of(all_shapes), ARCHITECTURES[kind][1])
    layers = number(config, LAYERS)
    _check_layers(shapes, layers)
    linear = linear_layers(shapes, kind)
    vocabulary, hidden = _check_embedding(config, shapes)
    tied = _tied(config, shapes)
    heads = number(config, HEAD_COUNT)
    kv_heads = number(config, ("num_key_value_heads",), heads)
    inner = number(config, INNER, 4 * hidden)
    _check_linear(config, linear, heads, kv_heads, inner)
    _check_tokenizer(tokenizer, vocabulary)
    counted = {name: shape for name, shape in shapes.items() if not (tied and _module(name) in HEADS)}
    return ModelFacts(
        architecture=architecture, model_type=kind, parameters=sum(map(_count, counted.values())), layers=layers,
        hidden_size=number(config, HIDDEN), intermediate_size=inner, heads=heads, kv_heads=kv_heads, vocabulary=vocabulary,
        context_length=number(config, CONTEXT), dtype=_dtype(weights), tied_embeddings=tied, linear_layers=linear,
        other_modules=other_modules(counted, linear),
        bias_parameters=sum(_count(shape) for name, shape in counted.items() if name.endswith("bias")),
        has_chat_template=tokenizer.has_template, size_bytes=weights.size_bytes, fingerprint=weights.fingerprint(),
    )  # fmt: skip


def _check_layers(shapes: Shapes, layers: int) -> None:
    """The weights hold exactly the layers that config.json counts, all alike, so that none is filled with random numbers."""
    kinds: dict[int, Shapes] = defaultdict(dict)
    for name, shape in shapes.items():
        if (found := layer_number(name)) is not None:
            kinds[found][NUMBERED.split(name, maxsplit=1)[-1]] = shape
    if len(kinds) != layers or set(kinds) != set(range(len(kinds))):
        raise BadInput(
            f"config.json counts {layers:,} layers, and the weights hold {len(kinds):,}.",
            "Bring the config.json and the weights of one and the same model.",
        )
    everywhere = set().union(*kinds.values())
    for place, own in sorted(kinds.items()):
        if missing := sorted(everywhere - set(own)):
            raise BadInput(f"Layer {place} has no {clip(missing[0])}, which others have.", AGAIN)
        for name, shape in own.items():
            if shape != kinds[0][name]:
                raise BadInput(
                    f"{clip(name)} is {_by(shape)} in layer {place} and {_by(kinds[0][name])} in layer 0.", AGAIN
                )


def _check_embedding(config: dict[str, Any], shapes: Shapes) -> tuple[int, int]:
    """Rows and columns of the token embedding."""
    found = [
        shape
        for name, shape in shapes.items()
        if _module(name) in TOKEN_EMBEDDINGS and name.endswith(".weight") and len(shape) == 2
    ]
    if len(found) != 1:
        raise BadInput(f"The weights hold {len(found)} token embeddings, and one is needed.", AGAIN)
    rows, columns = found[0]
    wanted = (number(config, ("vocab_size",)), number(config, ("word_embed_proj_dim", *HIDDEN)))
    if (rows, columns) != wanted:
        raise BadInput(
            f"The token embedding is {_by(found[0])} in the weights, and config.json asks for {_by(wanted)} (vocabulary × width).",
            "Bring the config.json and the weights of one and the same model.",
        )
    return rows, columns


def _tied(config: dict[str, Any], shapes: Shapes) -> bool:
    """Whether the output head is the embedding itself."""
    has_head = any(_module(name) in HEADS for name in shapes)
    said = config.get("tie_word_embeddings")
    if said is False and not has_head:
        raise BadInput(
            "The weights hold no output head (lm_head), and config.json says that it is not the embedding.", AGAIN
        )
    if said is None:
        return not has_head or config["model_type"] in TIED_UNLESS_SAID
    return said


def _check_linear(config: dict[str, Any], linear: list[LinearLayer], heads: int, kv_heads: int, inner: int) -> None:
    """Every kind of linear layer that the architecture has is there, as wide as config.json says."""
    hidden = number(config, HIDDEN)
    head = number(config, ("head_dim",), max(1, hidden // heads))
    queries, keys = heads * head, kv_heads * head
    wanted = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (queries, hidden),
        "qkv_proj": (hidden, queries + 2 * keys), "query_key_value": (hidden, 3 * hidden), "c_attn": (hidden, 3 * hidden),
        "gate_proj": (hidden, inner), "up_proj": (hidden, inner), "gate_up_proj": (hidden, 2 * inner), "down_proj": (inner, hidden),
        "fc1": (hidden, inner), "fc2": (inner, hidden), "c_fc": (hidden, inner), "dense_h_to_4h": (hidden, inner), "dense_4h_to_h": (inner, hidden),
    }  # fmt: skip
    present = {layer.target for layer in linear}
    if missing := [target for target in ARCHITECTURES[config["model_type"]][2].split() if target not in present]:
        raise BadInput(f"The weights hold no {missing[0]} layers, which every {config['model_type']} model has.", AGAIN)
    for layer in linear:
        shape = (layer.inputs, layer.outputs)
        if layer.target in wanted and shape != wanted[layer.target]:
            raise BadInput(
                f"{layer.name} is {_by(shape)} in the weights, and config.json asks for {_by(wanted[layer.target])} (inputs × outputs).",
                "Bring the config.json and the weights of one and the same model.",
            )


def _check_tokenizer(tokenizer: ChatTokenizer, rows: int) -> None:
    highest = max(tokenizer.tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if highest >= rows:
        raise BadInput(
            f"The tokenizer has tokens up to number {highest:,}, and the model knows {rows:,}.",
            "Bring the tokenizer that belongs to this model.",
        )
    if 2 * tokenizer.vocabulary < rows:
        raise BadInput(
            f"The tokenizer has {tokenizer.vocabulary:,} tokens, and the model {rows:,}: its vocabulary is missing.",
            "Bring all tokenizer files that belong to this model.",
        )
    if not tokenizer.stop_ids:
        raise BadInput(
            "Neither the tokenizer nor generation_config.json names a token that ends an answer.",
            'Name it as "eos_token" in tokenizer_config.json.',
        )


def _dtype(weights: Weights) -> str:
    """The type that most of the weights have. Raises BadInput for types that are not trained on."""
    sizes: Counter[str] = Counter()
    floats = parameters_of({name: tensor.shape for name, tensor in weights.tensors.items()})
    for name in floats:
        tensor = weights.tensors[name]
        if tensor.dtype not in DTYPES:
            raise BadInput(
                f"The weight {clip(name)} is stored as {tensor.dtype}; the studio trains on {', '.join(DTYPES)}.",
                "Bring the model as it was before quantisation.",
            )
        sizes[tensor.dtype] += tensor.size
    return DTYPES[sizes.most_common(1)[0][0]]


def _module(name: str) -> str:
    return name.rpartition(".")[0].rpartition(".")[2]


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{side:,}" for side in shape)
