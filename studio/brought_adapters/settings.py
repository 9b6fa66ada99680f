"""adapter_config.json of an adapter that was brought: read, and every setting known, without effect, or off."""

import re
from collections.abc import Mapping
from typing import Any

from studio.brought_adapters.found import refused
from studio.errors import clip
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.lora_files import OFF

MOST_DEPTH = 8  # of its lists and objects: PEFT's own have three
MOST_COUNT = 2**20  # of any number of rows or ranks: far more than any model has
WITHOUT_EFFECT = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "fan_in_fan_out",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save",
}  # fmt: skip
# The last four say which modules are meant; here the weights themselves say it, and these are written anew.
CLASSIFIERS = ("SEQ_CLS", "TOKEN_CLS")
NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
COMMON = {"task_type": "CAUSAL_LM", "inference_mode": True}


def read_settings(folder: AdapterFolder, name: str) -> dict[str, Any]:
    """What adapter_config.json says. Raises BadInput when it is none, or of an adapter that is not for chat."""
    try:
        settings = read_json(folder.config)
    except (ValueError, RecursionError):
        raise refused(name, "adapter_config.json is not valid JSON") from None
    if not isinstance(settings, dict):
        raise refused(name, "it has no adapter_config.json")
    if too_deep(settings):
        raise refused(name, f"adapter_config.json is nested more than {MOST_DEPTH} deep")
    task = settings.get("task_type")
    if task not in ("CAUSAL_LM", None):
        what = ", it is a classifier" if task in CLASSIFIERS else ""
        raise refused(name, f"it is made for {clip(task)} and not for chat{what}")
    return settings


def too_deep(value: Any, left: int = MOST_DEPTH) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return left < 0 or any(too_deep(each, left - 1) for each in inner)


def check_known(settings: dict[str, Any], understood: set[str], name: str, reasons: Mapping[str, str]) -> None:
    """Raises BadInput for a setting that is on and is none of the understood ones, with the reason where one is known."""
    for key in settings.keys() - understood - WITHOUT_EFFECT:
        if settings[key] not in (None, False, [], {}, OFF.get(key)):
            raise refused(name, reasons.get(key, f"its setting '{clip(key)}' is not one that this studio knows"))


def count_of(settings: dict[str, Any], key: str, name: str) -> int:
    """A whole number above 0. Raises BadInput."""
    value = settings.get(key)
    if type(value) is not int or not 0 < value <= MOST_COUNT:
        raise refused(name, f"its setting '{key}' is not a whole number above 0")
    return value


def flag_of(settings: dict[str, Any], key: str) -> bool:
    return settings.get(key) is True
