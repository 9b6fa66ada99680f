"""What was found in an adapter's files, whatever its method, and what a base model must have for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from studio.errors import BadInput, clip
from studio.model_facts import ModelFacts
from studio.model_files import Tensor

PREFIX = "base_model.model."  # before the name of every module in PEFT's files
FIX = "Bring an adapter of a method that this studio knows, as PEFT saves it."
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sides:
    """Of a linear layer; None where the method's tensors do not tell."""

    inputs: int | None
    outputs: int | None


@dataclass(frozen=True)
class Front:
    """What stands in front of every row: one tensor of (virtual tokens, width)."""

    tokens: int
    width: int
    of_every_layer: bool  # keys and values of every layer (prefix tuning), else embeddings


def _fits_anything(facts: ModelFacts) -> str | None:
    return None


@dataclass(frozen=True)
class FoundAdapter:
    method: str  # "lora", as studio/methods names it
    settings: dict[str, Any]
    """adapter_config.json anew, without targets: nothing in it that only somebody else's machine knows."""
    layers: dict[str, Sides] = field(default_factory=dict)
    """Linear layers that are changed, by their names in the base."""
    others: dict[str, Shape] = field(default_factory=dict)
    """Weights of the base that are replaced, by their full names, such as "model.norm.weight"."""
    embeddings: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Embeddings with an update: (rows, width)."""
    rows: dict[str, tuple[list[int], int]] = field(default_factory=dict)
    """Tokens that were trained, by the table they stand in: (their ids, its width)."""
    front: Front | None = None
    rank: int | None = None
    misfit: Callable[[ModelFacts], str | None] = _fits_anything
    """Why it does not fit a base, beyond its layers one by one; None where it does."""

    @property
    def token_ids(self) -> list[int]:
        return sorted({id for ids, _ in self.rows.values() for id in ids})

    @property
    def changed(self) -> int:
        """How many parts of a base it changes."""
        return len(self.layers) + len(self.others) + len(self.embeddings) + len(self.rows) or int(bool(self.front))


def module_of(key: str, name: str) -> str:
    """The module's name in the base. Raises BadInput for a tensor that PEFT would not name so."""
    if not key.startswith(PREFIX):
        raise refused(name, f"it holds '{clip(key, 120)}', and PEFT's tensors begin with {PREFIX}")
    return key.removeprefix(PREFIX)


def shaped(tensors: dict[str, Tensor], key: str, dimensions: int, name: str) -> Shape:
    """Raises BadInput when the tensor is not there, or has another number of dimensions, or a side of 0."""
    if key not in tensors:
        raise refused(name, f"'{clip(key, 120)}' is missing from its weights")
    shape = tensors[key].shape
    if len(shape) != dimensions or 0 in shape:
        raise refused(name, f"'{clip(key, 120)}' has the shape {shape}, which is none of its method")
    return shape


def refused(name: str, why: str, fix: str = FIX) -> BadInput:
    return BadInput(f"The adapter '{clip(name)}' cannot be used here: {why}.", fix, "file")
