"""What cannot be trained with LoRA on a model, and which of its choices exclude each other; each with the reason, at the setting."""

from studio.errors import Invalid, clip
from studio.linear_layers import TRANSPOSED
from studio.methods.lora_settings import LoraSettings
from studio.methods.lora_targets import (
    REPLACES_BASE,
    embedding_of,
    near,
    pattern_key,
    places,
    short_names,
    trained_whole,
)
from studio.methods.targeting import check_targets
from studio.model_facts import ModelFacts


def check(settings: LoraSettings, facts: ModelFacts) -> None:
    """Raises Invalid when the settings cannot be used on a model with these facts."""
    check_targets(settings, facts)
    _check_ranks(settings, facts)
    _check_together(settings)
    _check_start(settings, facts)
    _check_whole_modules(settings, facts)
    if settings.new_tokens:
        _check_tokens(settings, facts)


def cannot(settings: LoraSettings) -> dict[str, str]:
    """What else does not go with these settings: see Method.cannot."""
    found = {}
    if settings.init in REPLACES_BASE:
        found["nf4"] = found["int8"] = (
            f"The start {settings.init} takes a part out of the base's weights, which cannot be done exactly once they are quantised."
        )
    if settings.init == "orthogonal":
        found["nf4"] = found["int8"] = (
            "PEFT makes an orthogonal start in the base's own number format, and 4 or 8 bits are none for it."
        )
    if settings.dora:
        found["batch"] = "DoRA measures the base's own weights for every answer, so its answers are written in turn."
    if settings.modules_to_save or settings.new_tokens:
        found["batch"] = "It replaces parts of the base itself, so its answers are written in turn."
    return found


def _check_ranks(settings: LoraSettings, facts: ModelFacts) -> None:
    found = places(settings, facts)
    for field, pattern in (("rank_pattern", settings.rank_pattern), ("alpha_pattern", settings.alpha_pattern)):
        used = {pattern_key(pattern, place.layer.name) for place in found}
        for key in pattern:
            if key not in used:
                names = short_names(place.layer.name for place in found)
                raise Invalid(
                    f"'{clip(key)}' means none of the layers that get an adapter"
                    + (", or a line before it means the same ones." if _means_any(key, found) else "."),
                    f"{near(key, names)}They are: {', '.join(names)}.",
                    f"method.{field}",
                )
    for place in found:
        narrowest = min(place.layer.inputs, place.layer.outputs)
        if place.rank > narrowest:
            single = pattern_key(settings.rank_pattern, place.layer.name)
            raise Invalid(
                f"Rank {place.rank} is wider than the narrowest targeted layer ({place.layer.target}: {narrowest}).",
                f"Choose a rank up to {narrowest}.",
                "method.rank_pattern" if single else "method.rank",
            )


def _means_any(key: str, found: list) -> bool:
    return any(pattern_key([key], place.layer.name) for place in found)


def _check_together(settings: LoraSettings) -> None:
    if settings.dora and settings.init in REPLACES_BASE:
        raise Invalid(
            f"DoRA learns the length of the base's weights, and the start {settings.init} takes a part out of them; the result could not be saved as an adapter of the base.",
            "Choose one of the two.",
            "method.init",
        )
    if settings.bias == "all" and settings.modules_to_save:
        raise Invalid(
            "All bias terms are trained already, those of the modules trained in full among them.",
            "Choose the bias none or lora_only beside modules trained in full.",
            "method.bias",
        )
    if settings.init == "eva" and settings.rank_pattern:
        raise Invalid(
            "The start eva chooses the rank of each layer itself.",
            "Leave the ranks of single modules empty, or choose another start.",
            "method.rank_pattern",
        )
    if settings.init == "eva" and settings.new_tokens:
        raise Invalid(
            "The start eva looks at rows of the data before the new tokens have learned anything.",
            "Leave the trained tokens empty, or choose another start.",
            "method.init",
        )


def _check_start(settings: LoraSettings, facts: ModelFacts) -> None:
    found = places(settings, facts)
    if settings.init == "olora" and facts.model_type in TRANSPOSED:
        raise Invalid(
            f"The start olora cannot be found for {facts.architecture}, which keeps its weights transposed.",
            "Choose pissa, or another start.",
            "method.init",
        )
    if settings.init == "orthogonal" and any(place.rank % 2 for place in found):
        raise Invalid("The start orthogonal needs even ranks.", "Choose an even rank.", "method.rank")
    narrowest = min(place.layer.inputs for place in found)
    if settings.init == "eva" and round(settings.rank * settings.eva_spread) > narrowest:
        raise Invalid(
            f"Up to {settings.eva_spread:g} times rank {settings.rank} is more than the {narrowest} inputs of the narrowest targeted layer.",
            "Choose a lower rank or a smaller spread.",
            "method.eva_spread",
        )


def _check_whole_modules(settings: LoraSettings, facts: ModelFacts) -> None:
    names = short_names(each.name for each in facts.other_modules)
    for key in settings.modules_to_save:
        if any(pattern_key([key], each.name) for each in facts.other_modules):
            continue
        if not facts.other_modules:
            fix = "Remove the base model and add it again: this studio did not know them when it was added."
        elif any(pattern_key([key], layer.name) for layer in facts.linear_layers):
            fix = f"Linear layers are trained with LoRA, as target modules. These can be trained in full: {', '.join(names)}."
        elif facts.tied_embeddings and key in ("lm_head", "embed_out"):
            fix = (
                f"The output layer of this model is its embedding: name {embedding_of(facts).name.rpartition('.')[2]}."
            )
        else:
            fix = f"{near(key, names)}These can be: {', '.join(names)}."
        raise Invalid(f"'{clip(key)}' cannot be trained in full.", fix, "method.modules_to_save")


def _check_tokens(settings: LoraSettings, facts: ModelFacts) -> None:
    embedding = embedding_of(facts)
    if embedding is None:
        raise Invalid(
            "This studio did not know of the model's embedding when the model was added.",
            "Remove the base model and add it again.",
            "method.new_tokens",
        )
    whole = [module for module in trained_whole(settings, facts) if module.head or module == embedding]
    if whole:
        raise Invalid(
            f"The rows of single tokens cannot be trained beside all of {whole[0].name.rpartition('.')[2]}.",
            "Choose one of the two.",
            "method.new_tokens",
        )
