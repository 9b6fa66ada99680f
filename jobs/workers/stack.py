"""Stack: several LoRA adapters of one base as one, by the exact weighted sum of their updates or by a choice that loses something."""

import math
from collections.abc import Callable
from typing import Any

from jobs.workers.lab_adapter import MadeAdapter, rounded
from jobs.workers.lora_math import Combine, Factors, spectrum, squared_distance, squared_norm, weighted_sum
from studio.errors import Invalid
from studio.folders import AdapterJobFolder
from studio.lora_files import PlainLora, read_lora

NOTHING_LEFT = 1e-12  # of the parents' own energy


def stack(folder: AdapterJobFolder, request: dict[str, Any], tell: Callable[[float, str], None]) -> MadeAdapter:
    """The combined adapter, with its relative error: |result - sum| / |sum| over all modules (Frobenius). Raises Invalid when nothing is left."""
    parents = request["parents"]
    loras = [read_lora(folder.parent(parent["id"]), parent["name"]) for parent in parents]
    names = list(dict.fromkeys(name for lora in loras for name in lora.modules))
    combine = combination_of(request["settings"], loras)
    modules: dict[str, Factors] = {}
    energy = distance = given = 0.0
    for number, name in enumerate(names):
        tell(number / len(names), f"Module {number + 1} of {len(names)}")
        parts = [
            (parent["weight"], lora.modules[name].factors())
            for parent, lora in zip(parents, loras, strict=True)
            if name in lora.modules
        ]
        whole = weighted_sum(parts)
        made, lost = combine(name, parts, whole)
        modules[name] = rounded(made)
        energy += squared_norm(whole)
        given += sum(weight**2 * squared_norm(factors) for weight, factors in parts)
        distance += lost
    if energy <= NOTHING_LEFT * given:
        raise Invalid(
            "With these weights the updates cancel each other: nothing is left.",
            "Choose other weights or adapters.",
            "parents",
        )
    return MadeAdapter(
        modules, any(lora.fan_in_fan_out for lora in loras), {"relative_error": math.sqrt(distance / energy)}
    )


def combination_of(settings: dict[str, Any], loras: list[PlainLora]) -> Combine:
    kind, rank = settings["combination"], settings.get("rank")
    if kind == "exact":
        return exact
    if kind == "svd":
        return nearest(rank or max(lora.widest for lora in loras))
    from jobs.workers.stack_pruned import pruned  # here: it loads torch

    return pruned(kind, rank or sum(lora.widest for lora in loras), settings["density"], settings.get("seed", 0))


def exact(_name: str, _parts: list[tuple[float, Factors]], whole: Factors) -> tuple[Factors, float]:
    return whole, squared_distance(rounded(whole), whole)


def nearest(rank: int) -> Combine:
    """The update of this rank that is nearest to the sum."""

    def combine(_name: str, _parts: list[tuple[float, Factors]], whole: Factors) -> tuple[Factors, float]:
        found = spectrum(whole)
        return found.cut(rank), found.lost(rank)

    return combine
