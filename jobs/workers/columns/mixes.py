"""Mixes: the base plus a weighted sum of several adapters' updates. The weights may change from one token to the next.

A module computes base(x) + Σ weightᵢ · (what adapter i alone adds to base(x)). For LoRA, AdaLoRA and VeRA that is one pair of
matrices, those of the adapters side by side, with a factor for each of their ranks: new weights are new factors. IA3's
factors and OFT's rotations are linear in the base's weights as well, so that their share of the change has a sum, too.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from jobs.workers.adapters_in_memory import LoadedAdapter
from jobs.workers.row_updates import OutputFactors, RowUpdate, SharedUpdate, Update
from studio.errors import Invalid, clip
from studio.lab_settings import sum_in_words
from studio.tokens import ChatTokenizer

MOST_IN_MEMORY = 4  # stacks; those answering now live as long as their answers


@dataclass(frozen=True, eq=False)
class StackedUpdate:
    """What several adapters do to one module. The number beside a part says whose it is."""

    down: torch.Tensor | None  # [inputs, ranks of all]
    up: torch.Tensor | None  # [ranks of all, outputs]
    scales: torch.Tensor | None  # [ranks of all]
    owners: torch.Tensor | None  # [ranks of all]
    biases: list[tuple[int, torch.Tensor]]
    scaling: list[tuple[int, OutputFactors]]
    turning: list[tuple[int, RowUpdate]]


@dataclass(eq=False)
class Stack:
    """The updates of these adapters, put together once for all mixes of them, whatever their weights."""

    parts: tuple[LoadedAdapter, ...]
    modules: dict[str, StackedUpdate]
    tokenizer: ChatTokenizer | None
    self_check: str | None = None


class Mix:
    """One answer's mix. It takes the place of a LoadedAdapter in a batch."""

    front = None
    alone = False

    def __init__(self, id: str, stack: Stack, weights: list[float]):
        self.id, self.stack = id, stack
        self.updates = {module: MixedUpdate(update) for module, update in stack.modules.items()}
        self.changes: list[dict] = []
        self.set_weights(weights)

    @property
    def tokenizer(self) -> ChatTokenizer | None:
        return self.stack.tokenizer

    def set_weights(self, weights: list[float], at_token: int | None = None) -> None:
        """From the next token on. `at_token` is how many had been written when they changed."""
        self.weights = list(weights)
        for update in self.updates.values():
            update.set_weights(self.weights)
        if at_token is not None:
            self.changes.append({"at_token": at_token, "weights": self.weights})

    def layers_changed(self) -> int:
        """Modules to which an adapter whose weight is not 0 does something."""
        changed = set()
        for part, weight in zip(self.stack.parts, self.weights, strict=True):
            if weight:
                changed |= {module for module, update in part.updates.items() if update.changes_something()}
        return len(changed)

    def proof(self) -> dict:
        parts = zip(self.stack.parts, self.weights, strict=True)
        mixed = [{**part.proof(), "weight": weight} for part, weight in parts]
        name = sum_in_words((part["weight"], part["name"]) for part in mixed)
        said = {"name": name, "sha256": None, "layers_changed": self.layers_changed()}
        changed = {"weights_changed": self.changes} if self.changes else {}
        return {"adapter": None, "mix": mixed, **said, "self_check": self.stack.self_check, **changed}


class MixedUpdate(RowUpdate):
    """What a mix does to one module for its own rows."""

    def __init__(self, stacked: StackedUpdate):
        self.stacked = stacked
        self.turns_inputs = bool(stacked.turning)
        self._given: torch.Tensor | None = None

    def set_weights(self, weights: list[float]) -> None:
        stacked, self.weights = self.stacked, weights
        if stacked.owners is not None:
            each = torch.tensor(weights, dtype=stacked.scales.dtype, device=stacked.owners.device)
            self.gains = stacked.scales * each[stacked.owners]  # [ranks of all]
        self.bias = sum(weights[owner] * bias for owner, bias in stacked.biases) if stacked.biases else None
        if stacked.scaling:
            self.factors = 1 + sum(weights[owner] * (each.factors - 1) for owner, each in stacked.scaling)

    def before(self, inputs: torch.Tensor) -> torch.Tensor:
        self._given = inputs.clone()  # the matrices beside the module see what the base's would have seen
        wide = inputs.float()
        turned = wide + sum(weight * (each.before(wide) - wide) for weight, each in self._turning())
        return turned.to(inputs.dtype)

    def _turning(self) -> Iterable[tuple[float, RowUpdate]]:
        return ((self.weights[owner], each) for owner, each in self.stacked.turning)

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        if self._given is not None:
            inputs, self._given = self._given, None
        if self.stacked.scaling:
            outputs.copy_(outputs.to(self.factors.dtype) * self.factors)
        if self.stacked.down is not None:
            update = (inputs.to(self.stacked.down.dtype) @ self.stacked.down) * self.gains
            if outputs.dtype == update.dtype:
                outputs.addmm_(update, self.stacked.up)
            else:  # like PEFT: in the adapter's precision, rounded once
                outputs.copy_(outputs.to(update.dtype).addmm_(update, self.stacked.up))
        if self.bias is not None:
            outputs.add_(self.bias.to(outputs.dtype))

    def changes_something(self) -> bool:
        return any(self.weights)


@dataclass
class StacksInMemory:
    """Stacks by their adapters; the one not used for longest goes first."""

    most: int = MOST_IN_MEMORY
    _stacks: OrderedDict[tuple, Stack] = field(default_factory=OrderedDict)

    def get(self, parts: list[LoadedAdapter], tokenizer: ChatTokenizer) -> Stack:
        """Raises Invalid naming the adapter that has no place in a sum. `tokenizer` is the base's."""
        key = tuple((part.id, part.sha256) for part in parts)
        stack = self._stacks.pop(key, None) or stacked(parts, tokenizer)
        self._stacks[key] = stack
        while len(self._stacks) > self.most:
            self._stacks.popitem(last=False)
        return stack


def stacked(parts: list[LoadedAdapter], tokenizer: ChatTokenizer | None) -> Stack:
    """What adapters do, put together. `tokenizer` is the base's. Raises Invalid naming the one that has no place in a sum."""
    for place, part in enumerate(parts):
        if part.front:
            raise _refused(
                part, "it is a learned prompt in front of the conversation, which nothing can be added to", place
            )
        if part.alone:
            raise _refused(part, "PEFT alone can put it on the model, and it is no sum of updates of layers", place)
        if _template(part, tokenizer) != _template(parts[0], tokenizer):
            raise _refused(part, f"it has learned in another chat template than '{clip(parts[0].name)}'", place)
    modules = dict.fromkeys(module for part in parts for module in part.updates)
    updates = {module: [(place, part.updates.get(module)) for place, part in enumerate(parts)] for module in modules}
    made = {module: _put_together([each for each in found if each[1]], parts) for module, found in updates.items()}
    return Stack(tuple(parts), made, parts[0].tokenizer)


def _put_together(found: list[tuple[int, RowUpdate]], parts: list[LoadedAdapter]) -> StackedUpdate:
    """One module's updates. Those that add become one pair of matrices."""
    adding = [(place, _as_update(each)) for place, each in found if isinstance(each, Update | SharedUpdate)]
    pairs = [(place, each) for place, each in adding if each.down is not None]
    biases = [(place, each.bias) for place, each in adding if each.bias is not None]
    scaling = [(place, each) for place, each in found if isinstance(each, OutputFactors)]
    turning = [(place, each) for place, each in found if each.turns_inputs]
    if scaling and turning:
        place = max(scaling[0][0], turning[0][0])
        raise _refused(parts[place], "it scales a layer that another one of the mix turns, which is no sum", place)
    if not pairs:
        return StackedUpdate(None, None, None, None, biases, scaling, turning)
    down, up = torch.cat([each.down for _, each in pairs], 1), torch.cat([each.up for _, each in pairs], 0)
    ranks = torch.tensor([each.down.shape[1] for _, each in pairs])
    owners = torch.tensor([place for place, _ in pairs]).repeat_interleave(ranks).to(down.device)
    scales = torch.tensor([each.scale for _, each in pairs]).repeat_interleave(ranks).to(down)
    return StackedUpdate(down, up, scales, owners, biases, scaling, turning)


def _as_update(update: Update | SharedUpdate) -> Update:
    if isinstance(update, Update):
        return update
    return Update(update.down, update.inner[:, None] * update.up * update.outer, 1.0)


def _template(part: LoadedAdapter, base: ChatTokenizer | None) -> str | None:
    """The chat template that it has learned in; the base's, where it has none of its own."""
    own = part.tokenizer or base
    return own and own.template


def _refused(part: LoadedAdapter, why: str, place: int) -> Invalid:
    return Invalid(
        f"'{clip(part.name)}' cannot be part of a mix: {why}.",
        "Take it out of the mix; in a column of its own it answers.",
        f"mix.{place}.adapter",
    )
