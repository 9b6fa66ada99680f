"""Plain LoRA adapters with random numbers, made without torch: for tests of what is done with them."""

import numpy
from safetensors.numpy import save_file

from studio import base_models
from studio.files import sha256_of, write_json
from studio.folders import AdapterFolder
from studio.records import Adapter
from studio.studio import Studio


def write_lora(path, sides: dict[str, tuple[int, int]], rank: int = 4, seed: int = 0, **settings) -> AdapterFolder:
    """An adapter folder for modules of these (inputs, outputs), as PEFT saves it."""
    random = numpy.random.default_rng(seed)
    tensors = {}
    for name, (inputs, outputs) in sides.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = random.normal(size=(rank, inputs)).astype("<f4")
        tensors[f"base_model.model.{name}.lora_B.weight"] = random.normal(size=(outputs, rank)).astype("<f4") / 10
    folder = AdapterFolder(path).create()
    save_file(tensors, folder.weights, metadata={"format": "pt"})
    usual = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": ["q_proj", "v_proj"],
    }
    write_json(folder.config, {**usual, **settings})
    return folder


def add_lora(
    studio: Studio, id: str, base_model: str = base_models.BUILTIN, template: str | None = None, **options
) -> Adapter:
    """A finished adapter of this base model on its layers called q_proj and v_proj; `template` is a chat template of its own."""
    base = base_models.get_model(studio, base_model)
    layers = [layer for layer in base_models.facts_of(base).linear_layers if layer.target in ("q_proj", "v_proj")]
    folder = write_lora(
        studio.data.adapter(id).path, {layer.name: (layer.inputs, layer.outputs) for layer in layers}, **options
    )
    write_json(folder.passport, {"version": 1, "base_model": {"id": base.id, "fingerprint": base.fingerprint}})
    if template is not None:
        (folder.path / "chat_template.jinja").write_text(template)
    adapter = Adapter(
        id=id, name=f"The {id}", base_model=base.id, method="lora", rank=options.get("rank", 4), size_bytes=folder.weights.stat().st_size,
        sha256=sha256_of(folder.weights),
    )  # fmt: skip
    with studio.database.write() as session:
        session.add(adapter)
    return adapters_row(studio, id)


def adapters_row(studio: Studio, id: str) -> Adapter:
    with studio.database.read() as session:
        return session.get_one(Adapter, id)
