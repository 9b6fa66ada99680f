"""LoRA's forward and backward as whole autograd functions: fewer passes over memory, and nothing kept that is cheap to compute again.

The base is frozen, so its weights get no gradient; A and B are small, so their products ride on the base's own through
`addmm(alpha=)`; linear layers that share an input (q/k/v, gate/up) multiply with all their A at once. A gated MLP keeps
its input and the two projections and computes everything between them again in the backward pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Projection:
    """A frozen linear layer with the LoRA branch beside it; one without a branch has no A and B (rank 0)."""

    base: torch.nn.Module  # nn.Linear, or Conv1D, which keeps its weights transposed
    transposed: bool
    a: torch.nn.Parameter | None = None  # [rank, inputs]
    b: torch.nn.Parameter | None = None  # [outputs, rank]
    scale: float = 1.0
    dropout: float = 0.0

    @property
    def weight(self) -> Tensor:
        """[outputs, inputs]"""
        return self.base.weight.t() if self.transposed else self.base.weight

    @property
    def learned(self) -> tuple[Tensor, ...]:
        return () if self.a is None else (self.a, self.b)

    def apply(self, rows: Tensor, low: "Low | None") -> Tensor:
        """rows [n, inputs] -> [n, outputs]; `low` is what the branch makes of them at its narrowest."""
        weight = self.weight.t()
        out = rows.mm(weight) if self.base.bias is None else torch.addmm(self.base.bias, rows, weight)
        return out if low is None else out.addmm_(low.values, self.b.to(rows.dtype).t(), alpha=low.scale)


@dataclass(frozen=True)
class Low:
    """Inputs of one layer, or what is left of them after dropout, times A."""

    values: Tensor  # [n, rank]
    dropped: Tensor | None  # int32: flat positions of the inputs that were left out
    scale: float  # of the branch; divided by the share that is kept

    @property
    def kept_for_backward(self) -> list[Tensor]:
        return [self.values] + ([] if self.dropped is None else [self.dropped])


def dropped_positions(count: int, share: float, device: torch.device) -> Tensor:
    """Flat positions among `count` that are left out, each independently with probability `share`; some come twice.

    The number of hits is Poisson distributed and each hit falls anywhere, so every position is hit independently with
    probability 1 - exp(-rate): a few random numbers for the few that go, instead of one for each that stays.
    """
    rate = -math.log1p(-share) * count
    hits = int(torch.poisson(torch.tensor(rate, dtype=torch.float64)))
    return torch.randint(count, (hits,), dtype=torch.int32 if count < 2**31 else torch.int64, device=device)


def without(rows: Tensor, dropped: Tensor) -> Tensor:
    """A copy of the rows with zeros at these positions."""
    return rows.clone(memory_format=torch.contiguous_format).view(-1).index_fill_(0, dropped.long(), 0).view_as(rows)


def narrowed(rows: Tensor, projections: list[Projection], dropping: bool) -> list[Low | None]:
    """What each projection's branch makes of the rows at its narrowest: all A in one product where nothing is dropped."""
    found: list[Low | None] = [None] * len(projections)
    together = []
    for index, each in enumerate(projections):
        if each.a is None:
            continue
        if dropping and each.dropout:
            dropped = dropped_positions(rows.numel(), each.dropout, rows.device)
            values = without(rows, dropped).mm(each.a.to(rows.dtype).t())
            found[index] = Low(values, dropped, each.scale / (1 - each.dropout))
        else:
            together.append(index)
    if together:
        values = rows.mm(stacked(projections, together, rows.dtype).t())
        for index, part in zip(
            together, values.split([projections[i].a.shape[0] for i in together], dim=1), strict=True
        ):
            found[index] = Low(part, None, projections[index].scale)
    return found


def stacked(projections: list[Projection], chosen: list[int], dtype: torch.dtype) -> Tensor:
    every = [projections[index].a.to(dtype) for index in chosen]
    return every[0] if len(every) == 1 else torch.cat(every)


def backward_of(
    rows: Tensor, projections: list[Projection], lows: list[Low | None], upstream: list[Tensor | None], wants_rows: bool
) -> tuple[Tensor | None, list[Tensor | None]]:
    """Gradients of the rows (None where nothing below is trained) and of every A and B, in the projections' order."""
    gradient, learned = None, []
    below: dict[int, Tensor] = {}  # gradient at the narrowest, of the branches without dropout
    places: dict[int, int] = {}
    for index, (each, low, out) in enumerate(zip(projections, lows, upstream, strict=True)):
        if out is None:
            learned += [None] * len(each.learned)
            continue
        if wants_rows:
            gradient = out.mm(each.weight) if gradient is None else gradient.addmm_(out, each.weight)
        if low is None:
            continue
        narrow = out.mm(each.b.to(out.dtype)).mul_(low.scale)
        places[index] = len(learned)
        learned += [None, low.values.t().mm(out).mul_(low.scale).t().to(each.b.dtype)]
        if low.dropped is None:
            below[index] = narrow
        else:
            learned[places[index]] = narrow.t().mm(without(rows, low.dropped)).to(each.a.dtype)
            if wants_rows:
                gradient.add_(without(narrow.mm(each.a.to(out.dtype)), low.dropped))
    if below:
        narrow = next(iter(below.values())) if len(below) == 1 else torch.cat(list(below.values()), dim=1)
        sizes = [each.shape[1] for each in below.values()]
        for index, part in zip(below, narrow.t().mm(rows).split(sizes), strict=True):
            learned[places[index]] = part.to(projections[index].a.dtype)
        if wants_rows:
            gradient.addmm_(narrow, stacked(projections, list(below), rows.dtype))
    return gradient, learned


def keep(ctx, lows: list[Low | None], *tensors: Tensor) -> None:
    """For the backward pass. The tensors of `lows` come after the others; their numbers are kept as they are."""
    ctx.shapes = [None if low is None else (low.dropped is not None, low.scale) for low in lows]
    ctx.save_for_backward(*tensors, *(tensor for low in lows if low for tensor in low.kept_for_backward))


def kept(ctx, count: int) -> tuple[tuple[Tensor, ...], list[Low | None]]:
    tensors = list(ctx.saved_tensors)
    rest = iter(tensors[count:])
    lows = [
        None if shape is None else Low(next(rest), next(rest) if shape[0] else None, shape[1]) for shape in ctx.shapes
    ]
    return tuple(tensors[:count]), lows


class SharedInput(torch.autograd.Function):
    """The outputs of linear layers that get the same input."""

    @staticmethod
    def forward(ctx, x, projections, dropping, *learned):
        """x [..., inputs] -> one [..., outputs] per projection. `learned`: every projection's A and B, for autograd."""
        rows = x.reshape(-1, x.shape[-1])
        lows = narrowed(rows, projections, dropping)
        ctx.projections = projections
        ctx.set_materialize_grads(False)
        keep(ctx, lows, x)
        return tuple(each.apply(rows, low).view(*x.shape[:-1], -1) for each, low in zip(projections, lows, strict=True))

    @staticmethod
    def backward(ctx, *upstream):
        (x,), lows = kept(ctx, 1)
        rows = x.reshape(-1, x.shape[-1])
        flat = [None if each is None else each.reshape(-1, each.shape[-1]) for each in upstream]
        gradient, learned = backward_of(rows, ctx.projections, lows, flat, ctx.needs_input_grad[0])
        return None if gradient is None else gradient.view_as(x), None, None, *learned


@dataclass(frozen=True)
class Activation:
    """What the gate goes through."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[..., Tensor]  # (upstream, gate, grad_input=): may write over `upstream`


def gelu(approximate: str) -> Activation:
    def backward(upstream, gate, grad_input):
        return torch.ops.aten.gelu_backward.grad_input(upstream, gate, approximate=approximate, grad_input=grad_input)

    return Activation(lambda gate: functional.gelu(gate, approximate=approximate), backward)


ACTIVATIONS = (
    Activation(functional.silu, torch.ops.aten.silu_backward.grad_input),
    gelu("tanh"),
    gelu("none"),
)


class GatedMlp(torch.autograd.Function):
    """down(activation(gate(x)) · up(x)), of which only x, gate(x) and up(x) are kept."""

    @staticmethod
    def forward(ctx, x, pair, down, activation, dropping, *learned):
        """x [..., size] -> [..., size]. `pair`: gate and up; `learned`: A and B of gate, up and down, for autograd."""
        rows = x.reshape(-1, x.shape[-1])
        lows = narrowed(rows, pair, dropping)
        gate, up = (each.apply(rows, low) for each, low in zip(pair, lows, strict=True))
        inner = activation.forward(gate).mul_(up)
        [low] = narrowed(inner, [down], dropping)
        ctx.pair, ctx.down, ctx.activation = pair, down, activation
        keep(ctx, [*lows, low], x, gate, up)
        return down.apply(inner, low).view(x.shape)

    @staticmethod
    def backward(ctx, upstream):
        (x, gate, up), (*lows, low) = kept(ctx, 3)
        rows, upstream = x.reshape(-1, x.shape[-1]), upstream.reshape(-1, upstream.shape[-1])
        active = ctx.activation.forward(gate)
        inner = active * up
        gradient, of_down = backward_of(inner, [ctx.down], [low], [upstream], True)
        torch.mul(gradient, up, out=inner)
        of_gate = ctx.activation.backward(inner, gate, grad_input=inner)
        of_up = gradient.mul_(active)
        del active
        gradient, of_pair = backward_of(rows, ctx.pair, lows, [of_gate, of_up], ctx.needs_input_grad[0])
        return None if gradient is None else gradient.view_as(x), None, None, None, None, *of_pair, *of_down
