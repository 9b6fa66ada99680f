"""Adapters in memory: read from their folders when asked for, checked against the base, added to chosen rows of a batch."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors

from jobs.workers.adapter_checks import check_fingerprint, checked_config, expected_modules, read_values, refused, sides
from jobs.workers.by_peft import BY_PEFT, ONLY_BY_PEFT, modules_learned, needs_peft, own_tokenizer, try_with_peft
from jobs.workers.fronts import Front
from studio.errors import NotFound, clip
from studio.folders import AdapterFolder
from studio.tokens import ChatTokenizer

MOST_IN_MEMORY = 8  # adapters; those answering now are never evicted


@dataclass(frozen=True, eq=False)
class Update:
    """What an adapter adds to the output of one module: inputs @ down @ up * scale + bias."""

    down: torch.Tensor | None  # [inputs, rank]: A, transposed
    up: torch.Tensor | None  # [rank, outputs]: B, transposed
    scale: float
    bias: torch.Tensor | None = None  # [outputs]: by how much the trained bias differs from the base's

    def changes_something(self) -> bool:
        """Whether any output can come out different, by |BA|² = tr(BᵀB AAᵀ) without making BA."""
        if self.bias is not None and bool(self.bias.any()):
            return True
        if self.down is None or self.scale == 0:
            return False
        down, up = self.down.double(), self.up.double()
        return bool(((up @ up.T) * (down.T @ down)).sum() > 0)

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        """Add the update in place. Both are [tokens, width]."""
        if self.down is not None and inputs.dtype == self.down.dtype:
            outputs.addmm_(inputs @ self.down, self.up, alpha=self.scale)
        elif self.down is not None:  # like PEFT: in the adapter's precision, rounded once
            inputs = inputs.to(self.down.dtype)
            outputs.copy_(outputs.to(self.down.dtype).addmm_(inputs @ self.down, self.up, alpha=self.scale))
        if self.bias is not None:
            outputs.add_(self.bias.to(outputs.dtype))


@dataclass(eq=False)
class LoadedAdapter:
    """One adapter whose weights are in memory."""

    id: str
    name: str
    folder: Path
    sha256: str  # of the weights that were read
    updates: dict[str, Update]  # by the module's name in the base
    layers_changed: int
    tokenizer: ChatTokenizer | None = None  # its own, where it brings tokens that the base's does not know
    front: Front | None = None  # a learned prompt or prefix, where the method has one
    self_check: str | None = None  # how the comparison with PEFT went
    alone: bool = False  # its rows would not be right in a shared batch; PEFT puts it on the whole model instead

    def proof(self) -> dict:
        return {
            "adapter": self.id,
            "name": self.name,
            "sha256": self.sha256,
            "layers_changed": self.layers_changed,
            "self_check": self.self_check,
        }


class RowAdapters:
    """Puts a different adapter on each row of the model's batch. The model itself is never changed.

    A hook on each module adds every adapter's update to its own slice of the output: rows of the base are what the
    plain model computes, and nothing is gathered or scattered.
    """

    def __init__(self, model):
        self.model = model
        self._rows: list[LoadedAdapter | None] = []
        self._hooks: list = []

    def put_on(self, rows: list[LoadedAdapter | None]) -> None:
        """rows[i] answers in row i; rows with the same adapter stand together."""
        if rows == self._rows:
            return
        for hook in self._hooks:
            hook.remove()
        spans: dict[str, list[tuple[int, int, Update]]] = {}
        start = 0
        for adapter, same in groupby(rows):
            stop = start + len(list(same))
            for name, update in adapter.updates.items() if adapter else ():
                spans.setdefault(name, []).append((start, stop, update))
            start = stop
        self._hooks = [
            self.model.get_submodule(name).register_forward_hook(_adding(parts, start)) for name, parts in spans.items()
        ]
        self._rows = list(rows)


def _adding(spans: list[tuple[int, int, Update]], rows: int):
    def add_updates(_module, inputs, outputs):
        inputs, outputs = inputs[0].flatten(0, -2), outputs.view(-1, outputs.shape[-1])
        tokens = len(outputs) // rows  # some models (OPT) have rows and tokens in one dimension already
        for start, stop, update in spans:
            update.add_to(outputs[start * tokens : stop * tokens], inputs[start * tokens : stop * tokens])

    return add_updates


class AdaptersInMemory:
    """The adapters of one base model, loaded on demand; the one not used for longest goes first."""

    def __init__(self, model, fingerprint: str | None, most: int = MOST_IN_MEMORY):
        self.model, self.fingerprint, self.most = model, fingerprint, most
        self._loaded: OrderedDict[str, tuple[tuple, LoadedAdapter]] = OrderedDict()

    def __contains__(self, id: str) -> bool:
        return id in self._loaded

    def get(self, id: str, folder: Path, name: str = "", in_use: Iterable[str] = ()) -> LoadedAdapter:
        """The adapter, read again when its file has changed. Raises BadInput when it cannot be used on this base."""
        found = _identity(id, AdapterFolder(folder))
        seen, adapter = self._loaded.pop(id, (None, None))
        if seen != found:
            adapter = load_adapter(self.model, self.fingerprint, id, folder, name)
        self._loaded[id] = (found, adapter)
        self._evict({id, *in_use})
        return adapter

    def forget(self, id: str) -> None:
        self._loaded.pop(id, None)

    def _evict(self, in_use: set[str]) -> None:
        idle = [id for id in self._loaded if id not in in_use]
        for id in idle[: max(0, len(self._loaded) - self.most)]:
            del self._loaded[id]


def _identity(id: str, folder: AdapterFolder) -> tuple:
    try:
        about = folder.weights.stat()
    except OSError:
        raise NotFound("adapter", id) from None
    return about.st_ino, about.st_size, about.st_mtime_ns


def load_adapter(model, fingerprint: str | None, id: str, path: Path, name: str = "") -> LoadedAdapter:
    """Read and check one adapter. Raises BadInput naming the tensor when it does not belong on this model."""
    folder = AdapterFolder(path)
    name = name or id
    check_fingerprint(folder, name, fingerprint)
    values = read_values(folder, name)
    content = folder.weights.read_bytes()
    try:
        tensors = load_tensors(content)
    except Exception as error:  # safetensors raises its own bare exception type
        raise refused(name, f"its weights are no safetensors file ({clip(error)})") from error
    about = {"id": id, "name": name, "folder": Path(path), "sha256": hashlib.sha256(content).hexdigest()}
    config = checked_config({key: value for key, value in values.items() if key not in ONLY_BY_PEFT}, name)
    if needs_peft(values):
        try_with_peft(model, folder, values, tensors, name)
        by_peft = {"tokenizer": own_tokenizer(folder, values), "self_check": BY_PEFT, "alone": True}
        return LoadedAdapter(**about, updates={}, layers_changed=modules_learned(tensors), **by_peft)
    updates = _updates(model, config, tensors, name)
    changed = sum(update.changes_something() for update in updates.values())
    return LoadedAdapter(**about, updates=updates, layers_changed=changed)


def _updates(model, config, tensors: dict[str, torch.Tensor], name: str) -> dict[str, Update]:
    """The update of each module. Every tensor must be expected, and every expected one must be there."""
    for key, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise refused(name, f"'{clip(key)}' holds numbers that are not finite")
    left = dict(tensors)
    biases = _bias_changes(model, left, name) if config.bias != "none" else {}
    updates = {}
    for module_name, (rank, scale) in expected_modules(model, config, name).items():
        inputs, outputs = sides(model.get_submodule(module_name))
        down = _taken(left, f"base_model.model.{module_name}.lora_A.weight", (rank, inputs), name)
        up = _taken(left, f"base_model.model.{module_name}.lora_B.weight", (outputs, rank), name)
        device, dtype = model.device, torch.promote_types(down.dtype, torch.float32)  # as PEFT does
        down, up = (matrix.to(device, dtype).T.contiguous() for matrix in (down, up))
        updates[module_name] = Update(down, up, scale, biases.pop(module_name, None))
    if left:
        raise refused(name, f"it holds '{clip(next(iter(left)), 120)}', which has no place in this base model")
    return updates | {module_name: Update(None, None, 0.0, bias) for module_name, bias in biases.items()}


def _bias_changes(model, left: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """By how much each trained bias differs from the base's; takes them out of `left`."""
    changes = {}
    for key in [key for key in left if key.endswith(".bias")]:
        module_name = key.removeprefix("base_model.model.").removesuffix(".bias").removesuffix(".base_layer")
        try:
            bias = model.get_submodule(module_name).bias
        except AttributeError:
            bias = None
        if not isinstance(bias, torch.Tensor):
            raise refused(name, f"it holds '{clip(key, 120)}', which has no place in this base model")
        trained = _taken(left, key, tuple(bias.shape), name)
        changes[module_name] = trained.to(bias.device, torch.float32) - bias.float()
    return changes


def _taken(left: dict[str, torch.Tensor], key: str, shape: tuple[int, ...], name: str) -> torch.Tensor:
    if key not in left:
        raise refused(name, f"'{clip(key, 120)}' is missing from its weights")
    tensor = left.pop(key)
    if tuple(tensor.shape) != shape:
        raise refused(name, f"'{clip(key, 120)}' has the shape {tuple(tensor.shape)} and the base model needs {shape}")
    return tensor
