"""What a job on adapters leaves: a plain PEFT adapter whose scale is 1 everywhere, with tokenizer, model card and passport."""

import importlib.metadata
import os
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy

from jobs.workers.lora_math import Factors
from jobs.workers.model_card import TOKENIZER_FILES, model_card, plain
from jobs.workers.tensor_file import write_tensors
from studio.code_version import code_version
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, AdapterJobFolder, data_of
from studio.linear_layers import EMBEDDINGS
from studio.lora_files import short_names
from studio.model_facts import ModelFacts
from studio.model_files import Tensor
from studio.passports.schema import VERSION

PACKAGES = ("numpy", "safetensors", "peft", "torch")


@dataclass
class MadeAdapter:
    modules: dict[str, Factors]
    """By the module's name in the base: (up, down), whose product is the update."""
    fan_in_fan_out: bool
    measured: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Tensor] = field(default_factory=dict)
    """Weights and bias terms that replace the base's, by their names in it."""
    tied: bool = False  # the base's output layer is its embedding

    @property
    def rank(self) -> int:
        return max(down.shape[0] for _, down in self.modules.values())


def rounded(factors: Factors) -> Factors:
    """As they are saved: 32 bits."""
    up, down = factors
    return numpy.ascontiguousarray(up, "<f4"), numpy.ascontiguousarray(down, "<f4")


def write_adapter(folder: AdapterJobFolder, request: dict[str, Any], made: MadeAdapter) -> None:
    """The whole adapter folder, written beside its place and renamed there."""
    writing = AdapterFolder(folder.path / ".adapter").create()
    write_tensors(writing.weights, {**tensors_of(made), **whole_of(made)})
    base = data_of(folder).base_model(request["base_model"]["id"])
    facts = ModelFacts.model_validate(read_json(base.facts))
    write_json(writing.config, peft_settings(made, facts, request["base_model"]))
    source = tokenizer_of(folder, request, base.model)
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, writing.path / name)
    made.measured["rank"] = made.rank
    passport = passport_of(writing, request, made, quantization_of(folder, request))
    write_json(writing.passport, passport)
    writing.card.write_text(card_of(passport), encoding="utf-8")
    os.rename(writing.path, folder.adapter)


def tokenizer_of(folder: AdapterJobFolder, request: dict[str, Any], base: Path) -> Path:
    """Where the tokenizer and the template lie that the result speaks in: its first parent's, or the fine-tune's."""
    if tuned := request.get("tuned"):
        first = data_of(folder).base_model(tuned["id"]).model
    else:
        first = folder.parent(request["parents"][0]["id"]).path
    return first if (first / "tokenizer.json").is_file() else base


def whole_of(made: MadeAdapter) -> dict[str, Tensor]:
    """As PEFT names them: bias terms of layers with an update stand in the layer inside, a tied output layer goes along."""
    found = {}
    for name, tensor in made.whole.items():
        module, _, kind = name.rpartition(".")
        at = f"{module}.base_layer" if module in made.modules else module
        found[f"base_model.model.{at}.{kind}"] = tensor
        if made.tied and module.rpartition(".")[2] in EMBEDDINGS - {"embed_positions", "wpe"}:
            found["base_model.model.lm_head.weight"] = tensor
    return found


def tensors_of(made: MadeAdapter) -> dict[str, numpy.ndarray]:
    tensors = {}
    for name, (up, down) in made.modules.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = down
        tensors[f"base_model.model.{name}.lora_B.weight"] = up
    return tensors


def peft_settings(made: MadeAdapter, facts: ModelFacts, base: dict[str, Any]) -> dict[str, Any]:
    """adapter_config.json: alpha is the rank, so that the scale is 1; modules with another rank stand in the patterns."""
    ranks = {name: down.shape[0] for name, (_, down) in made.modules.items()}
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {name: rank for name, rank in ranks.items() if rank != usual}
    modules = sorted({name.rpartition(".")[0] for name in made.whole} - made.modules.keys())
    biases = any(name.endswith(".bias") and name.rpartition(".")[0] in made.modules for name in made.whole)
    return {
        "modules_to_save": modules or None, "ensure_weight_tying": bool(modules) and made.tied,
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "inference_mode": True,
        "base_model_name_or_path": base["location"] if base["source"] == "hub" else None, "revision": base["revision"] if base["source"] == "hub" else None,
        "r": usual, "lora_alpha": usual, "rank_pattern": others, "alpha_pattern": others, "target_modules": short_names(list(ranks), facts),
        "lora_dropout": 0.0, "bias": "lora_only" if biases else "none", "fan_in_fan_out": made.fan_in_fan_out, "use_rslora": False, "init_lora_weights": True,
    }  # fmt: skip


def passport_of(folder: AdapterFolder, request: dict[str, Any], made: MadeAdapter, quantization: str) -> dict[str, Any]:
    libraries = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "version": VERSION,
        "name": request["name"],
        "base_model": request["base_model"],
        "made_by": {key: value for key, value in request["settings"].items() if value is not None},
        "parents": request["parents"],
        **({"extracted_from": request["tuned"]} if "tuned" in request else {}),
        "measured": made.measured,
        "training": {"quantization": quantization},
        "layers": len(made.modules),
        "adapter_sha256": sha256_of(folder.weights),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {**code_version(), "python": sys.version.split()[0], **libraries},
    }


def quantization_of(folder: AdapterJobFolder, request: dict[str, Any]) -> str:
    """The form of the base that all parents were trained on; the plain one where they differ."""
    found = {folder.parent(parent["id"]).quantization for parent in request["parents"]}
    return found.pop() if len(found) == 1 else "none"


def card_of(passport: dict[str, Any]) -> str:
    base = passport["base_model"]
    settings = ", ".join(f"{key} {value}" for key, value in passport["made_by"].items())
    rows = [("Base model", f"{plain(base['name'])} ({base['architecture']}, {base['parameters']:,} parameters)")]
    rows += [
        (f"Weight {parent['weight']:g}", f"{plain(parent['name'])} (sha256 {parent['sha256'][:16]})")
        for parent in passport["parents"]
    ]
    if tuned := passport.get("extracted_from"):
        rows += [("Extracted from", f"{plain(tuned['name'])} (fingerprint {str(tuned['fingerprint'])[:16]})")]
    rows += [("Made by", plain(settings)), ("Changed layers", str(passport["layers"]))]
    rows += [
        (key.replace("_", " ").capitalize(), f"{value:.3g}" if isinstance(value, float) else plain(value))
        for key, value in passport["measured"].items()
        if isinstance(value, int | float | str)
    ]
    return model_card(passport, "An adapter made from others with LoRA Studio.", rows)
