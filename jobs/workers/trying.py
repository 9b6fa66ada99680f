"""Faster ways of the same step, each tried on the model itself: kept when loss and gradients stay what they were."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from jobs.workers import attention, fusing
from jobs.workers.last_layer import last_layer_of

if TYPE_CHECKING:
    from jobs.workers.engine import Engine

STIR = (
    0.02  # standard deviation of what is added to the learned matrices while a way is tried; LoRA's B starts as zeros
)


def choose_fused(engine: "Engine") -> str:
    """Compute LoRA by fused functions where they give what PEFT's own layers give."""
    learned = [parameter for name, parameter in engine.model.named_parameters() if is_lora(name, parameter)]
    if not learned:
        return "The method's layers are computed by PEFT."
    with stirred(learned):
        expected = outcome(engine)
        for mlps in (True, False):
            engine.fused = fusing.fuse(engine.causal, lambda: outcome(engine), mlps)
            with contextlib.suppress(Exception):  # whatever an unknown layer stumbles over, PEFT's own forward is right
                if engine.fused.layers and same(outcome(engine), expected):
                    return f"{engine.fused.layers} LoRA layers are computed by fused functions."
            engine.undo_fusing()
    return "LoRA layers are computed by PEFT: the fused functions are not for them."


def choose_last_layer(engine: "Engine") -> str:
    """Compute the last layer only where something is learned, where that changes nothing."""
    everywhere = "The last layer is computed at every position."
    last = last_layer_of(engine.causal.get_decoder())
    if last is None:
        return everywhere
    learned = [parameter for name, parameter in engine.model.named_parameters() if is_lora(name, parameter)]
    with stirred(learned):
        expected = outcome(engine)
        last.install()
        engine.last_layer = last
        with contextlib.suppress(Exception):
            if same(outcome(engine), expected):
                return "The last layer is computed only where something is learned."
    last.remove()
    engine.last_layer = None
    return everywhere


def is_lora(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.requires_grad and "lora_" in name


@contextlib.contextmanager
def stirred(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Other values for a while, the same each time. What is drawn afterwards is not changed by it."""
    before = [parameter.detach().clone() for parameter in parameters]
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(STIR * torch.randn(parameter.shape, generator=noise).to(parameter))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, values in zip(parameters, before, strict=True):
                parameter.copy_(values)


def outcome(engine: "Engine") -> list[torch.Tensor]:
    """Losses of the probes' tokens and the gradients of everything trained, as the engine computes them now."""
    parameters = [parameter for parameter in engine.model.parameters() if parameter.requires_grad]
    batch = engine.micro_batch(engine.probes())
    with attention.DOCUMENTS.of(batch.lengths):
        with engine.autocast():
            losses = engine.token_losses(batch)
        if parameters:
            losses.sum().backward()
    gradients = [torch.zeros(()) if each.grad is None else each.grad for each in parameters]
    for parameter in parameters:
        parameter.grad = None
    return [losses.detach(), *gradients]


def same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    """Every tensor close to its counterpart; gradients that are tiny beside the largest are rounding, and need not be."""
    least = 1e-3 * max((each.float().abs().max() for each in expected[1:]), default=1.0)
    return close(found[0], expected[0]) and all(
        close(one, other, least) for one, other in zip(found[1:], expected[1:], strict=True)
    )


def close(found: torch.Tensor, expected: torch.Tensor, least: float = 1e-3) -> bool:
    """Equal within the rounding of their dtype, by the size of the expected values (at least `least`)."""
    if found.shape != expected.shape:
        return False
    tolerance = 1e-4 if expected.dtype == torch.float32 else 3e-2
    apart, size = (found.float() - expected.float()).abs().max(), expected.float().abs().max()
    return bool(apart <= tolerance * size.clamp_min(least))
