"""Import: an adapter that was made elsewhere, as a zip or as its files, becomes one of this studio, or is refused for what it is.

It is matched to a base model by the shapes of its matrices: half of the adapters that people publish name their base by a
folder of their own machine. Only a plain LoRA is taken; its settings are written anew, its tokenizer is the base's, and of
what came with it the passport and the chat template are kept.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import base_models
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.adapter_matching import check_base, chosen_base
from studio.adapter_unpacking import TEMPLATE, gather, refuse_other_things, stem_of
from studio.errors import BadInput, clip
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, new_id
from studio.lora_files import PlainLora, read_lora, read_settings, short_names
from studio.plan import clean_name
from studio.records import LOCAL_PERSON, Adapter, BaseModel, utc_now
from studio.studio import Studio
from studio.tokens import read_template


def import_adapter(
    studio: Studio,
    files: Sequence[tuple[str, Path]],
    base_model: str | None = None,
    name: str | None = None,
    owner: str = LOCAL_PERSON,
) -> Adapter:
    """`files`: (name, where it lies) of a zip, or of the adapter's files. Raises BadInput, Invalid, Conflict or TooLarge with the reason."""
    folder = AdapterFolder(studio.data.incoming / new_id()).create()
    try:
        gather(studio, files, folder.path)
        said = clean_name(name or "")[:100] or stem_of(files)
        refuse_other_things(folder, [name for name, _ in files])
        lora = read_lora(folder, said)
        check_adapter(folder)
        passport = read_passport(folder)
        base = chosen_base(studio, lora, said, base_model, passport)
        check_base(base, lora, said)
        named = name or passport.get("name")
        named = clean_name(named)[:100] if isinstance(named, str) else ""
        return keep(studio, folder, base, lora, passport, named or said, owner)
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def read_passport(folder: AdapterFolder) -> dict[str, Any]:
    """The passport that came with it; empty when there is none. Raises BadInput for one of other weights."""
    try:
        passport = read_json(folder.passport, {})
        json.dumps(
            passport, allow_nan=False, ensure_ascii=False
        ).encode()  # what cannot be written again: NaN, half a character
    except (ValueError, RecursionError):
        passport = None
    if not isinstance(passport, dict):
        raise BadInput("passport.json is not a JSON object.", "Leave it out, or bring it as it was.", "file")
    if passport.get("adapter_sha256", None) not in (None, sha256_of(folder.weights)):
        raise BadInput(
            "passport.json belongs to other weights than these: their sha256 is not the one that it names.",
            "Leave it out.",
            "file",
        )
    return passport


def keep(
    studio: Studio,
    folder: AdapterFolder,
    base: BaseModel,
    lora: PlainLora,
    passport: dict[str, Any],
    name: str,
    owner: str,
) -> Adapter:
    """Write the adapter's folder in the studio's form, move it to its place, then its row."""
    settings = read_settings(folder, name)
    put_tokenizer(studio, folder, base)
    write_json(folder.config, clean_settings(settings, base, lora))
    sha256 = sha256_of(folder.weights)
    named = clip(settings.get("base_model_name_or_path") or "", 200) or None
    ours = {
        "name": name,
        "base_model": base_models.described(base),
        "imported": {"at": utc_now().isoformat(timespec="seconds"), "base_named": named},
        "layers": len(lora.modules),
        "adapter_sha256": sha256,
    }
    write_json(folder.passport, {"version": 1, **passport, **ours})
    results = passport.get("results") if isinstance(passport.get("results"), dict) else {}
    losses = {key: value for key in ("heldout_loss", "base_heldout_loss") if type(value := results.get(key)) is float}
    adapter = Adapter(
        id=new_id(), owner=owner, name=name, base_model=base.id, source="import", method="lora", rank=lora.widest, sha256=sha256,
        size_bytes=size_of(folder.path), **losses,
    )  # fmt: skip
    put_in_place(folder.path, studio.data.adapter(adapter.id).path)
    with studio.database.write() as session:
        session.add(adapter)
    return adapter


def put_tokenizer(studio: Studio, folder: AdapterFolder, base: BaseModel) -> None:
    """The base's tokenizer with the adapter's own template, where it brings one; nothing else that came along stays."""
    template = own_template(folder)
    for path in folder.path.iterdir():
        if path not in (folder.config, folder.weights, folder.passport):
            path.unlink()
    prepared = studio.data.base_model(base.id).model
    for name in ("tokenizer.json", "tokenizer_config.json", TEMPLATE):
        if (prepared / name).is_file():
            shutil.copyfile(prepared / name, folder.path / name)
    if template is not None:
        (folder.path / TEMPLATE).write_text(template, encoding="utf-8")


def own_template(folder: AdapterFolder) -> str | None:
    """The chat template that it learned in, where it brings one."""
    try:
        config = read_json(folder.path / "tokenizer_config.json", {})
        return read_template(folder.path, config if isinstance(config, dict) else {})
    except (ValueError, RecursionError):
        return None


def clean_settings(settings: dict[str, Any], base: BaseModel, lora: PlainLora) -> dict[str, Any]:
    """adapter_config.json anew: the same update, with its modules named, and nothing that only somebody else's machine knows."""
    on_hub = base.source == "hub"
    return {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "inference_mode": True, "bias": "none", "lora_dropout": 0.0, "fan_in_fan_out": lora.fan_in_fan_out,
        "r": settings["r"], "lora_alpha": settings["lora_alpha"], "use_rslora": bool(settings.get("use_rslora")),
        "rank_pattern": settings.get("rank_pattern") or {}, "alpha_pattern": settings.get("alpha_pattern") or {},
        "target_modules": short_names(list(lora.modules), base_models.facts_of(base)), "base_model_name_or_path": base.location if on_hub else None,
        "revision": base.revision if on_hub else None,
    }  # fmt: skip
