"""Which base model an adapter belongs to: told by its passport's fingerprint, else by the names and sides of what it changes."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from studio import base_models
from studio.brought_adapters import FoundAdapter
from studio.errors import BadInput, Invalid, at_field, clip
from studio.linear_layers import EMBEDDINGS, HEADS, TRANSPOSED
from studio.model_facts import ModelFacts
from studio.records import BaseModel, ModelState
from studio.studio import Studio

MOST_NAMED = 5  # base models in a sentence
CHOOSE = "Choose the base model that it was trained on."


def chosen_base(
    studio: Studio, found: FoundAdapter, name: str, wanted: str | None, passport: dict[str, Any]
) -> BaseModel:
    """The base that was asked for, or the only one that fits. Raises NotFound, Conflict, BadInput, or Invalid when several fit."""
    said = passport.get("base_model")
    fingerprint = said.get("fingerprint") if isinstance(said, dict) else None
    if wanted:
        with at_field("base_model"):
            base = base_models.ready_model(studio, wanted)
        if fingerprint and fingerprint != base.fingerprint:
            raise BadInput(
                f"{name} was trained on a base model with other weights than {base.name}: its passport names another fingerprint.",
                "Choose the base that it was trained on.",
                "base_model",
            )
        check_base(base, found, name)
        return base
    tried = [(base, next(misfits(base, found), None)) for base in ready_models(studio)]
    fitting = [base for base, why in tried if why is None]
    if fingerprint:
        fitting = [base for base in fitting if base.fingerprint == fingerprint]
    if not fitting:
        raise BadInput(
            no_base(found, name, bool(fingerprint), tried),
            "Add the base model that it was trained on, then bring it again.",
            "base_model",
        )
    if len({base.fingerprint for base in fitting}) > 1:
        names = ", ".join(clip(base.name, 40) for base in fitting[:MOST_NAMED])
        raise Invalid(
            f"{name} fits several base models of this studio: {names}.",
            "Choose the one that it was trained on.",
            "base_model",
        )
    return base_models.ready_model(studio, fitting[0].id)


def ready_models(studio: Studio) -> list[BaseModel]:
    query = select(BaseModel).where(BaseModel.state == ModelState.READY).order_by(BaseModel.created_at)
    with studio.database.read() as session:
        return list(session.scalars(query))


def check_base(base: BaseModel, found: FoundAdapter, name: str) -> None:
    """Raises BadInput naming the first part that this base does not have, or has with other sides."""
    for why in misfits(base, found):
        raise BadInput(f"{name} {why}.", CHOOSE, "base_model")


def misfits(base: BaseModel, found: FoundAdapter) -> Iterator[str]:
    """What of the adapter this base has no place for, in words that go on after the adapter's name."""
    facts = base_models.facts_of(base)
    known = {layer.name: (layer.inputs, layer.outputs) for layer in facts.linear_layers}
    known |= dict.fromkeys(HEADS, (facts.hidden_size, facts.vocabulary))
    for module, sides in found.layers.items():
        has = known.get(module)
        if has is None:
            yield f"changes '{clip(module, 120)}', and {base.name} has no such layer"
        elif (sides.inputs or has[0], sides.outputs or has[1]) != has:
            yield (
                f"changes '{clip(module, 120)}' as a layer of {in_words(sides.inputs, sides.outputs)}; in {base.name} it has "
                f"{has[0]} and {has[1]}"
            )
    weights = weights_of(facts)
    for key, shape in found.others.items():
        if weights.get(key) != shape:
            has = f"it has the shape {weights[key]}" if key in weights else "there is no such weight"
            yield f"replaces '{clip(key, 120)}' by one of the shape {shape}; in {base.name} {has}"
    for module, shape in found.embeddings.items():
        if weights.get(f"{module}.weight") != shape:
            yield f"changes the embedding '{clip(module, 120)}' as one of {shape[0]} rows of {shape[1]}, and {base.name} has none like it"
    for module, (_, width) in found.rows.items():
        if weights.get(f"{module}.weight", ())[1:] != (width,):
            yield f"has trained tokens of '{clip(module, 120)}' with {width} numbers each, and {base.name} has no such table"
    if not found.layers.keys() - known.keys() and (why := found.misfit(facts)):
        yield f"does not fit {base.name}: {why}"


def in_words(inputs: int | None, outputs: int | None) -> str:
    said = [f"{count} {word}" for count, word in ((inputs, "inputs"), (outputs, "outputs")) if count is not None]
    return " and ".join(said)


def weights_of(facts: ModelFacts) -> dict[str, tuple[int, ...]]:
    """Every weight and bias of the base by its full name."""
    found = {f"{each.name}.{kind}": tuple(shape) for each in facts.other_modules for kind, shape in each.shapes.items()}
    for layer in facts.linear_layers:
        sides = (layer.inputs, layer.outputs) if facts.model_type in TRANSPOSED else (layer.outputs, layer.inputs)
        found[f"{layer.name}.weight"] = sides
        if layer.bias:
            found[f"{layer.name}.bias"] = (layer.bias,)
    if facts.tied_embeddings:
        found |= {f"{head}.weight": (facts.vocabulary, facts.hidden_size) for head in HEADS}
    return found


def no_base(found: FoundAdapter, name: str, by_fingerprint: bool, tried: list[tuple[BaseModel, str | None]]) -> str:
    """Why none fits: what the adapter is, and for some bases the first thing that is in the way."""
    if by_fingerprint:
        return f"No base model of this studio has the weights that {name} was trained on, by the fingerprint in its passport."
    reasons = [f"It {why}" for _, why in tried if why][:MOST_NAMED]
    return f"{name} fits no base model of this studio: it {what_it_is(found)}. {'. '.join(reasons)}{'.' if reasons else ''}".strip()


def what_it_is(found: FoundAdapter) -> str:
    if found.front:
        return f"puts {found.front.tokens} virtual tokens of {found.front.width} numbers in front of every row"
    if not found.layers:
        return "trains tokens and whole modules, and no linear layer"
    module, sides = next(iter(found.layers.items()))
    return f"changes {len(found.layers)} layers, the first of them '{clip(module, 120)}' with {in_words(sides.inputs, sides.outputs)}"


def fit_in_words(found: FoundAdapter, facts: ModelFacts) -> str:
    """What was matched, for the adapter's page: how many layers of which names."""
    counts: dict[str, int] = {}
    for module in found.layers:
        counts[module.rpartition(".")[2]] = counts.get(module.rpartition(".")[2], 0) + 1
    said = [f"{short} ×{count}" for short, count in counts.items()]
    said += [
        f"{key} in full" for key in found.others if key.rpartition(".")[0].rpartition(".")[2] in EMBEDDINGS | HEADS
    ]
    rest = len(found.others) - sum("in full" in each for each in said)
    said += [f"{rest} other weights in full"] if rest else []
    said += [f"{len(found.token_ids)} trained tokens"] if found.rows else []
    said += [f"{found.front.tokens} virtual tokens"] if found.front else []
    return ", ".join([*said, *found.embeddings])
