"""What must be true before an adapter may be extracted: two ready models of one shape, and other weights."""

from studio import base_models
from studio.adapter_job_checks import FLOAT_BYTES, Checked
from studio.errors import Invalid, at_field, clip
from studio.lab_settings import ExtractSettings
from studio.limits import check_room
from studio.model_facts import LinearLayer, ModelFacts
from studio.studio import Studio


def check_extract(studio: Studio, settings: ExtractSettings) -> Checked:
    """Raises NotFound, Conflict or Invalid with the reason, at the field."""
    with at_field("base_model"):
        base = base_models.ready_model(studio, settings.base_model)
    with at_field("tuned"):
        tuned = base_models.ready_model(studio, settings.tuned)
    facts, other = base_models.facts_of(base), base_models.facts_of(tuned)
    if base.fingerprint == tuned.fingerprint:
        raise Invalid(f"{tuned.name} has the same weights as {base.name}.", "Choose the fine-tuned model.", "tuned")
    if why := what_differs(facts, other):
        raise Invalid(
            f"{tuned.name} is no fine-tune of {base.name}: {why}.", "Choose the base that it began from.", "base_model"
        )
    layers = targeted(facts, settings)
    numbers = sum(min(settings.rank, layer.inputs, layer.outputs) * (layer.inputs + layer.outputs) for layer in layers)
    whole = sum(each for each in sizes_of_others(facts)) if settings.keep_others else 0
    check_room(studio, FLOAT_BYTES * (numbers + whole))
    name = settings.name or f"{tuned.name} from {base.name}"[:100]
    return Checked(base, [], [], name, {"tuned": base_models.described(tuned)})


def what_differs(facts: ModelFacts, other: ModelFacts) -> str | None:
    """The first thing in which two models are not of one shape, in words; None where they are."""
    if facts.architecture != other.architecture:
        return f"it is a {other.architecture} and not a {facts.architecture}"
    has = {layer.name: (layer.inputs, layer.outputs) for layer in other.linear_layers}
    for layer in facts.linear_layers:
        if has.get(layer.name) != (layer.inputs, layer.outputs):
            sides = has.get(layer.name)
            return f"'{clip(layer.name, 120)}' has {layer.inputs} inputs and {layer.outputs} outputs, and there {sides or 'it is missing'}"
    if len(has) != len(facts.linear_layers):
        return f"it has {len(has)} linear layers and not {len(facts.linear_layers)}"
    shapes = {each.name: each.shapes for each in other.other_modules}
    for each in facts.other_modules:
        if shapes.get(each.name) != each.shapes:
            return f"'{clip(each.name, 120)}' is {each.shapes} and there {shapes.get(each.name)}"
    return (
        None if facts.tied_embeddings == other.tied_embeddings else "only one of them ties its output to its embedding"
    )


def targeted(facts: ModelFacts, settings: ExtractSettings) -> list[LinearLayer]:
    """Raises Invalid for a target that the base does not have."""
    if settings.targets == "all-linear":
        return facts.linear_layers
    for target in settings.targets:
        if target not in facts.target_modules:
            raise Invalid(
                f"'{clip(target)}' is no linear layer of {facts.architecture}.",
                f"This model has: {', '.join(facts.target_modules)}.",
                "targets",
            )
    if not settings.targets:
        raise Invalid("No target module is chosen.", "Choose at least one, or all linear layers.", "targets")
    return [layer for layer in facts.linear_layers if layer.target in settings.targets]


def sizes_of_others(facts: ModelFacts) -> list[int]:
    sizes = []
    for each in facts.other_modules:
        for shape in each.shapes.values():
            count = 1
            for side in shape:
                count *= side
            sizes.append(count)
    return sizes
