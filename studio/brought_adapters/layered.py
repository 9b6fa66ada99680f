"""AdaLoRA, VeRA, IA3 and OFT as they were brought: the other methods that change linear layers."""

import math
import re
from typing import Any

from studio.brought_adapters.found import PREFIX, FoundAdapter, Sides, module_of, refused, shaped
from studio.brought_adapters.settings import COMMON, check_known, count_of, flag_of
from studio.errors import clip
from studio.linear_layers import TRANSPOSED
from studio.lora_files import MOST_ALPHA
from studio.model_facts import ModelFacts
from studio.model_files import Tensor

Tensors = dict[str, Tensor]
TRAINING = {"init_weights", "module_dropout", "eps", "vera_dropout", "d_initial", "init_ia3_weights", "lora_dropout"}


def modules(tensors: Tensors, parts: tuple[str, ...], name: str, besides: tuple[str, ...] = ()) -> list[str]:
    """The modules that these tensors belong to, each with all its parts. Raises BadInput for a tensor of another kind."""
    endings = "|".join(map(re.escape, parts))
    pattern, found = re.compile(rf"(?P<module>.+)\.(?P<part>{endings})"), {}
    for key in tensors:
        if key in besides:
            continue
        match = pattern.fullmatch(key)
        if not match:
            raise refused(name, f"it holds '{clip(key, 120)}', which is no part of its method")
        found.setdefault(module_of(match["module"], name), set()).add(match["part"])
    for module, there in found.items():
        if missing := set(parts) - there:
            raise refused(name, f"'{clip(module, 120)}' has no {min(missing)}")
    if not found:
        raise refused(name, "its weights are empty")
    return list(found)


def read_adalora(settings: dict[str, Any], tensors: Tensors, name: str) -> FoundAdapter:
    """Each layer keeps the triplets that its pattern says."""
    schedule = {
        "total_step",
        "tinit",
        "tfinal",
        "deltaT",
        "beta1",
        "beta2",
        "orth_reg_weight",
        "target_r",
        "init_r",
        "r",
    }
    usual = {"lora_alpha", "rank_pattern", "init_lora_weights", "bias", "loftq_config", "eva_config"}
    check_known({**settings, "bias": None}, TRAINING | schedule | usual, name, {})
    alpha, start = settings.get("lora_alpha"), count_of(settings, "init_r", name)
    if type(alpha) not in (int, float) or not 0 < alpha <= MOST_ALPHA:
        raise refused(name, f"its alpha is not a number above 0 and up to {MOST_ALPHA:,}")
    said = settings.get("rank_pattern") or {}
    layers, kept, widest = {}, {}, 0
    for module in modules(tensors, ("lora_A", "lora_B", "lora_E"), name):
        at = f"{PREFIX}{module}"
        pattern = of_module(said, module, start, name)
        rank, inputs = shaped_or_none(tensors, f"{at}.lora_A", name)
        outputs, width = shaped_or_none(tensors, f"{at}.lora_B", name)
        if not rank == width == sum(pattern) or tensors[f"{at}.lora_E"].shape != (rank, 1):
            raise refused(
                name, f"its rank pattern keeps {sum(pattern)} of '{clip(module, 120)}', and its weights do not"
            )
        layers[module], kept[f"{module}.lora_E"], widest = Sides(inputs, outputs), pattern, max(widest, rank)
    clean = {
        **COMMON, "peft_type": "ADALORA", "init_r": start, "target_r": settings.get("target_r") if type(settings.get("target_r")) is int else start,
        "lora_alpha": alpha, "total_step": 1, "rank_pattern": kept if said else None, "fan_in_fan_out": flag_of(settings, "fan_in_fan_out"),
    }  # fmt: skip
    return FoundAdapter("adalora", clean, layers, rank=widest)


def shaped_or_none(tensors: Tensors, key: str, name: str) -> tuple[int, int]:
    """AdaLoRA may leave a layer no rank at all."""
    shape = tensors[key].shape
    if len(shape) != 2:
        raise refused(name, f"'{clip(key, 120)}' has the shape {shape}, which is none of its method")
    return shape


def of_module(said: Any, module: str, start: int, name: str) -> list[bool]:
    found = said.get(f"{module}.lora_E", [True] * start) if isinstance(said, dict) else None
    if not isinstance(found, list) or len(found) != start or not all(type(each) is bool for each in found):
        raise refused(name, f"its rank pattern of '{clip(module, 120)}' is not a list of what is kept")
    return found


def read_vera(settings: dict[str, Any], tensors: Tensors, name: str) -> FoundAdapter:
    """Two shared matrices, as wide as the widest of the layers."""
    check_known(
        {**settings, "bias": None}, TRAINING | {"r", "save_projection", "projection_prng_key", "bias"}, name, {}
    )
    shared = f"{PREFIX.removesuffix('model.')}vera_A", f"{PREFIX.removesuffix('model.')}vera_B"
    if not set(shared) <= tensors.keys():
        raise refused(
            name,
            "its random matrices are not in its file, and made anew they may be others",
            "Save it with save_projection=True.",
        )
    rank, widest_inputs = shaped(tensors, shared[0], 2, name)
    widest_outputs, width = shaped(tensors, shared[1], 2, name)
    if not rank == width == count_of(settings, "r", name):
        raise refused(name, f"its settings say rank {settings['r']}, and its shared matrices have {rank} and {width}")
    layers = {}
    for module in modules(tensors, ("vera_lambda_b", "vera_lambda_d"), name, besides=shared):
        [outputs] = shaped(tensors, f"{PREFIX}{module}.vera_lambda_b", 1, name)
        if shaped(tensors, f"{PREFIX}{module}.vera_lambda_d", 1, name) != (rank,):
            raise refused(name, f"the first vector of '{clip(module, 120)}' is not as long as the rank")
        layers[module] = Sides(None, outputs)

    def misfit(facts: ModelFacts) -> str | None:
        known = {layer.name: layer for layer in facts.linear_layers}
        inputs = max(known[module].inputs for module in layers)
        outputs = max(known[module].outputs for module in layers)
        if (inputs, outputs) == (widest_inputs, widest_outputs):
            return None
        return f"its shared matrices are made for {widest_inputs} inputs and {widest_outputs} outputs, and those layers have up to {inputs} and {outputs}"

    clean = {
        **COMMON,
        "peft_type": "VERA",
        "r": rank,
        "save_projection": True,
        "fan_in_fan_out": flag_of(settings, "fan_in_fan_out"),
    }
    return FoundAdapter("vera", clean, layers, rank=rank, misfit=misfit)


def read_ia3(settings: dict[str, Any], tensors: Tensors, name: str) -> FoundAdapter:
    """One factor for each output of a layer, or for each input of the last one of a feed-forward block."""
    check_known(settings, TRAINING | {"feedforward_modules"}, name, {})
    layers, ends = {}, []
    for module in modules(tensors, ("ia3_l",), name):
        high, wide = shaped(tensors, f"{PREFIX}{module}.ia3_l", 2, name)
        if 1 not in (high, wide):
            raise refused(name, f"the factors of '{clip(module, 120)}' are not in one row or column")
        layers[module] = Sides(None, high) if wide == 1 else Sides(wide, None)
        if wide != 1:
            ends.append(module)
    clean = {
        **COMMON,
        "peft_type": "IA3",
        "feedforward_modules": ends,
        "fan_in_fan_out": flag_of(settings, "fan_in_fan_out"),
    }
    return FoundAdapter("ia3", clean, layers)


def read_oft(settings: dict[str, Any], tensors: Tensors, name: str) -> FoundAdapter:
    """Half of a skew-symmetric matrix for each block of inputs; the blocks of all layers have one size."""
    reasons = {
        "block_share": "its blocks share one rotation (block_share)",
        "coft": "its rotations are held near the base (COFT)",
    }
    understood = {"oft_block_size", "r", "use_cayley_neumann", "num_cayley_neumann_terms", "bias"}
    check_known({**settings, "bias": None}, TRAINING | understood, name, reasons)
    layers, sizes = {}, set()
    for module in modules(tensors, ("oft_R.weight",), name):
        blocks, numbers = shaped(tensors, f"{PREFIX}{module}.oft_R.weight", 2, name)
        size = (1 + math.isqrt(1 + 8 * numbers)) // 2
        if size * (size - 1) // 2 != numbers:
            raise refused(name, f"{numbers} numbers are half of no skew-symmetric matrix, in '{clip(module, 120)}'")
        layers[module] = Sides(blocks * size, None)
        sizes.add(size)
    if len(sizes) > 1:
        raise refused(name, f"its layers are turned in blocks of different sizes ({clip(sorted(sizes))})")
    said = settings.get("oft_block_size")
    if said and said != next(iter(sizes)):
        raise refused(name, f"its settings say blocks of {clip(said)}, and its weights are of {next(iter(sizes))}")

    def misfit(facts: ModelFacts) -> str | None:
        transposed = facts.model_type in TRANSPOSED
        return f"OFT cannot turn the layers of {facts.architecture}, which are transposed" if transposed else None

    series = settings.get("use_cayley_neumann", True) is not False
    if series and not settings.get("peft_version"):  # named in the settings since PEFT 0.18
        raise refused(
            name,
            "it was trained with the series of PEFT before 0.18, which turns a little otherwise than today's",
            "Train it again with a newer PEFT, or with use_cayley_neumann=False.",
        )
    clean = {
        **COMMON,
        "peft_type": "OFT",
        "oft_block_size": sizes.pop(),
        "r": 0,
        "use_cayley_neumann": series,
        "peft_version": "0.18.0",
    }
    return FoundAdapter("oft", clean, layers, misfit=misfit)
