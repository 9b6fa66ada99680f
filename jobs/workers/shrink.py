"""Shrink: the same LoRA adapter with a smaller rank, by the nearest update of each module (truncated SVD)."""

from collections.abc import Callable
from typing import Any

from jobs.workers.lab_adapter import MadeAdapter, rounded
from jobs.workers.lora_math import Factors, spectrum
from studio.folders import AdapterJobFolder
from studio.lora_files import read_lora


def shrink(folder: AdapterJobFolder, request: dict[str, Any], tell: Callable[[float, str], None]) -> MadeAdapter:
    """With the share of energy (squared Frobenius norm of the update) that is lost: of all modules, and of the worst one."""
    [parent] = request["parents"]
    lora = read_lora(folder.parent(parent["id"]), parent["name"])
    rank = request["settings"]["rank"]
    modules: dict[str, Factors] = {}
    energy = lost = 0.0
    worst = ("", 0.0)
    for number, (name, module) in enumerate(lora.modules.items()):
        tell(number / len(lora.modules), f"Module {number + 1} of {len(lora.modules)}")
        found = spectrum(module.factors())
        modules[name] = rounded(found.cut(rank))
        energy, lost = energy + found.energy, lost + found.lost(rank)
        share = found.lost(rank) / found.energy if found.energy else 0.0
        worst = max(worst, (name, share), key=lambda pair: pair[1])
    measured = {
        "energy_lost": lost / energy if energy else 0.0,
        "worst_module": worst[0] or None,
        "worst_energy_lost": worst[1],
    }
    return MadeAdapter(modules, lora.fan_in_fan_out, measured)
