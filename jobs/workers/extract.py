"""Extract: what a full fine-tune changed in its base as a LoRA adapter, layer by layer, by truncated SVD of the difference.

One layer is in memory at a time. What was lost is measured against the difference itself: |difference - update|^2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from jobs.workers.base_tensors import change, tensors_of
from jobs.workers.lab_adapter import MadeAdapter, rounded
from jobs.workers.lora_math import Factors, Spectrum
from studio.errors import BadInput, Invalid
from studio.files import read_json
from studio.folders import AdapterJobFolder, data_of
from studio.linear_layers import HEADS, TRANSPOSED
from studio.lora_files import numbers
from studio.model_facts import LinearLayer, ModelFacts
from studio.model_files import Tensor

EXACT_UP_TO = 1024  # of a layer's shorter side; above, the decomposition begins with a random projection
OVERSAMPLED, POWER_STEPS = (
    16,
    4,
)  # Halko, Martinsson & Tropp 2011: more directions than asked for, and powers that part them
MOST_TOLD = 20  # of the differences outside of the targeted layers


@dataclass
class Pair:
    """The same weights before and after the fine-tune, by their names in memory."""

    before: dict[str, Tensor]
    after: dict[str, Tensor]
    facts: ModelFacts


def extract(folder: AdapterJobFolder, request: dict[str, Any], tell: Callable[[float, str], None]) -> MadeAdapter:
    """With the share of energy that is lost, of all modules and of each one, and what differs elsewhere. Raises Invalid when nothing does."""
    pair, settings = read_pair(folder, request), request["settings"]
    wanted = settings.get("targets", "all-linear")
    layers = [layer for layer in pair.facts.linear_layers if wanted == "all-linear" or layer.target in wanted]
    modules: dict[str, Factors] = {}
    told, energy, lost = [], 0.0, 0.0
    for number, layer in enumerate(layers):
        tell(0.9 * number / len(layers), f"Layer {number + 1} of {len(layers)}")
        found = update_of(pair, layer, settings["rank"], settings.get("energy"))
        if found is None:
            continue
        modules[layer.name], own, gone = found
        energy, lost = energy + own, lost + gone
        told.append({"name": layer.name, "rank": len(modules[layer.name][1]), "energy_lost": gone / own})
    others = outside(pair, {layer.name for layer in layers}, tell)
    if not modules:
        raise Invalid(
            "None of the targeted layers differs from the base's.",
            "Choose other target modules, or other models.",
            "targets",
        )
    worst = max(told, key=lambda one: one["energy_lost"])
    measured = {
        "energy_lost": lost / energy,
        "worst_module": worst["name"],
        "worst_energy_lost": worst["energy_lost"],
        "modules": told,
        "outside": [{"name": name, "relative_change": size} for name, size in list(others.items())[:MOST_TOLD]],
        "outside_count": len(others),
        "outside_kept": bool(settings.get("keep_others")) and bool(others),
    }
    whole = kept_whole(pair, others, set(modules)) if settings.get("keep_others") else {}
    return MadeAdapter(modules, pair.facts.model_type in TRANSPOSED, measured, whole, tied=pair.facts.tied_embeddings)


def read_pair(folder: AdapterJobFolder, request: dict[str, Any]) -> Pair:
    base, tuned = (data_of(folder).base_model(request[key]["id"]) for key in ("base_model", "tuned"))
    if not tuned.facts.is_file():
        raise Invalid("The fine-tuned model was removed before this job began.", "Add it again.", "tuned")
    facts = ModelFacts.model_validate(read_json(base.facts))
    before, after = tensors_of(base.model, facts.model_type), tensors_of(tuned.model, facts.model_type)
    if facts.tied_embeddings:  # files may hold the output layer a second time
        before, after = (
            {name: tensor for name, tensor in each.items() if name.rpartition(".")[0] not in HEADS}
            for each in (before, after)
        )
    return Pair(before, after, facts)


def update_of(pair: Pair, layer: LinearLayer, rank: int, energy: float | None) -> tuple[Factors, float, float] | None:
    """(the update of this layer, its energy before, what is lost of it); None where the layer was not changed."""
    before, after = (numbers(each[f"{layer.name}.weight"]) for each in (pair.before, pair.after))
    difference = after.astype("<f8") - before
    if pair.facts.model_type in TRANSPOSED:
        difference = difference.T
    whole = float(numpy.sum(difference**2))
    if not math.isfinite(whole):
        raise BadInput(
            f"'{layer.name}' holds numbers that are not finite in one of the two models.", "Choose another model."
        )
    if not whole:
        return None
    most = min(rank, *difference.shape)
    found = nearest(difference, most)
    kept = numpy.cumsum(found.values[:most] ** 2)
    if energy is not None:
        most = min(most, int(numpy.searchsorted(kept, energy * whole)) + 1)
    made = rounded(found.cut(most))
    up, down = made
    gone = float(numpy.sum((difference - up.astype("<f8") @ down) ** 2))
    return made, whole, gone


def nearest(matrix: numpy.ndarray, rank: int) -> Spectrum:
    """The largest singular values with their directions: exactly, or of the matrix as a random projection sees it."""
    if min(matrix.shape) <= EXACT_UP_TO or rank + OVERSAMPLED >= min(matrix.shape) // 2:
        return Spectrum(*numpy.linalg.svd(matrix, full_matrices=False))
    drawn = numpy.random.default_rng(0).standard_normal((matrix.shape[1], rank + OVERSAMPLED))
    basis = numpy.linalg.qr(matrix @ drawn)[0]
    for _ in range(POWER_STEPS):
        basis = numpy.linalg.qr(matrix @ numpy.linalg.qr(matrix.T @ basis)[0])[0]
    left, values, right = numpy.linalg.svd(basis.T @ matrix, full_matrices=False)
    return Spectrum(basis @ left, values, right)


def outside(pair: Pair, targeted: set[str], tell: Callable[[float, str], None]) -> dict[str, float]:
    """Weights that differ and are no targeted layer's: by how much of their norm, the largest first."""
    found = {}
    names = [name for name in pair.before if name.rpartition(".")[0] not in targeted or name.endswith(".bias")]
    for number, name in enumerate(names):
        tell(0.9 + 0.1 * number / len(names), f"Other weights, {number + 1} of {len(names)}")
        apart, there = change(pair.before[name], pair.after[name])
        if apart:
            found[name] = math.sqrt(apart / there) if there else math.inf
    found = {name: min(size, 1e9) for name, size in found.items()}  # of zeros: JSON knows no infinity
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def kept_whole(pair: Pair, others: dict[str, float], adapted: set[str]) -> dict[str, Tensor]:
    """The fine-tune's own tensors that go into the adapter, with all others of the same modules: PEFT saves modules whole."""
    modules = {name.rpartition(".")[0] for name in others}
    biases = any(name.endswith(".bias") and name.rpartition(".")[0] in adapted for name in others)
    return {
        name: tensor
        for name, tensor in pair.after.items()
        for module in [name.rpartition(".")[0]]
        if (module in modules and module not in adapted) or (biases and module in adapted and name.endswith(".bias"))
    }
