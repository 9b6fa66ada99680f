"""Load a base model from its clean folder: local files, safetensors only, none of its own code; in full, or quantised."""

import os
import warnings
from pathlib import Path

os.environ.setdefault(
    "HF_HUB_OFFLINE", "1"
)  # before transformers is imported: a worker never asks the Hub for anything
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GenerationConfig

from jobs.workers import quantized
from studio.errors import BadInput, clip

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings(
    "ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning
)  # peft 0.21.2 asks for it; nothing of ours does


def load_base_model(folder: Path, precision: str, device: torch.device | str, quantization: str = "none"):
    """The transformers model in eval mode, on the device. Raises BadInput when its folder cannot be loaded.

    With `quantization` "nf4" or "int8" each linear layer but the output layer is quantised as it is read, so that the
    whole model is never in memory in full.
    """
    if not (folder / "config.json").exists():
        raise BadInput(f"The base model's folder {folder.name} has no config.json.", "Add the base model again.")
    given = {} if quantization == "none" else quantized.loading(quantization, DTYPES[precision], device)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[precision],
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **given,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BadInput(
            f"transformers {transformers.__version__} cannot load this base model: {first_line(error)}",
            "Choose a model of an architecture that it knows.",
        ) from error
    refuse_missing(found["missing_keys"])
    model.generation_config = GenerationConfig()  # a folder's own sampling settings are not ours
    if quantization == "none":
        return model.to(device).eval()
    return quantized.made_exact(model).eval()


def refuse_missing(names: set[str]) -> None:
    """transformers fills a weight that no file holds with random numbers; what is tied to another it does not count."""
    if names:
        more = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
        raise BadInput(
            f"The base model's files are not whole: {clip(min(names))}{more} missing.", "Add the base model again."
        )


def first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
