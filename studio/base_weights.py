"""A base model's weights in memory: in full, or with its linear layers in 4 or 8 bits."""

import math

from studio.model_facts import LinearLayer, ModelFacts

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
# bitsandbytes' nf4 with double quantisation: weights that share a scale of 8 bits, scales that share one of 32
WEIGHTS_PER_SCALE, SCALES_PER_SCALE = 64, 256
TABLES = 4 * (16 + 256 + 1)  # of each layer: the 16 values of nf4, those of the scales, their mean

# How anybody loads a base so: what transformers' BitsAndBytesConfig is given
SMALL = {
    "nf4": 'load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True',
    "int8": "load_in_8bit=True",
}


def weight_bytes(facts: ModelFacts, precision: str, quantization: str = "none") -> int:
    """The loaded base. Embeddings, norms, biases and the output layer are never quantised."""
    if quantization == "none":
        return facts.parameters * BYTES[precision]
    linear = sum(layer.inputs * layer.outputs for layer in facts.linear_layers)
    small = sum(layer_bytes(layer, quantization) for layer in facts.linear_layers)
    return (facts.parameters - linear) * BYTES[precision] + small


def layer_bytes(layer: LinearLayer, quantization: str) -> int:
    """One quantised layer with its scales, without its bias."""
    weights = layer.inputs * layer.outputs
    if quantization == "int8":
        return weights + 4 * layer.outputs
    scales = math.ceil(weights / WEIGHTS_PER_SCALE)
    return math.ceil(weights / 2) + scales + 4 * math.ceil(scales / SCALES_PER_SCALE) + TABLES


def largest_layer_bytes(facts: ModelFacts, precision: str, quantization: str = "none") -> int:
    """What a quantised base needs besides, while one of its layers is turned back into the training's precision."""
    if quantization == "none":
        return 0
    return max((layer.inputs * layer.outputs for layer in facts.linear_layers), default=0) * BYTES[precision]
