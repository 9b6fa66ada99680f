"""Base models in 4 or 8 bits by bitsandbytes: what to load them with, and what to set so that they compute exactly.

nf4 with double quantisation is QLoRA's (Dettmers et al. 2023, arXiv:2305.14314): 4 bits a weight, and one scale of 8 bits
for every 64 of them. int8 keeps one scale for each output of a layer. Both are used for the weights alone: they are turned
back into the training's precision for each product, so a row's result never depends on the rows beside it.
"""

import torch
from transformers import BitsAndBytesConfig


def loading(quantization: str, dtype: torch.dtype, device: torch.device | str) -> dict:
    """What transformers' from_pretrained is given beside the rest. The output layer stays as it is."""
    if quantization == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantization,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return {"quantization_config": config, "device_map": {"": str(device)}}


def made_exact(model):
    """The model, its layers set to compute the same in training as in evaluation, with right gradients in both.

    bitsandbytes 0.50.2 does otherwise by itself. On a CPU with AVX512-BF16 its 4-bit layers repack their weights the
    first time they are used for evaluation, from then on compute in bf16, and give wrong gradients in the training
    that goes on. Its 8-bit layers quantise their inputs too, with outliers chosen over the whole batch, except
    while training on a CPU.
    """
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    kind = weights_only()
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
        elif isinstance(module, Linear8bitLt):
            module.init_8bit_state()  # at its first use PEFT's DoRA would be in the way of it
            module.__class__ = kind
    return model


def weights_only() -> type:
    """bitsandbytes' 8-bit layer, computing the way it does while it is trained on a CPU."""
    from bitsandbytes.autograd._functions import MatMul8bitFp
    from bitsandbytes.nn import Linear8bitLt

    class WeightsIn8Bits(Linear8bitLt):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bias = None if self.bias is None else self.bias.to(x.dtype)
            return MatMul8bitFp.apply(x, self.weight, None, bias, self.state)

    return WeightsIn8Bits


def dequantized(model, dtype: torch.dtype):
    """The model with plain linear layers, whose weights are the numbers that the quantised ones stand for."""
    return model.dequantize(dtype)
