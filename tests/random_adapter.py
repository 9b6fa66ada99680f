"""A LoRA adapter of random numbers on the built-in model: it answers, and otherwise than the base, without a training."""

import numpy
from safetensors.numpy import save_file

from studio import base_models
from studio.files import sha256_of, write_json
from studio.records import Adapter
from studio.studio import Studio

WIDTH, LAYERS, RANK = 192, 6, 2  # of studio/builtin/model


def leave_adapter(studio: Studio, id: str, name: str, seed: int, strength: float = 0.02) -> None:
    """Put an adapter with these numbers into its folder, and its record beside the others."""
    base = base_models.get_model(studio, "builtin")
    draw = numpy.random.default_rng(seed)
    weights = {}
    for layer in range(LAYERS):
        at = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        weights[f"{at}.lora_A.weight"] = draw.normal(0, 1, (RANK, WIDTH)).astype(numpy.float32)
        weights[f"{at}.lora_B.weight"] = draw.normal(0, strength, (WIDTH, RANK)).astype(numpy.float32)
    folder = studio.data.adapter(id).create()
    save_file(weights, folder.weights)
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 4, "target_modules": ["q_proj"]}
    write_json(folder.config, settings)
    write_json(folder.passport, {"name": name, "base_model": {"fingerprint": base.fingerprint}})
    record = Adapter(
        id=id, name=name, base_model="builtin", method="lora", rank=RANK, size_bytes=folder.weights.stat().st_size, sha256=sha256_of(folder.weights),
    )  # fmt: skip
    with studio.database.write() as session:
        session.add(record)
