"""Adapters that only PEFT itself puts on a model: DoRA, modules trained in full, tokens of their own. They answer one at a time."""

import warnings
from collections.abc import Iterable

import torch

from jobs.workers.adapter_checks import NAME, refused
from jobs.workers.with_peft import with_peft
from studio.errors import clip
from studio.folders import AdapterFolder
from studio.tokens import ChatTokenizer

BY_PEFT = "computed by PEFT itself"
MOST_ROWS = (
    10_000_000  # of an embedding: far more than any model's, far less than would fill the memory with one number
)
ONLY_BY_PEFT = (
    "use_dora",
    "modules_to_save",
    "trainable_token_indices",
    "ensure_weight_tying",
)  # settings that an update of layers does not cover


def needs_peft(values: dict, tensors: Iterable[str]) -> bool:
    """Whether a LoRA, by its adapter_config.json and its tensors' names, is more than an update beside linear layers."""
    more = any(values.get(key) for key in ONLY_BY_PEFT) or any(".lora_embedding_" in key for key in tensors)
    return values.get("peft_type") == "LORA" and more


def try_with_peft(model, folder: AdapterFolder, values: dict, tensors: dict[str, torch.Tensor], name: str) -> None:
    """Put the adapter on the model once, and look that every tensor has found its place. Raises BadInput when not."""
    from peft import get_peft_model_state_dict

    _check_values(values, name)
    for key, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise refused(name, f"'{clip(key)}' holds numbers that are not finite")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys|Model has `tie_word_embeddings")
            with with_peft(model, folder.path) as adapted:
                wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
    except KeyError as error:
        raise refused(name, f"'{clip(error.args[0], 120)}' is missing from its weights") from None
    except (ValueError, RuntimeError) as error:
        raise refused(name, f"it does not fit this base model ({clip(error, 200)})") from None
    if missing := sorted(wanted - tensors.keys()):
        raise refused(name, f"'{clip(missing[0], 120)}' is missing from its weights")
    if left := sorted(tensors.keys() - wanted):
        raise refused(name, f"it holds '{clip(left[0], 120)}', which has no place in this base model")


def own_tokenizer(folder: AdapterFolder, values: dict) -> ChatTokenizer | None:
    """The adapter's tokenizer, where it knows tokens that the base's does not."""
    brings = values.get("trainable_token_indices") and (folder.path / "tokenizer.json").exists()
    return ChatTokenizer.load(folder.path) if brings else None


def _check_values(values: dict, name: str) -> None:
    """Names and numbers only: PEFT reads some of them as regular expressions."""
    names, rows = values.get("modules_to_save") or [], values.get("trainable_token_indices") or {}
    rows = rows if isinstance(rows, dict) else {"embedding": rows}
    if not isinstance(names, list) or not all(
        isinstance(each, str) and NAME.fullmatch(each) for each in [*names, *rows]
    ):
        raise refused(name, "its modules trained in full are not a list of names")
    if not all(
        isinstance(ids, list) and all(type(id) is int and 0 <= id < MOST_ROWS for id in ids) for ids in rows.values()
    ):
        raise refused(name, "its trained tokens are not a list of numbers")


def modules_learned(tensors: dict[str, torch.Tensor]) -> int:
    """Modules of which something was learned."""
    return len(
        {key.rpartition(".lora_")[0] or key for key, tensor in tensors.items() if ".lora_A" not in key and tensor.any()}
    )
