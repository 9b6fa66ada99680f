"""What must be true before a job on adapters may wait: they are there, of one base and one template, and plain LoRA."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio import adapters, base_models
from studio.errors import BadInput, Conflict, Invalid, at_field, clip
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.lab_settings import AnyLabSettings, MergeSettings, Parent, ShrinkSettings, StackSettings, sum_in_words
from studio.limits import check_room
from studio.lora_files import PlainLora, read_lora
from studio.methods import METHODS
from studio.records import Adapter, BaseModel
from studio.studio import Studio
from studio.tokens import read_template

FLOAT_BYTES = 4
MERGE_ROOM = 1.1  # of the base's size: the merged weights, and what stands beside them


@dataclass(frozen=True)
class Checked:
    """What goes into a job, found and looked at."""

    base: BaseModel | None  # None where only the job will find it
    parents: list[Adapter]
    weights: list[float]
    name: str
    more: dict[str, Any] = field(default_factory=dict)  # what only this kind of job needs to know

    def request(self, settings: AnyLabSettings) -> dict[str, Any]:
        """As the worker reads it, and as the result's passport tells it."""
        parents = [
            {"id": parent.id, "name": parent.name, "sha256": parent.sha256, "weight": weight}
            for parent, weight in zip(self.parents, self.weights, strict=True)
        ]
        described = settings.model_dump(
            mode="json", exclude={"name", "parents", "adapter", "base_model", "tuned", *without_effect(settings)}
        )
        return {
            "name": self.name,
            "settings": described,
            "base_model": base_models.described(self.base) if self.base else None,
            "parents": parents,
            **self.more,
        }


def without_effect(settings: AnyLabSettings) -> set[str]:
    """Settings that the chosen combination does not look at: they do not belong in a passport."""
    if not isinstance(settings, StackSettings):
        return set()
    looks_at = {"exact": set(), "svd": {"rank"}, "ties": {"rank", "density"}, "dare": {"rank", "density", "seed"}}
    return {"rank", "density", "seed"} - looks_at[settings.combination]


def check_stack(studio: Studio, settings: StackSettings) -> Checked:
    """Raises NotFound, Invalid, Conflict or BadInput with the reason, at the field."""
    ids = [parent.adapter for parent in settings.parents]
    if len(set(ids)) < len(ids):
        raise Invalid("An adapter is named twice.", "Name it once, with the sum of its weights.", "parents")
    if settings.combination == "exact" and settings.rank is not None:
        raise Invalid(
            "The exact sum has the rank that its adapters have together.",
            "Leave the rank empty, or choose svd.",
            "rank",
        )
    found = [_found(studio, id, f"parents.{place}.adapter") for place, id in enumerate(ids)]
    for parent, adapter in zip(settings.parents, found, strict=True):
        if parent.weight == 0:
            raise Invalid(f"{adapter.name} has the weight 0, so nothing of it would go in.", "Leave it out.", "parents")
    base = common_base(studio, found)
    loras = [read_lora(studio.data.adapter(adapter.id), adapter.name) for adapter in found]
    check_modules(studio, base, found, loras)
    check_templates(studio, base, found)
    check_room(studio, FLOAT_BYTES * sum(size_of(lora) for lora in loras))
    return Checked(
        base,
        found,
        [parent.weight for parent in settings.parents],
        settings.name or stack_name(found, settings.parents),
    )


def check_shrink(studio: Studio, settings: ShrinkSettings) -> Checked:
    adapter = _found(studio, settings.adapter, "adapter")
    lora = read_lora(studio.data.adapter(adapter.id), adapter.name)
    if settings.rank >= lora.widest:
        raise Invalid(
            f"{adapter.name} has rank {lora.widest} already, so rank {settings.rank} would not make it smaller.",
            f"Choose a rank below {lora.widest}." if lora.widest > 1 else "It cannot be made smaller.",
            "rank",
        )
    base = common_base(studio, [adapter])
    check_modules(studio, base, [adapter], [lora])
    check_room(studio, FLOAT_BYTES * size_of(lora))
    return Checked(base, [adapter], [1.0], settings.name or f"{adapter.name[:85]}, rank {settings.rank}")


def check_merge(studio: Studio, settings: MergeSettings) -> Checked:
    adapter = _found(studio, settings.adapter, "adapter")
    base = common_base(studio, [adapter])
    told = passport_of(studio.data.adapter(adapter.id)).get("method")
    if method := METHODS.get(adapter.method):
        why = method.cannot(method.settings_told(told)).get("merge")
        if why:
            raise Invalid(why, "Use the adapter as it is.", "adapter")
    check_room(studio, int(MERGE_ROOM * base_models.facts_of(base).size_bytes))
    return Checked(base, [adapter], [1.0], settings.name or f"{base.name} with {adapter.name}"[:100])


def _found(studio: Studio, id: str, field: str) -> Adapter:
    with at_field(field):
        return adapters.get_adapter(studio, id)


def common_base(studio: Studio, found: list[Adapter]) -> BaseModel:
    """The one base model of these adapters: the same weights, by their fingerprint."""
    first, *others = found
    base = base_models.ready_model(studio, first.base_model)
    for adapter in others:
        if adapter.base_model != first.base_model and adapter.model.fingerprint != base.fingerprint:
            raise Invalid(
                f"{first.name} belongs to {base.name} and {adapter.name} to {adapter.base_model_name}: updates of different weights have no sum.",
                "Choose adapters of one base model.",
                "parents",
            )
    for adapter in found:
        said = trained_on(studio.data.adapter(adapter.id))
        if said and said != base.fingerprint:
            raise BadInput(
                f"{adapter.name} was trained on other weights than {base.name} has now.",
                "Choose adapters of one base model.",
                "parents",
            )
    return base


def trained_on(folder: AdapterFolder) -> str | None:
    """The fingerprint of the base that an adapter's passport names."""
    base = passport_of(folder).get("base_model")
    return base.get("fingerprint") if isinstance(base, dict) else None


def passport_of(folder: AdapterFolder) -> dict[str, Any]:
    """Empty where there is none, or a strange one."""
    passport = read_json(folder.passport)
    return passport if isinstance(passport, dict) else {}


def check_modules(studio: Studio, base: BaseModel, found: list[Adapter], loras: list[PlainLora]) -> None:
    """Every module must be in the base, with its sides, as far as the base's facts tell (the head of the model is not in them)."""
    known = {layer.name: (layer.inputs, layer.outputs) for layer in base_models.facts_of(base).linear_layers}
    seen: dict[str, tuple[int, int]] = {}
    for adapter, lora in zip(found, loras, strict=True):
        for name, module in lora.modules.items():
            sides = (module.inputs, module.outputs)
            expected = seen.setdefault(name, known.get(name, sides))
            if sides != expected:
                raise BadInput(
                    f"{adapter.name} changes '{clip(name)}' as a layer of {sides[0]} inputs and {sides[1]} outputs, and it has {expected[0]} and {expected[1]}.",
                    "Choose adapters of one base model.",
                    "parents",
                )


def check_templates(studio: Studio, base: BaseModel, found: list[Adapter]) -> None:
    """One adapter speaks in one template: those that learned in different ones cannot be mixed."""
    first, *others = found
    wanted = template_of(studio, base, first)
    for adapter in others:
        if template_of(studio, base, adapter) != wanted:
            raise Conflict(
                f"{first.name} and {adapter.name} were trained with different chat templates, so one of them would be asked in words that it never learned.",
                "Choose adapters that were trained with the same template.",
                "parents",
            )


def template_of(studio: Studio, base: BaseModel, adapter: Adapter) -> str | None:
    """An adapter's own template; its base's where it brings none."""
    return _template_in(studio.data.adapter(adapter.id).path) or _template_in(studio.data.base_model(base.id).model)


def _template_in(folder: Path) -> str | None:
    config = read_json(folder / "tokenizer_config.json", {})
    return read_template(folder, config if isinstance(config, dict) else {})


def size_of(lora: PlainLora) -> int:
    """How many numbers its matrices hold."""
    return sum(module.rank * (module.inputs + module.outputs) for module in lora.modules.values())


def stack_name(found: list[Adapter], parents: list[Parent]) -> str:
    """The sum as one writes it: "pirate + 0.5 orders − robot"."""
    weights = (parent.weight for parent in parents)
    return sum_in_words(zip(weights, (adapter.name for adapter in found), strict=True), times="")[:100]
