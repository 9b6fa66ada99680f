"""A LoRA adapter as files: which modules it changes, with which rank and scale, and its matrices as numbers. Read without torch.

Only a plain LoRA is read: its update of a module is exactly scale * B @ A. What adds anything else is refused by name,
because then a sum, a shorter rank or a norm of the update would not be what the adapter does.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy

from studio.errors import BadInput, clip
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.model_facts import ModelFacts
from studio.model_files import Tensor, read_header

NAMED = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")  # as PEFT names what it saves
# Settings that say what a plain LoRA's update is ...
UNDERSTOOD = {
    "r", "target_modules", "lora_alpha", "bias", "use_rslora", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern",
}  # fmt: skip
# ... and those that only matter while training, or say where it comes from. All others must be off.
WITHOUT_EFFECT = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "lora_dropout",
    "fan_in_fan_out", "init_lora_weights",
}  # fmt: skip
OFF = {
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
    "runtime_config": {"ephemeral_gpu_offload": False},
}  # as PEFT writes them
PLAIN_STARTS = (
    True,
    False,
    "gaussian",
    "orthogonal",
)  # others (PiSSA, OLoRA) also change the base when they are loaded
MOST_ALPHA = 1_000_000  # far above any that helps
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
PATTERN_KEY = re.compile(r"\^?[A-Za-z0-9_.]+\$?")  # PEFT reads these as regular expressions: only harmless ones
ODD = {
    "use_dora": "it is a DoRA, whose update also depends on the base's weights",
    "modules_to_save": "it also holds whole modules that were trained",
    "trainable_token_indices": "it also holds trained tokens",
}


@dataclass(frozen=True)
class LoraModule:
    """The update of one module: scale * up @ down."""

    name: str  # in the base, "model.layers.0.self_attn.q_proj"
    scale: float
    down: Tensor  # A: (rank, inputs)
    up: Tensor  # B: (outputs, rank)

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def inputs(self) -> int:
        return self.down.shape[1]

    @property
    def outputs(self) -> int:
        return self.up.shape[0]

    def factors(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(up with the scale in it, down), in 64 bits: their product is the update."""
        return self.scale * numbers(self.up).astype("<f8"), numbers(self.down).astype("<f8")


@dataclass(frozen=True)
class PlainLora:
    modules: dict[str, LoraModule]
    fan_in_fan_out: bool  # the base keeps its weights as (inputs, outputs), as GPT-2 does
    rank: int  # as its settings name it; single modules may have another

    @property
    def widest(self) -> int:
        return max(module.rank for module in self.modules.values())


def read_lora(folder: AdapterFolder, name: str) -> PlainLora:
    """The adapter's modules, from its settings and the header of its weights. Raises BadInput for what is no plain LoRA."""
    settings = read_settings(folder, name)
    tensors = read_header(folder.weights)
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        found = NAMED.fullmatch(key)
        if not found or len(tensor.shape) != 2:
            raise refused(name, f"it holds '{clip(key, 120)}', which is no part of a plain LoRA")
        if tensor.dtype not in FLOATS:
            raise refused(
                name, f"'{clip(key, 120)}' is stored as {clip(tensor.dtype)}, which is no floating-point type"
            )
        halves.setdefault(found["module"], {})[found["half"]] = tensor
    if not halves:
        raise refused(name, "its weights are empty")
    ordered = sorted(halves.items(), key=_by_number)
    modules = {module: _module(settings, module, found, name) for module, found in ordered}
    return PlainLora(modules, settings.get("fan_in_fan_out") is True, settings["r"])


def read_settings(folder: AdapterFolder, name: str) -> dict[str, Any]:
    """adapter_config.json of a plain LoRA. Raises BadInput."""
    try:
        settings = read_json(folder.config)
    except (ValueError, RecursionError):
        raise refused(name, "adapter_config.json is not valid JSON") from None
    if not isinstance(settings, dict):
        raise refused(name, "it has no adapter_config.json")
    if settings.get("peft_type") != "LORA":
        raise refused(
            name, f"its method is {clip(settings.get('peft_type'))}, and only LoRA adapters are sums of two matrices"
        )
    if settings.get("task_type") not in ("CAUSAL_LM", None):
        raise refused(name, f"it is made for {clip(settings['task_type'])} and not for chat")
    for key in settings.keys() - UNDERSTOOD - WITHOUT_EFFECT:
        if settings[key] not in (None, False, [], {}, OFF.get(key)):
            raise refused(name, ODD.get(key, f"its setting '{clip(key)}' makes it more than a plain LoRA"))
    if settings.get("bias", "none") != "none":
        raise refused(name, "it also trains the base's bias terms")
    if settings.get("init_lora_weights", True) not in PLAIN_STARTS:
        raise refused(name, f"it changes the base model itself ({clip(settings['init_lora_weights'])})")
    check_numbers(settings, name)
    return settings


def check_numbers(settings: dict[str, Any], name: str) -> None:
    patterns = [settings.get(key) or {} for key in ("rank_pattern", "alpha_pattern")]
    if not all(
        isinstance(pattern, dict) and all(PATTERN_KEY.fullmatch(key) for key in pattern) for pattern in patterns
    ):
        raise refused(name, "its rank or alpha pattern is not an object of plain names")
    if not all(type(rank) is int and rank > 0 for rank in (settings.get("r"), *patterns[0].values())):
        raise refused(name, "its rank is not a whole number above 0")
    alphas = (settings.get("lora_alpha"), *patterns[1].values())
    if not all(type(alpha) in (int, float) and abs(alpha) <= MOST_ALPHA for alpha in alphas):
        raise refused(name, f"its alpha is not a number up to {MOST_ALPHA:,}")


def _module(settings: dict[str, Any], module: str, halves: dict[str, Tensor], name: str) -> LoraModule:
    missing = {"A", "B"} - halves.keys()
    if missing:
        raise refused(name, f"'{clip(module, 120)}' has no lora_{missing.pop()}.weight")
    down, up = halves["A"], halves["B"]
    rank = of_module(settings.get("rank_pattern") or {}, module, settings["r"])
    alpha = of_module(settings.get("alpha_pattern") or {}, module, settings["lora_alpha"])
    if down.shape[0] != rank or up.shape[1] != rank:
        raise refused(
            name,
            f"its settings say rank {rank} for '{clip(module, 120)}', and its matrices are {down.shape} and {up.shape}",
        )
    return LoraModule(module, alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank), down, up)


def of_module(pattern: dict[str, Any], module: str, otherwise: Any) -> Any:
    """PEFT's own rule (peft.utils.other.get_pattern_key): the first key that the module's name ends with."""
    return next((value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", module)), otherwise)


def _by_number(item: tuple[str, Any]) -> list:
    """Layer 2 stands before layer 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in item[0].split(".")]


def short_names(modules: list[str], facts: ModelFacts) -> list[str]:
    """target_modules for PEFT: short names, such as q_proj, where every layer of that name is changed; else full names, which mean nothing more."""
    changed = set(modules)
    whole = {
        target
        for target in facts.target_modules
        if all(layer.name in changed for layer in facts.linear_layers if layer.target == target)
    }
    return sorted({name.rpartition(".")[2] if name.rpartition(".")[2] in whole else name for name in modules})


def numbers(tensor: Tensor) -> numpy.ndarray:
    """A tensor's numbers: 32 bits wide, 64 where they are stored so. bfloat16 is the upper half of a float32."""
    if not tensor.count:
        return numpy.zeros(tensor.shape, "<f4")
    read = numpy.memmap(tensor.file, FLOATS[tensor.dtype], "r", tensor.start, tensor.shape)
    if tensor.dtype == "BF16":
        return (read.astype("<u4") << 16).view("<f4")
    return read.astype("<f8" if tensor.dtype == "F64" else "<f4")


def refused(name: str, why: str) -> BadInput:
    return BadInput(f"The adapter '{clip(name)}' cannot be used here: {why}.", "Choose a plain LoRA adapter.")
