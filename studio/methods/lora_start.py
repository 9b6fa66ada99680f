"""What LoRA's matrices start from, besides random numbers: the base's own weights (PiSSA, OLoRA) or the training data (EVA)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.errors import BadInput
from studio.methods.lora_settings import LoraSettings
from studio.methods.lora_targets import REPLACES_BASE

MOST_BATCHES = 200  # after which EVA's directions should long have settled


def eva_options(settings: LoraSettings) -> dict[str, Any]:
    """What PEFT's LoraConfig is given for this start, beside its name."""
    from peft import EvaConfig

    return {"eva_config": EvaConfig(rho=settings.eva_spread)} if settings.init == "eva" else {}


def remember(settings: LoraSettings, model) -> None:
    """Keep the matrices that PiSSA and OLoRA took out of the base's weights, as `model.start`, until the adapter is saved."""
    if settings.init in REPLACES_BASE:
        model.start = {
            name.replace(".default.", "."): weights.detach().clone()
            for name, weights in model.named_parameters()
            if ".lora_A." in name or ".lora_B." in name
        }


def start_from_data(settings: LoraSettings, model, batches: Callable[[], list[dict]]) -> dict[str, Any]:
    """EVA's first matrices by module, ranks shared out among the layers (Paischer et al. 2024, arXiv:2410.07170).

    Raises BadInput when the directions of the layers' inputs do not settle on these batches.
    """
    if settings.init != "eva":
        return {}
    from peft.tuners.lora.eva import get_eva_state_dict

    calls = 0

    def forward(model, inputs):
        nonlocal calls
        calls += 1
        if calls > MOST_BATCHES:  # PEFT goes round and round the batches until they have
            raise BadInput(
                "The directions of this data do not settle, so the start eva cannot be found: there is too little of it.",
                "Choose another start, a lower rank, or more rows.",
                "method.init",
            )
        return model(**inputs)

    # Every process has the same batches: nothing is to be gathered
    alone = {"gather_distributed_inputs": False, "show_progress_bar": False}
    found = get_eva_state_dict(model, batches(), forward_fn=forward, **alone)
    return {name: directions.float().contiguous().clone() for name, directions in found.items()}


def put_start(settings: LoraSettings, model, tensors: dict[str, Any]) -> None:
    """Give each layer the rank and the first matrix that were found; layers without any lose their adapter."""
    from peft import initialize_lora_eva_weights

    initialize_lora_eva_weights(model, eva_state_dict=dict(tensors))


def made_portable(settings: LoraSettings, model, folder: Path) -> None:
    """Have the saved adapter say that it is plain LoRA; PiSSA and OLoRA are made so first.

    These took scale·B₀A₀ out of the base. On the base as it is their update is scale·(BA − B₀A₀), which one pair of
    matrices of twice the rank holds: [A; A₀] and [B, −B₀].
    """
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if settings.init in REPLACES_BASE:
        _subtract_start(model.start, folder / "adapter_model.safetensors")
        grows = 2**0.5 if settings.rslora else 2  # keeps the scale
        config |= {"r": 2 * config["r"], "lora_alpha": grows * config["lora_alpha"]}
        config["rank_pattern"] = {name: 2 * rank for name, rank in (config["rank_pattern"] or {}).items()}
        config["alpha_pattern"] = {name: grows * alpha for name, alpha in (config["alpha_pattern"] or {}).items()}
    config |= {"init_lora_weights": True, "eva_config": None}
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def _subtract_start(start: dict[str, Any], path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    for name, weights in tensors.items():
        if name in start:
            first = start[name].to(weights)
            tensors[name] = torch.cat([weights, first], 0) if ".lora_A." in name else torch.cat([weights, -first], 1)
    save_file(tensors, path, metadata={"format": "pt"})
