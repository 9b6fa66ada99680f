"""X-ray of an adapter: how strong the update of each module is, in how many directions, and which rank would be enough.

Another process reads the weights; what it found is kept by their sha256.
"""

import math
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio import adapters, base_models
from studio.child_environment import PROJECT, child_environment
from studio.errors import BadInput
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.linear_layers import layer_number
from studio.lora_files import read_lora
from studio.studio import Studio

SECONDS = 600
_one_at_a_time = threading.Lock()  # in this process: an x-ray takes a core and a module's memory
OFFERED = (0.99, 0.999)  # shares of the energy that a shorter rank should keep


@dataclass(frozen=True)
class XrayedModule:
    name: str
    rank: int
    values: list[float]
    """Singular values of the update, falling."""

    @property
    def layer(self) -> int | None:
        return layer_number(self.name)

    @property
    def energy(self) -> float:
        return sum(value**2 for value in self.values)

    @property
    def norm(self) -> float:
        """Frobenius norm of the update, the scale included."""
        return math.sqrt(self.energy)

    @property
    def effective_rank(self) -> float:
        """exp of the entropy of the singular values as shares of their sum (Roy & Vetterli 2007); 0 without an update."""
        total = sum(self.values)
        shares = [value / total for value in self.values if value > 0] if total else []
        return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0

    def kept(self, rank: int) -> float:
        """Share of the energy that the nearest update of this rank keeps."""
        return sum(value**2 for value in self.values[:rank]) / self.energy if self.energy else 1.0


@dataclass(frozen=True)
class Xray:
    modules: list[XrayedModule]

    @property
    def energy(self) -> float:
        return sum(module.energy for module in self.modules)

    @property
    def widest(self) -> int:
        return max(module.rank for module in self.modules)

    def share(self, module: XrayedModule) -> float:
        return module.energy / self.energy if self.energy else 0.0

    def kept(self, rank: int) -> float:
        """Share of all energy that is kept when every module gets this rank."""
        left = sum(sum(value**2 for value in module.values[:rank]) for module in self.modules)
        return left / self.energy if self.energy else 1.0

    def worst(self, rank: int) -> XrayedModule:
        """The module that would lose most."""
        return min(self.modules, key=lambda module: module.kept(rank))

    def rank_that_keeps(self, share: float) -> int:
        """The smallest rank that keeps this share of all energy."""
        return next(rank for rank in range(1, self.widest + 1) if self.kept(rank) >= share or rank == self.widest)


def xray(studio: Studio, id: str) -> Xray:
    """Its modules in the order of the model. Raises NotFound, or BadInput for what is no plain LoRA."""
    adapter = adapters.get_adapter(studio, id)
    known = studio.data.xray(adapter.sha256)
    if not known.is_file():
        folder = studio.data.adapter(id)
        read_lora(folder, adapter.name)  # what is refused is refused here, before a process is started
        with _one_at_a_time:
            if not known.is_file():
                look_inside(folder, known)
    modules = [XrayedModule(**module) for module in read_json(known)["modules"]]
    place = {layer.name: number for number, layer in enumerate(base_models.facts_of(adapter.model).linear_layers)}
    return Xray(sorted(modules, key=lambda module: place.get(module.name, len(place))))


def look_inside(folder: AdapterFolder, target: Path) -> None:
    command = [sys.executable, "-m", "jobs.workers.xray", str(folder.path), str(target)]
    try:
        ended = subprocess.run(
            command, cwd=PROJECT, env=child_environment(1), stdin=subprocess.DEVNULL, capture_output=True, umask=0o077, timeout=SECONDS
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BadInput(
            f"Looking inside the adapter took more than {SECONDS // 60} minutes.", "It is too large for an x-ray."
        ) from None
    if ended.returncode:
        raise RuntimeError(f"x-ray ended with {ended.returncode}:\n{ended.stderr.decode(errors='replace')[-4000:]}")


def offers(found: Xray) -> list[dict[str, Any]]:
    """For each share that should be kept, the smallest rank that keeps it, and what the worst module would keep."""
    told = []
    for share in OFFERED:
        rank = found.rank_that_keeps(share)
        worst = found.worst(rank)
        told.append(
            {
                "share": share,
                "rank": rank,
                "kept": found.kept(rank),
                "worst_module": worst.name,
                "worst_kept": worst.kept(rank),
            }
        )
    return told


def shown(found: Xray) -> dict[str, Any]:
    """As the API shows it."""
    modules = [
        {
            "name": module.name, "layer": module.layer, "rank": module.rank, "norm": module.norm, "effective_rank": module.effective_rank,
            "share": found.share(module), "singular_values": module.values,
        }
        for module in found.modules
    ]  # fmt: skip
    return {"norm": math.sqrt(found.energy), "rank": found.widest, "offers": offers(found), "modules": modules}
