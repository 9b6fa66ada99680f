"""Merge an adapter into its base model: a folder that any program loads as one model, without PEFT.

An adapter that was trained on a quantised base belongs to the numbers that its weights stand for. So it is merged into
those, turned back into the precision asked for; merged into the base in full, or into the quantised weights, the answers
would be others (docs/decisions.md).
"""

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel

from jobs.workers import quantized
from jobs.workers.load import DTYPES, load_base_model
from jobs.workers.model_card import TOKENIZER_FILES
from jobs.workers.with_peft import rows_needed
from studio.errors import BadInput, Invalid, StudioError, clip
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.methods import METHODS

TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}  # of the largest logit
TRIED = 32  # token ids whose logits are compared
LARGEST_FILE = "5GB"


@dataclass(frozen=True)
class Merged:
    """What came of it."""

    folder: Path
    difference: float  # the largest change of a logit by merging, as a share of the largest logit


def merge_adapter(
    base: Path, adapter: Path, out: Path, quantization: str = "none", precision: str = "fp32", device: str = "cpu"
) -> Merged:
    """Write the merged model to `out`, which must not exist: weights as sharded safetensors, config, tokenizer, template.

    `quantization` is what the adapter was trained with. Raises Invalid for a method that cannot be merged, BadInput
    for an adapter that does not fit the base, StudioError when the merged model would answer otherwise.
    """
    if out.exists():
        raise Invalid(f"There is something at {out.name} already.", "Choose another name.")
    refuse_what_cannot_merge(AdapterFolder(adapter))
    model = adapted(load_base_model(base, precision, device, quantization), adapter)
    if model.active_peft_config.is_prompt_learning:
        raise Invalid("This adapter writes before the prompt and changes no weights.", "Use the adapter as it is.")
    ids = (torch.arange(TRIED, device=device) * 37 % model.get_input_embeddings().weight.shape[0])[None]
    expected = logits_of(model, ids)
    if quantization != "none":
        del model
        plain = quantized.dequantized(load_base_model(base, precision, device, quantization), DTYPES[precision])
        model = adapted(plain, adapter)
    model = model.merge_and_unload(safe_merge=True)
    difference = float((logits_of(model, ids) - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
    if not difference <= TOLERANCE[precision]:
        raise StudioError(
            f"The merged model's logits differ from the adapter's by {difference:.1e} of the largest one, so it was not kept.",
            "Merge in fp32, or use the adapter as it is.",
        )
    write(model, base, adapter, out)
    return Merged(out, difference)


def refuse_what_cannot_merge(adapter: AdapterFolder) -> None:
    """Told by the passport's method, or by the adapter's own kind where there is no passport."""
    told = (read_json(adapter.passport) or {}).get("method")
    name = told.get("name") if isinstance(told, dict) else None
    if method := METHODS.get(name) if isinstance(name, str) else None:
        why = method.cannot(method.settings_told(told)).get("merge")
        if why:
            raise Invalid(why, "Use the adapter as it is.")
    if not adapter.weights.is_file():
        raise BadInput(f"The adapter has no {adapter.weights.name}.", "Choose another adapter.")


def adapted(model, adapter: Path) -> PeftModel:
    """The base with the adapter, its embedding made longer where the adapter brings tokens of its own."""
    needed = rows_needed(adapter)
    if needed > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(needed, mean_resizing=False)
    try:
        return PeftModel.from_pretrained(model, adapter).eval()
    except (ValueError, RuntimeError, KeyError) as error:
        raise BadInput(
            f"The adapter does not fit this base model: {clip(error, 200)}",
            "Choose the base model that it was trained on.",
        ) from error


@torch.inference_mode()
def logits_of(model, ids: torch.Tensor) -> torch.Tensor:
    return model(input_ids=ids, use_cache=False).logits.float()


def write(model, base: Path, adapter: Path, out: Path) -> None:
    """Whole or not at all: beside its place, then renamed there."""
    writing = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        model.save_pretrained(writing, max_shard_size=LARGEST_FILE)
        for name in (*TOKENIZER_FILES, "generation_config.json"):
            source = next((folder / name for folder in (adapter, base) if (folder / name).exists()), None)
            if source is not None:
                shutil.copyfile(source, writing / name)
        os.rename(writing, out)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
