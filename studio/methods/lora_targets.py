"""Which layers LoRA stands beside, with what rank and scale, and what is trained whole: told by the model's facts alone."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from studio.linear_layers import EMBEDDINGS
from studio.methods.lora_settings import LoraSettings
from studio.methods.method import Shapes
from studio.methods.targeting import targeted_layers
from studio.model_facts import LinearLayer, ModelFacts, OtherModule

REPLACES_BASE = ("pissa", "olora")  # starts that take a part out of the base's own weights


@dataclass(frozen=True)
class Place:
    """One layer that gets an adapter."""

    layer: LinearLayer
    rank: int
    alpha: float


def pattern_key(keys: Iterable[str], name: str) -> str | None:
    """The first key of a pattern that means this module: its name, or the end of its name. PEFT's rule, without regular expressions."""
    return next((key for key in keys if name == key or name.endswith(f".{key}")), None)


def places(settings: LoraSettings, facts: ModelFacts) -> list[Place]:
    """Every layer that gets an adapter, in the order of the model."""
    ranks, alphas = settings.rank_pattern, settings.alpha_pattern
    return [
        Place(
            layer,
            ranks.get(pattern_key(ranks, layer.name) or "", settings.rank),
            alphas.get(pattern_key(alphas, layer.name) or "", settings.alpha),
        )
        for layer in targeted_layers(settings, facts)
    ]


def trained_whole(settings: LoraSettings, facts: ModelFacts) -> list[OtherModule]:
    """The modules that `modules_to_save` means, each once, in the order of the model."""
    return [each for each in facts.other_modules if pattern_key(settings.modules_to_save, each.name)]


def embedding_of(facts: ModelFacts) -> OtherModule | None:
    tokens = EMBEDDINGS - {"embed_positions", "wpe"}
    return next((each for each in facts.other_modules if each.name.rpartition(".")[2] in tokens), None)


def token_rows(settings: LoraSettings, facts: ModelFacts) -> Shapes:
    """Shapes of the rows of the trained tokens: in the embedding, and in the output layer where that is another one."""
    embedding = embedding_of(facts)
    if not settings.new_tokens or embedding is None:
        return {}
    tables = [embedding] if facts.tied_embeddings else [embedding, *(head for head in facts.other_modules if head.head)]
    rows = len(settings.new_tokens)
    return {f"{each.name}.token_adapter.trainable_tokens_delta": (rows, each.shapes["weight"][1]) for each in tables}


def saved(settings: LoraSettings, facts: ModelFacts) -> Shapes:
    """Names and shapes of everything in the saved file."""
    found: Shapes = {}
    times = (
        2 if settings.init in REPLACES_BASE else 1
    )  # converted on save: the start's matrices stand beside the learned
    for place in places(settings, facts):
        layer, rank = place.layer, place.rank * times
        found[f"{layer.name}.lora_A.weight"] = (rank, layer.inputs)
        found[f"{layer.name}.lora_B.weight"] = (layer.outputs, rank)
        if settings.dora:
            found[f"{layer.name}.lora_magnitude_vector"] = (layer.outputs,)
    found |= saved_biases(settings, facts)
    for module in trained_whole(settings, facts):
        found |= {f"{module.name}.{name}": tuple(shape) for name, shape in module.shapes.items()}
        if facts.tied_embeddings and module == embedding_of(facts):
            found["lm_head.weight"] = tuple(module.shapes["weight"])  # PEFT writes both names
    found |= token_rows(settings, facts)
    return {f"base_model.model.{name}": shape for name, shape in found.items()}


def saved_biases(settings: LoraSettings, facts: ModelFacts) -> Shapes:
    if settings.bias == "none":
        return {}
    adapted = {place.layer.name for place in places(settings, facts)}
    found: Shapes = {}
    for layer in facts.linear_layers:
        if layer.bias and layer.name in adapted:
            found[f"{layer.name}.base_layer.bias"] = (layer.bias,)
        elif layer.bias and settings.bias == "all":
            found[f"{layer.name}.bias"] = (layer.bias,)
    if settings.bias == "all":
        others = [each for each in facts.other_modules if "bias" in each.shapes]
        found |= {f"{each.name}.bias": tuple(each.shapes["bias"]) for each in others}
    return found


def trainable_parameters(settings: LoraSettings, facts: ModelFacts) -> int:
    adapters = places(settings, facts)
    learned = sum(place.rank * (place.layer.inputs + place.layer.outputs) for place in adapters)
    lengths = sum(place.layer.outputs for place in adapters) if settings.dora else 0
    biases = {
        "none": 0,
        "all": facts.bias_parameters,
        "lora_only": sum(place.layer.bias for place in adapters),
    }[settings.bias]
    whole = sum(count(shape) for module in trained_whole(settings, facts) for shape in module.shapes.values())
    return learned + lengths + biases + whole + sum(map(count, token_rows(settings, facts).values()))


def count(shape: Iterable[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def near(name: str, names: Iterable[str]) -> str:
    """ "Did you mean q_proj? ", or nothing."""
    return "".join(f"Did you mean {found}? " for found in difflib.get_close_matches(name, list(names), n=1))


def short_names(names: Iterable[str]) -> list[str]:
    """Names without the numbers of layers, each once: what a person would write."""
    return list(dict.fromkeys(re.split(r"\.\d+\.", name)[-1].rpartition(".")[2] or name for name in names))
