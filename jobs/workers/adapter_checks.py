"""Whether an adapter may be put on a base model: its settings, the modules they mean and the base it was trained on."""

import dataclasses
import math
import re
from typing import Any

import torch
from peft import LoraConfig, PeftConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from transformers.pytorch_utils import Conv1D

from studio.errors import BadInput, clip
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.lora_files import PATTERN_KEY, PLAIN_STARTS, UNDERSTOOD, WITHOUT_EFFECT

NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


def read_values(folder: AdapterFolder, name: str) -> dict:
    """What adapter_config.json says. Raises BadInput when it is none."""
    try:
        values = read_json(folder.config)
    except ValueError as error:
        raise refused(name, f"adapter_config.json is not valid JSON ({clip(error)})") from None
    if not isinstance(values, dict):
        raise refused(name, "it has no adapter_config.json")
    return values


def checked_config(values: dict, name: str) -> LoraConfig:
    """The adapter's settings. Raises BadInput for what is no plain LoRA."""
    _check_use(values, name)
    try:
        config = LoraConfig(**{key: values[key] for key in UNDERSTOOD & values.keys()})
    except (ValueError, TypeError, AttributeError) as error:
        raise refused(name, f"PEFT does not take its settings ({clip(error)})") from None
    _check_values(config, name)
    return config


def _check_use(values: dict, name: str) -> None:
    """Whether these are the settings of a plain LoRA for chat, which leaves the base as it is."""
    if values.get("peft_type") != "LORA":
        raise refused(name, f"its method is {clip(values.get('peft_type'))}, and LoRA is what can be compared")
    if values.get("task_type") not in ("CAUSAL_LM", None):
        raise refused(name, f"it is made for {clip(values['task_type'])} and not for chat")
    defaults = {field.name: default_of(field) for field in dataclasses.fields(LoraConfig)}
    for key in values.keys() - UNDERSTOOD - WITHOUT_EFFECT:
        if values[key] not in (None, False, [], {}, defaults.get(key)):
            raise refused(name, f"its setting '{clip(key)}' is not one that can be compared")
    start = values.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        raise refused(name, f"it changes the base model itself ({clip(start)}) and was not converted when it was saved")
    dropout = values.get("lora_dropout", 0)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise refused(name, "its dropout is not a number from 0 to 1")


def default_of(field: dataclasses.Field) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _check_values(config: LoraConfig, name: str) -> None:
    if not all(isinstance(pattern, dict) for pattern in (config.rank_pattern, config.alpha_pattern)):
        raise refused(name, "its rank or alpha pattern is not an object")
    ranks = [config.r, *config.rank_pattern.values()]
    alphas = [config.lora_alpha, *config.alpha_pattern.values()]
    if not all(type(rank) is int and rank > 0 for rank in ranks):
        raise refused(name, "its rank is not a whole number above 0")
    if not all(type(alpha) in (int, float) and math.isfinite(alpha) for alpha in alphas):
        raise refused(name, "its alpha is not a finite number")
    check_targets(config, name)
    if not all(PATTERN_KEY.fullmatch(key) for key in [*config.rank_pattern, *config.alpha_pattern]):
        raise refused(name, "its rank or alpha pattern is not a plain name")


def check_targets(config: PeftConfig, name: str) -> None:
    """Which layers are meant is said by names and numbers only."""
    layers = getattr(config, "layers_to_transform", None)
    if layers is not None and not all(
        type(layer) is int for layer in (layers if isinstance(layers, list) else [layers])
    ):
        raise refused(name, "its layers are not whole numbers")
    targets = config.target_modules  # a set when it was a list; a string is a regular expression, which can hang
    if not isinstance(targets, set) or not all(
        isinstance(target, str) and NAME.fullmatch(target) for target in targets
    ):
        raise refused(name, "its target modules are not a list of names")
    said = getattr(config, "layers_pattern", None)
    patterns = [said] if isinstance(said, str) else said or []
    if not all(isinstance(pattern, str) and NAME.fullmatch(pattern) for pattern in patterns):
        raise refused(name, "its layers pattern is not a plain name")


def check_fingerprint(folder: AdapterFolder, name: str, fingerprint: str | None) -> None:
    """Refuse an adapter whose passport says that it was trained on other weights."""
    try:
        passport = read_json(folder.passport) or {}
    except ValueError:
        raise refused(name, "passport.json is not valid JSON") from None
    trained_on = (passport.get("base_model") or {}).get("fingerprint")
    if trained_on and fingerprint and trained_on != fingerprint:
        raise refused(name, "it was trained on a base model with other weights than this one")


def sides(module: torch.nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a layer that LoRA can stand beside; None for any other module."""
    if isinstance(module, Conv1D):
        return module.weight.shape[0], module.weight.shape[1]
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    return None


def expected_modules(model, config: LoraConfig, name: str) -> dict[str, tuple[int, float]]:
    """(rank, scale) of each module of the base that these settings mean, by PEFT's own rules."""
    expected = {}
    for module_name in targeted_modules(model, config, name):
        rank = config.rank_pattern.get(get_pattern_key(config.rank_pattern, module_name), config.r)
        alpha = config.alpha_pattern.get(get_pattern_key(config.alpha_pattern, module_name), config.lora_alpha)
        expected[module_name] = rank, alpha / (math.sqrt(rank) if config.use_rslora else rank)
    return expected


def targeted_modules(model, config: PeftConfig, name: str) -> list[str]:
    """The modules of the base that these settings mean, by PEFT's own rules."""
    found = []
    for module_name, module in model.named_modules():
        if not module_name or not check_target_module_exists(config, module_name):
            continue
        if sides(module) is None:
            raise refused(name, f"it changes '{clip(module_name)}', which is no linear layer")
        found.append(module_name)
    if not found:
        raise refused(
            name, f"none of its target modules ({clip(', '.join(sorted(config.target_modules)))}) is in this base model"
        )
    return found


class Weights:
    """An adapter's tensors, on their way onto a model: each is taken once, by its name and the shape that the model needs."""

    def __init__(self, tensors: dict[str, torch.Tensor], device: torch.device, name: str):
        """Raises BadInput when a number is not finite. `name` is the adapter's, for what is said of it."""
        self.left, self.device, self.name = dict(tensors), device, name
        for key, tensor in tensors.items():
            if not bool(tensor.isfinite().all()):
                raise refused(name, f"'{clip(key)}' holds numbers that are not finite")

    def take(self, key: str, shape: tuple[int, ...]) -> torch.Tensor:
        """That tensor on the device, in fp32 at least, as PEFT has it."""
        if key not in self.left:
            raise refused(self.name, f"'{clip(key, 120)}' is missing from its weights")
        tensor = self.left.pop(key)
        if tuple(tensor.shape) != shape:
            has = f"has the shape {tuple(tensor.shape)} and the base model needs {shape}"
            raise refused(self.name, f"'{clip(key, 120)}' {has}")
        return tensor.to(self.device, torch.promote_types(tensor.dtype, torch.float32))

    def all_taken(self) -> None:
        if self.left:
            key = clip(next(iter(self.left)), 120)
            raise refused(self.name, f"it holds '{key}', which has no place in this base model")


def refused(name: str, why: str) -> BadInput:
    return BadInput(
        f"The adapter '{clip(name)}' cannot be used: {why}.",
        "Choose the base model that it was trained on, or train it again.",
        "columns",
    )
