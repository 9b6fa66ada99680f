"""RMSNorm with frozen weights as one autograd function: fewer passes over memory, and nothing kept but its input and one number a row.

Zhang and Sennrich 2019 (arXiv:1910.07467): y = w · x / rms(x). Parameters and state dict stay the model's own.
"""

import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from jobs.workers.fusing import untouched
from jobs.workers.same_code import same_code


class FrozenRmsNorm(torch.autograd.Function):
    """x [..., size], weight [size] without a gradient -> [..., size]; all float32."""

    @staticmethod
    def forward(ctx, x, weight, epsilon):
        made = x * x  # and then written over; summed as the model's own code does, so the result is the same to the bit
        inverse = made.mean(-1, keepdim=True).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return torch.mul(x, inverse, out=made).mul_(weight)

    @staticmethod
    def backward(ctx, upstream):
        x, weight, inverse = ctx.saved_tensors
        gradient = upstream * weight
        along = (gradient * x).sum(-1, keepdim=True)  # what changes the length of x is lost to the division
        along.mul_(inverse).mul_(inverse).mul_(inverse).div_(-x.shape[-1])
        return gradient.mul_(inverse).addcmul_(x, along), None, None


class Norm:
    """One module that is computed so."""

    def __init__(self, module: torch.nn.Module):
        self.module = module

    def install(self) -> None:
        module, original = self.module, self.module.forward

        def forward(x: Tensor) -> Tensor:
            if x.dtype != torch.float32 or module.weight.requires_grad:
                return original(x)
            return FrozenRmsNorm.apply(x, module.weight, module.variance_epsilon)

        module.forward = forward

    def remove(self) -> None:
        del self.module.forward


def norms(model: torch.nn.Module) -> list[Norm]:
    """Those whose code is Llama's, in fp32 and frozen."""
    return [
        Norm(module)
        for module in model.modules()
        if isinstance(getattr(module, "weight", None), torch.nn.Parameter)
        and module.weight.dtype == torch.float32
        and not module.weight.requires_grad
        and untouched(module, type(module))
        and hasattr(module, "variance_epsilon")
        and same_code(type(module).forward, LlamaRMSNorm.forward)
    ]
