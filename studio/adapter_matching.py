"""Which base model an adapter belongs to: told by its passport's fingerprint, else by the names and sides of the layers that it changes."""

from typing import Any

from sqlalchemy import select

from studio import base_models
from studio.errors import BadInput, Invalid, StudioError, clip
from studio.linear_layers import HEADS
from studio.lora_files import PlainLora
from studio.records import BaseModel, ModelState
from studio.studio import Studio

MOST_NAMED = 5  # base models in a sentence


def chosen_base(studio: Studio, lora: PlainLora, name: str, wanted: str | None, passport: dict[str, Any]) -> BaseModel:
    """The base that was asked for, or the only one that fits. Raises NotFound, Conflict, BadInput, or Invalid when several fit."""
    said = passport.get("base_model")
    fingerprint = said.get("fingerprint") if isinstance(said, dict) else None
    if wanted:
        base = base_models.ready_model(studio, wanted)
        if fingerprint and fingerprint != base.fingerprint:
            raise BadInput(
                f"{name} was trained on a base model with other weights than {base.name}: its passport names another fingerprint.",
                "Choose the base that it was trained on.",
                "base_model",
            )
        return base
    fitting = [base for base in ready_models(studio) if fits(base, lora, name)]
    if fingerprint:
        fitting = [base for base in fitting if base.fingerprint == fingerprint]
    if not fitting:
        raise BadInput(
            no_base(lora, name, bool(fingerprint)),
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


def fits(base: BaseModel, lora: PlainLora, name: str) -> bool:
    try:
        check_base(base, lora, name)
    except StudioError:
        return False
    return True


def check_base(base: BaseModel, lora: PlainLora, name: str) -> None:
    """Raises BadInput naming the first module that this base does not have, or has with other sides."""
    facts = base_models.facts_of(base)
    known = {layer.name: (layer.inputs, layer.outputs) for layer in facts.linear_layers}
    known |= dict.fromkeys(HEADS, (facts.hidden_size, facts.vocabulary))
    for module in lora.modules.values():
        sides = known.get(module.name)
        if sides is None:
            raise BadInput(
                f"{name} changes '{clip(module.name, 120)}', and {base.name} has no such layer.",
                "Choose the base model that it was trained on.",
                "base_model",
            )
        if sides != (module.inputs, module.outputs):
            raise BadInput(
                f"{name} changes '{clip(module.name, 120)}' as a layer of {module.inputs} inputs and {module.outputs} outputs; in {base.name} it has "
                f"{sides[0]} and {sides[1]}.",
                "Choose the base model that it was trained on.",
                "base_model",
            )


def no_base(lora: PlainLora, name: str, by_fingerprint: bool) -> str:
    if by_fingerprint:
        return f"No base model of this studio has the weights that {name} was trained on, by the fingerprint in its passport."
    module = next(iter(lora.modules.values()))
    return (
        f"{name} fits no base model of this studio: it changes {len(lora.modules)} layers, the first of them '{clip(module.name, 120)}' with "
        f"{module.inputs} inputs and {module.outputs} outputs."
    )
