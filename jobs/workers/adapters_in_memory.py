"""Adapters in memory: read from their folders when asked for, checked against the base, added to chosen rows of a batch."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors

from jobs.workers.adapter_checks import (
    Weights,
    check_fingerprint,
    checked_config,
    expected_modules,
    read_values,
    refused,
    sides,
)
from jobs.workers.adapter_kinds import read_other
from jobs.workers.by_peft import BY_PEFT, ONLY_BY_PEFT, modules_learned, needs_peft, own_tokenizer, try_with_peft
from jobs.workers.fronts import Front
from jobs.workers.row_updates import RowUpdate, Update
from studio.errors import NotFound, clip
from studio.folders import AdapterFolder
from studio.tokens import ChatTokenizer

MOST_IN_MEMORY = 8  # adapters; those answering now are never evicted


@dataclass(eq=False)
class LoadedAdapter:
    """One adapter whose weights are in memory."""

    id: str
    name: str
    folder: Path
    sha256: str  # of the weights that were read
    updates: dict[str, RowUpdate]  # by the module's name in the base
    layers_changed: int
    tokenizer: ChatTokenizer | None = None  # its own, where it brings tokens that the base's does not know
    front: Front | None = None  # a learned prompt or prefix, where the method has one
    self_check: str | None = None  # how the comparison with PEFT went
    alone: bool = False  # its rows would not be right in a shared batch; PEFT puts it on the whole model instead
    checkpoint: dict | None = None  # {"run", "step"} where it is what a run had learned by then

    def proof(self) -> dict:
        who = {"adapter": None, "checkpoint": self.checkpoint} if self.checkpoint else {"adapter": self.id}
        said = {name: getattr(self, name) for name in ("name", "sha256", "layers_changed", "self_check")}
        return {**who, **said} | ({"virtual_tokens": self.front.tokens} if self.front else {})


class RowAdapters:
    """Puts a different adapter on each row of the model's batch. The model itself is never changed.

    Hooks on each module let every adapter change its own slice of the inputs and outputs: rows of the base are what
    the plain model computes, and nothing is gathered or scattered.
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
        spans: dict[str, list[tuple[int, int, RowUpdate]]] = {}
        start = 0
        for adapter, same in groupby(rows):
            stop = start + len(list(same))
            for name, update in adapter.updates.items() if adapter else ():
                spans.setdefault(name, []).append((start, stop, update))
            start = stop
        self._hooks = []
        for name, parts in spans.items():
            module = self.model.get_submodule(name)
            if any(update.turns_inputs for _, _, update in parts):
                self._hooks.append(module.register_forward_pre_hook(_turning(parts, start)))
            self._hooks.append(module.register_forward_hook(_adding(parts, start)))
        self._rows = list(rows)


def _turning(spans: list[tuple[int, int, RowUpdate]], rows: int):
    def turn_inputs(_module, inputs):
        whole = inputs[0].clone()  # other modules are given the same tensor
        flat = whole.view(-1, whole.shape[-1])
        tokens = len(flat) // rows
        for start, stop, update in spans:
            if update.turns_inputs:
                own = slice(start * tokens, stop * tokens)
                flat[own] = update.before(flat[own])
        return (whole, *inputs[1:])

    return turn_inputs


def _adding(spans: list[tuple[int, int, RowUpdate]], rows: int):
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
    if values.get("peft_type") != "LORA":
        found = read_other(model, values, Weights(tensors, model.device, name))
        if isinstance(found, Front):
            return LoadedAdapter(**about, updates={}, layers_changed=0, front=found)
        return LoadedAdapter(**about, updates=found, layers_changed=_changed(found))
    config = checked_config({key: value for key, value in values.items() if key not in ONLY_BY_PEFT}, name)
    if needs_peft(values, tensors):
        try_with_peft(model, folder, values, tensors, name)
        by_peft = {"tokenizer": own_tokenizer(folder, values), "self_check": BY_PEFT, "alone": True}
        return LoadedAdapter(**about, updates={}, layers_changed=modules_learned(tensors), **by_peft)
    updates = _updates(model, config, Weights(tensors, model.device, name))
    return LoadedAdapter(**about, updates=updates, layers_changed=_changed(updates))


def _changed(updates: dict[str, RowUpdate]) -> int:
    return sum(update.changes_something() for update in updates.values())


def _updates(model, config, weights: Weights) -> dict[str, RowUpdate]:
    """The update of each module. Every tensor must be expected, and every expected one must be there."""
    biases = _bias_changes(model, weights) if config.bias != "none" else {}
    updates = {}
    for module_name, (rank, scale) in expected_modules(model, config, weights.name).items():
        inputs, outputs = sides(model.get_submodule(module_name))
        down = weights.take(f"base_model.model.{module_name}.lora_A.weight", (rank, inputs)).T.contiguous()
        up = weights.take(f"base_model.model.{module_name}.lora_B.weight", (outputs, rank)).T.contiguous()
        updates[module_name] = Update(down, up, scale, biases.pop(module_name, None))
    weights.all_taken()
    return updates | {module_name: Update(None, None, 0.0, bias) for module_name, bias in biases.items()}


def _bias_changes(model, weights: Weights) -> dict[str, torch.Tensor]:
    """By how much each trained bias differs from the base's; takes them out of the weights."""
    changes = {}
    for key in [key for key in weights.left if key.endswith(".bias")]:
        module_name = key.removeprefix("base_model.model.").removesuffix(".bias").removesuffix(".base_layer")
        try:
            bias = model.get_submodule(module_name).bias
        except AttributeError:
            bias = None
        if not isinstance(bias, torch.Tensor):
            raise refused(weights.name, f"it holds '{clip(key, 120)}', which has no place in this base model")
        changes[module_name] = weights.take(key, tuple(bias.shape)).to(bias.device) - bias.float()
    return changes
