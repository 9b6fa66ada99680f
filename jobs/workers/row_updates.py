"""Row updates: what an adapter does to one module for its own rows of a batch, before or after the base's module computes."""

from dataclasses import dataclass

import torch


class RowUpdate:
    """Does nothing. What stands below changes a module's inputs, its outputs, or both; all are [tokens, width]."""

    turns_inputs = False
    """Whether `before` does something."""

    def before(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the module is given in place of these inputs."""
        return inputs

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        """Change the module's outputs in place. `inputs` is what the module was given."""

    def changes_something(self) -> bool:
        """Whether any output can come out different."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Update(RowUpdate):
    """Of LoRA and AdaLoRA: outputs + inputs @ down @ up * scale + bias."""

    down: torch.Tensor | None  # [inputs, rank]: A, transposed
    up: torch.Tensor | None  # [rank, outputs]: B, transposed
    scale: float
    bias: torch.Tensor | None = None  # [outputs]: by how much the trained bias differs from the base's

    def changes_something(self) -> bool:
        """By |BA|² = tr(BᵀB AAᵀ), without making BA."""
        if self.bias is not None and bool(self.bias.any()):
            return True
        if self.down is None or self.scale == 0:
            return False
        down, up = self.down.double(), self.up.double()
        return bool(((up @ up.T) * (down.T @ down)).sum() > 0)

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        if self.down is not None and inputs.dtype == self.down.dtype:
            outputs.addmm_(inputs @ self.down, self.up, alpha=self.scale)
        elif self.down is not None:  # like PEFT: in the adapter's precision, rounded once
            inputs = inputs.to(self.down.dtype)
            outputs.copy_(outputs.to(self.down.dtype).addmm_(inputs @ self.down, self.up, alpha=self.scale))
        if self.bias is not None:
            outputs.add_(self.bias.to(outputs.dtype))


@dataclass(frozen=True, eq=False)
class SharedUpdate(RowUpdate):
    """Of VeRA: outputs + ((inputs @ down) * inner) @ up * outer. The matrices are views of those that all layers share."""

    down: torch.Tensor  # [inputs, rank]
    up: torch.Tensor  # [rank, outputs]
    inner: torch.Tensor  # [rank]
    outer: torch.Tensor  # [outputs]

    def changes_something(self) -> bool:
        return bool(self.inner.any() and self.outer.any())

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        update = (inputs.to(self.down.dtype) @ self.down * self.inner) @ self.up * self.outer
        outputs.copy_(outputs.to(update.dtype).add_(update))


@dataclass(frozen=True, eq=False)
class OutputFactors(RowUpdate):
    """Of IA3: outputs * factors, the base's bias included."""

    factors: torch.Tensor  # [outputs]

    def changes_something(self) -> bool:
        return bool((self.factors != 1).any())

    def add_to(self, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
        outputs.copy_(outputs.to(self.factors.dtype) * self.factors)


@dataclass(frozen=True, eq=False)
class InputFactors(RowUpdate):
    """Of IA3 in the last layer of a feed-forward block: the module is given inputs * factors."""

    factors: torch.Tensor  # [inputs]
    turns_inputs = True

    def changes_something(self) -> bool:
        return bool((self.factors != 1).any())

    def before(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs.to(self.factors.dtype) * self.factors).to(inputs.dtype)


@dataclass(frozen=True, eq=False)
class Rotation(RowUpdate):
    """Of OFT: the module is given inputs that are turned, each block by its own matrix."""

    blocks: torch.Tensor  # [blocks, size, size]
    turns_inputs = True

    def changes_something(self) -> bool:
        return bool((self.blocks != torch.eye(self.blocks.shape[-1], device=self.blocks.device)).any())

    def before(self, inputs: torch.Tensor) -> torch.Tensor:
        count, size, _ = self.blocks.shape
        split = inputs.to(self.blocks.dtype).unflatten(-1, (count, size))
        return torch.einsum("trk,rkc->trc", split, self.blocks).flatten(-2).to(inputs.dtype)
