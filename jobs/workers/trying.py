"""Faster ways of the same step, each tried on the model itself: kept when loss and gradients stay what they were."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from jobs.workers import attention, fused_norm, fusing
from jobs.workers.last_layer import last_layer_of
from jobs.workers.packing import Example

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
                if engine.fused.layers and same(outcome(engine), expected, engine.exact):
                    return f"{engine.fused.layers} LoRA layers are computed by fused functions."
            engine.undo_fusing()
    return "LoRA layers are computed by PEFT: the fused functions are not for them."


def choose_norms(engine: "Engine") -> str:
    """Compute frozen RMSNorms as one function each, where that gives what the model's own give."""
    own = "The model's normalisations are computed by its own code."
    found = fused_norm.norms(engine.causal)
    if not found:
        return own
    learned = [parameter for name, parameter in engine.model.named_parameters() if is_lora(name, parameter)]
    with stirred(learned):
        expected = outcome(engine)
        for norm in found:
            norm.install()
        with contextlib.suppress(Exception):
            if same(outcome(engine), expected, engine.exact):
                return f"{len(found)} normalisations are computed by a fused function."
    for norm in found:
        norm.remove()
    return own


def choose_sharing(engine: "Engine") -> str:
    """Compute what rows have in common at their beginning once, where that gives what computing it for each gives."""
    learned = [parameter for name, parameter in engine.model.named_parameters() if is_lora(name, parameter)]
    probes = [*engine.probes(), *engine.alike_probes()]
    with stirred(learned), contextlib.suppress(Exception):  # a context that is shorter than the probes, say
        expected = outcome(engine, probes)
        engine.shares = True
        if same(outcome(engine, probes), expected, engine.exact):
            return "What rows have in common at their beginning is computed once."
    engine.shares = False
    return "What rows have in common at their beginning is computed for each of them."


def choose_attention(engine: "Engine") -> str:
    """One attention call for all documents of a packed row, where that gives what one call for each gives (CUDA)."""
    documents = attention.DOCUMENTS
    documents.at_once = False
    learned = [parameter for name, parameter in engine.model.named_parameters() if is_lora(name, parameter)]
    with stirred(learned):
        expected = outcome(engine)
        documents.at_once = True
        with contextlib.suppress(Exception):  # a head size or a card that the kernel does not take
            if same(outcome(engine), expected, engine.exact):
                return "Attention takes all rows of a sequence in one call."
    documents.at_once = False
    return "Attention takes one row of a sequence at a time."


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
            if same(outcome(engine), expected, engine.exact):
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


def outcome(engine: "Engine", probes: list[Example] | None = None) -> list[torch.Tensor]:
    """Losses of the probes' tokens and the gradients of everything trained, as the engine computes them now."""
    if probes is None:
        probes = [*engine.probes(), *(engine.alike_probes() if engine.shares else [])]
    parameters = [parameter for parameter in engine.model.parameters() if parameter.requires_grad]
    batch = engine.micro_batch(probes)
    with attention.DOCUMENTS.of(batch):
        with engine.autocast():
            losses = engine.token_losses(batch)
        if parameters:
            losses.sum().backward()
    gradients = [torch.zeros(()) if each.grad is None else each.grad for each in parameters]
    for parameter in parameters:
        parameter.grad = None
    return [losses.detach(), *gradients]


def same(found: list[torch.Tensor], expected: list[torch.Tensor], exact: bool) -> bool:
    """Losses and gradients equal within rounding: of fp32 (`exact`), or of bf16 and fp16.

    In bf16 PEFT's own gradients are 2 to 5 % off those of fp32 (in length, per matrix, measured), ours as much in another
    direction; a branch that is missing or scaled otherwise is off by far more.
    """
    each, together = (1e-4, 1e-4) if exact else (0.25, 0.06)
    lengths = [gradient.float().norm() for gradient in expected[1:]]
    apart = [(one.float() - other.float()).norm() for one, other in zip(found[1:], expected[1:], strict=True)]
    if not lengths:
        return close(found[0], expected[0], exact)
    length, least = torch.stack(lengths), 1e-3 * max(lengths)  # what is tiny beside the largest is rounding
    distance = torch.stack(apart)
    return (
        close(found[0], expected[0], exact)
        and bool((distance <= each * length.clamp_min(least)).all())
        and bool(distance.norm() <= together * length.norm())
    )


def close(found: torch.Tensor, expected: torch.Tensor, exact: bool | None = None) -> bool:
    """Equal within rounding, by the size of the expected values: of fp32 (`exact`, by default as their dtype is), or of bf16."""
    if found.shape != expected.shape:
        return False
    tolerance = 1e-4 if (expected.dtype == torch.float32 if exact is None else exact) else 3e-2
    apart, size = (found.float() - expected.float()).abs().max(), expected.float().abs().max()
    return bool(apart <= tolerance * size.clamp_min(1e-3))
