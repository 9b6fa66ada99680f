"""LoRA as it was brought: its matrices, DoRA's lengths, trained bias terms, modules trained in full and trained tokens."""

import math
import re
from collections.abc import Mapping
from typing import Any

from studio.brought_adapters.found import FoundAdapter, Shape, Sides, module_of, refused, shaped
from studio.brought_adapters.settings import COMMON, MOST_COUNT, NAME, check_known, flag_of
from studio.errors import clip
from studio.linear_layers import EMBEDDINGS, HEADS
from studio.lora_files import PLAIN_STARTS, UNDERSTOOD, check_numbers, of_module
from studio.model_files import Tensor

MATRIX = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
EMBEDDED = re.compile(r"(?P<module>.+)\.lora_embedding_(?P<half>[AB])")
LENGTH = re.compile(r"(?P<module>.+)\.lora_magnitude_vector(\.weight)?")
TOKENS = re.compile(r"(?P<module>.+)\.token_adapter\.trainable_tokens_delta")
WHOLE = re.compile(r"(?P<module>.+)\.(?P<weight>weight|bias)")
MORE = {
    "use_dora", "trainable_token_indices", "ensure_weight_tying", "lora_dropout", "init_lora_weights", "eva_config", "loftq_config",
    "megatron_core",
}  # fmt: skip
REASONS = {
    "layer_replication": "it repeats layers of its base (layer_replication), so it belongs to a longer model than the base is",
    "lora_bias": "its second matrices have bias terms of their own (lora_bias), and there is no place for them in layers without one",
    "target_parameters": "it changes parameters inside of modules (target_parameters), such as experts, and not linear layers",
    "alora_invocation_tokens": "it is only on after certain tokens (aLoRA), which a chat of this studio does not follow",
    "use_qalora": "it belongs to a base in QA-LoRA's groups (use_qalora)",
    "arrow_config": "it is a router between other adapters (Arrow)",
    "use_bdlora": "its matrices are block-diagonal (BD-LoRA)",
}
STARTS = (*PLAIN_STARTS, "eva")  # EVA's matrices are learned from the data and leave the base as it is


def read(settings: dict[str, Any], tensors: dict[str, Tensor], name: str) -> FoundAdapter:
    check_known(settings, UNDERSTOOD | MORE, name, REASONS)
    start = settings.get("init_lora_weights", True)
    if start not in STARTS:
        raise refused(
            name,
            f"it changes the base model itself ({clip(start)}), and was not converted to a plain adapter when it was saved",
            "Save it with path_initial_model_for_weight_conversion, which PEFT offers for this, and bring that.",
        )
    if settings.get("bias", "none") not in ("none", "all", "lora_only"):
        raise refused(name, f"its bias is {clip(settings['bias'])}, which PEFT does not know")
    check_numbers(settings, name)
    if any(key.endswith(".lora_B.bias") for key in tensors):
        raise refused(name, REASONS["lora_bias"])
    layers, embeddings, widest, left = matrices(settings, tensors, name)
    left = lengths(settings, tensors, left, layers, name)
    rows, left = trained_tokens(settings, tensors, left, name)
    others = replaced(settings, tensors, left, name)
    if not (layers or embeddings or rows):
        raise refused(name, "its weights are empty")
    clean = {
        **COMMON, "peft_type": "LORA", "r": settings["r"], "lora_alpha": settings["lora_alpha"], "lora_dropout": 0.0,
        "use_rslora": flag_of(settings, "use_rslora"), "use_dora": flag_of(settings, "use_dora"), "bias": settings.get("bias", "none"),
        "rank_pattern": settings.get("rank_pattern") or {}, "alpha_pattern": settings.get("alpha_pattern") or {},
        "fan_in_fan_out": flag_of(settings, "fan_in_fan_out"),
        "modules_to_save": named_whole(settings, others) or None,
        "ensure_weight_tying": flag_of(settings, "ensure_weight_tying"),
        "trainable_token_indices": {module: ids for module, (ids, _) in rows.items()} or None,
    }  # fmt: skip
    return FoundAdapter("lora", clean, layers, others, embeddings, rows, rank=widest)


def matrices(settings: dict[str, Any], tensors: Mapping[str, Tensor], name: str):
    """(sides of the layers, of the embeddings, the highest rank, the names of the tensors that are left)."""
    halves: dict[str, dict[str, Shape]] = {}
    embedded: dict[str, dict[str, Shape]] = {}
    left = []
    for key in tensors:
        for pattern, place in ((MATRIX, halves), (EMBEDDED, embedded)):
            if found := pattern.fullmatch(key):
                shape = shaped(tensors, key, 2, name)
                place.setdefault(module_of(found["module"], name), {})[found["half"]] = shape
                break
        else:
            left.append(key)
    ranks = [check_pair(settings, module, sides, name) for module, sides in [*halves.items(), *embedded.items()]]
    layers = {module: Sides(sides["A"][1], sides["B"][0]) for module, sides in halves.items()}
    tables = {module: (sides["A"][1], sides["B"][0]) for module, sides in embedded.items()}
    return layers, tables, max(ranks, default=settings["r"]), left


def check_pair(settings: dict[str, Any], module: str, halves: Mapping[str, Shape], name: str) -> int:
    """Its rank, which settings and both matrices must agree on."""
    if missing := {"A", "B"} - halves.keys():
        raise refused(name, f"'{clip(module, 120)}' has no lora_{missing.pop()}.weight")
    rank = of_module(settings.get("rank_pattern") or {}, module, settings["r"])
    if halves["A"][0] != rank or halves["B"][1] != rank:
        raise refused(
            name,
            f"its settings say rank {rank} for '{clip(module, 120)}', and its matrices are {halves['A']} and {halves['B']}",
        )
    return rank


def lengths(
    settings: dict[str, Any], tensors: dict[str, Tensor], left: list[str], layers: dict[str, Sides], name: str
) -> list[str]:
    """DoRA: one length for each output of each layer."""
    found = {module_of(match["module"], name): key for key in left if (match := LENGTH.fullmatch(key))}
    if not flag_of(settings, "use_dora"):
        if found:
            raise refused(name, "it holds DoRA's lengths, and its settings do not say use_dora")
        return left
    for module, sides in layers.items():
        if module not in found:
            raise refused(name, f"it is a DoRA, and the lengths of '{clip(module, 120)}' are missing from its weights")
        if tensors[found[module]].shape != (sides.outputs,):
            shape = tensors[found[module]].shape
            raise refused(
                name, f"DoRA's lengths of '{clip(module, 120)}' have the shape {shape}, not ({sides.outputs},)"
            )
    taken = {found[module] for module in layers}
    return [key for key in left if key not in taken]


def trained_tokens(settings: dict[str, Any], tensors: dict[str, Tensor], left: list[str], name: str):
    """(ids and width by table, the tensors that are left)."""
    said = settings.get("trainable_token_indices") or {}
    rows, rest = {}, []
    for key in left:
        found = TOKENS.fullmatch(key)
        if not found:
            rest.append(key)
            continue
        module = module_of(found["module"], name)
        ids = said if isinstance(said, list) else of_table(said, module)
        if not isinstance(ids, list) or not all(type(id) is int and 0 <= id < MOST_COUNT * 8 for id in ids):
            raise refused(name, f"its settings do not say which tokens of '{clip(module, 120)}' it has trained")
        count, width = shaped(tensors, key, 2, name)
        if count != len(set(ids)) or count != len(ids):
            raise refused(
                name, f"it has trained {len(ids)} tokens of '{clip(module, 120)}', and holds {count} rows of it"
            )
        rows[module] = (ids, width)
    if said and not rows:
        raise refused(name, "the rows of its trained tokens are missing from its weights")
    return rows, rest


def of_table(said: Any, module: str) -> Any:
    named = said if isinstance(said, dict) else {}
    return next((ids for key, ids in named.items() if module == key or module.endswith(f".{key}")), None)


def replaced(settings: dict[str, Any], tensors: dict[str, Tensor], left: list[str], name: str) -> dict[str, Shape]:
    """Bias terms and modules that were trained in full, by their names in the base."""
    biases = settings.get("bias", "none") != "none"
    found = {}
    for key in left:
        if key.endswith(".base_layer.weight"):
            raise refused(
                name,
                f"it holds the base's own '{clip(key, 120)}' beside its update",
                "Save it with save_embedding_layers=False.",
            )
        match = WHOLE.fullmatch(key)
        module = module_of(match["module"], name).removesuffix(".base_layer") if match else ""
        last = module.rpartition(".")[2]
        known = match and (
            whole_key(settings, module) or last in EMBEDDINGS | HEADS or (biases and match["weight"] == "bias")
        )
        if not known or not NAME.fullmatch(module):
            raise refused(name, f"it holds '{clip(key, 120)}', which is no part of a LoRA")
        if math.prod(tensors[key].shape) == 0:
            raise refused(name, f"'{clip(key, 120)}' is empty")
        found[f"{module}.{match['weight']}"] = tensors[key].shape
    return found


def named_whole(settings: dict[str, Any], others: dict[str, Shape]) -> list[str]:
    """modules_to_save anew: full names of what is in its weights. A tied output layer goes with its embedding."""
    modules = dict.fromkeys(key.rpartition(".")[0] for key in others if key.endswith(".weight"))
    modules |= dict.fromkeys(key.rpartition(".")[0] for key in others if whole_key(settings, key.rpartition(".")[0]))
    tied = flag_of(settings, "ensure_weight_tying")
    return [each for each in modules if whole_key(settings, each) or not (tied and each.rpartition(".")[2] in HEADS)]


def whole_key(settings: dict[str, Any], module: str) -> bool:
    """PEFT's rule for modules_to_save, which only looks at how a name ends: "norm" means input_layernorm too."""
    said = settings.get("modules_to_save")
    return any(isinstance(key, str) and module.endswith(key) for key in (said if isinstance(said, list) else []))
