"""Import: an adapter that was made elsewhere, as a zip or as its files, becomes one of this studio, or is refused for what it is.

It is matched to a base model by the shapes of its matrices: half of the adapters that people publish name their base by a
folder of their own machine. Only a plain LoRA is taken; its settings are written anew, its tokenizer is the base's, and of
what came with it the passport and the chat template are kept.
"""

import shutil
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import base_models
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.adapter_matching import check_base, chosen_base
from studio.admission import check_disk
from studio.errors import BadInput, TooLarge, clip
from studio.folders import AdapterFolder, new_id, read_json, sha256_of, write_json
from studio.lora_files import PlainLora, read_lora, read_settings, short_names
from studio.plan import clean_name
from studio.records import LOCAL_PERSON, Adapter, BaseModel, utc_now
from studio.studio import Studio
from studio.tokens import read_template

CONFIG, WEIGHTS, PASSPORT, TEMPLATE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "passport.json",
    "chat_template.jinja",
)
TAKEN = (CONFIG, WEIGHTS, PASSPORT, TEMPLATE, "tokenizer_config.json")
MOST_TEXT_BYTES = 8 << 20  # of a file that is not the weights
CHUNK_BYTES = 1 << 20
# What zipfile raises at damaged zips; RuntimeError when one is encrypted
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
)
PICKLES = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")


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


def gather(studio: Studio, files: Sequence[tuple[str, Path]], target: Path) -> None:
    """What is taken of the zip, or of the files, in one flat folder. Raises BadInput or TooLarge."""
    limit = studio.settings.max_upload_mb << 20
    check_disk(studio.data.path, sum(path.stat().st_size for _, path in files))
    if len(files) == 1 and zipfile.is_zipfile(files[0][1]):
        unzip(files[0][1], target, limit)
        return
    for name, path in files:
        short = name.replace("\\", "/").rpartition("/")[2]
        if short in TAKEN or short in PICKLES:
            with open(path, "rb") as source:
                copy(
                    source,
                    target / short,
                    limit if short == WEIGHTS else MOST_TEXT_BYTES,
                    keep_what_fits=short in PICKLES,
                )


def unzip(path: Path, target: Path, limit: int) -> None:
    """The folder of the zip that holds adapter_config.json; nothing else of it is looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
            tops = [name[: -len(CONFIG)] for name in entries if name == CONFIG or name.endswith(f"/{CONFIG}")]
            if len(tops) > 1:
                raise BadInput(f"The zip holds {len(tops)} adapters.", "Bring one at a time.", "file")
            if not tops:
                raise BadInput(
                    "The zip holds no adapter_config.json, so it is no adapter.",
                    "Bring the folder that PEFT has saved.",
                    "file",
                )
            for name in (*TAKEN, *PICKLES):
                entry = entries.get(tops[0] + name)
                if entry is not None:
                    with archive.open(entry) as source:
                        copy(
                            source,
                            target / name,
                            limit if name == WEIGHTS else MOST_TEXT_BYTES,
                            keep_what_fits=name in PICKLES,
                        )
    except UNREADABLE as error:
        raise BadInput(
            f"The zip cannot be read: {clip(error, 100)}.",
            "Pack the adapter's folder again, without a password.",
            "file",
        ) from None


def copy(source: Any, target: Path, limit: int, keep_what_fits: bool = False) -> None:
    """At most `limit` bytes, whatever the file says of its size."""
    left = limit
    with open(target, "wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                if keep_what_fits:
                    return
                raise TooLarge(
                    f"{target.name} has more than {limit >> 20:,} MB.",
                    "Start the studio with a larger --max-upload-mb.",
                    "file",
                )
            file.write(chunk)


def refuse_other_things(folder: AdapterFolder, names: list[str]) -> None:
    """Say what was brought instead of an adapter."""
    pickled = next((name for name in PICKLES if (folder.path / name).exists()), None)
    if not folder.config.exists():
        shown = clip(", ".join(names), 100)
        raise BadInput(
            f"There is no adapter_config.json in what was brought ({shown}).",
            "Bring the zip or the files of an adapter that PEFT has saved.",
            "file",
        )
    if not folder.weights.exists() and pickled:
        raise BadInput(
            f"The weights are only there as {pickled}, which could run code when it is read.",
            "Load the adapter with PEFT where you trust it and save it there again: it writes safetensors.",
            "file",
        )
    if not folder.weights.exists():
        raise BadInput("There is no adapter_model.safetensors beside adapter_config.json.", "Bring both.", "file")


def read_passport(folder: AdapterFolder) -> dict[str, Any]:
    """The passport that came with it; empty when there is none. Raises BadInput for one of other weights."""
    try:
        passport = read_json(folder.passport, {})
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
    template = own_template(folder)
    prepared = studio.data.base_model(base.id).model
    for extra in (
        folder.path / "tokenizer_config.json",
        folder.path / TEMPLATE,
        *(folder.path / pickle for pickle in PICKLES),
    ):
        extra.unlink(missing_ok=True)
    for file in ("tokenizer.json", "tokenizer_config.json", TEMPLATE):
        if (prepared / file).is_file():
            shutil.copyfile(prepared / file, folder.path / file)
    if template is not None:
        (folder.path / TEMPLATE).write_text(template, encoding="utf-8")
    write_json(folder.config, clean_settings(settings, base, lora))
    sha256 = sha256_of(folder.weights)
    known = {
        key: getattr(base, key) for key in ("id", "name", "source", "location", "revision", "fingerprint", "parameters")
    }
    arrived = {
        "at": utc_now().isoformat(timespec="seconds"),
        "base_named": clip(settings.get("base_model_name_or_path") or "", 200) or None,
    }
    facts = base_models.facts_of(base)
    write_json(
        folder.passport,
        {
            "version": 1, **passport, "name": name, "base_model": {**known, "architecture": facts.architecture}, "imported": arrived,
            "layers": len(lora.modules), "adapter_sha256": sha256,
        },
    )  # fmt: skip
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


def own_template(folder: AdapterFolder) -> str | None:
    """The chat template that it learned in, where it brings one."""
    try:
        config = read_json(folder.path / "tokenizer_config.json", {})
        return read_template(folder.path, config if isinstance(config, dict) else {})
    except (ValueError, RecursionError):
        return None


def clean_settings(settings: dict[str, Any], base: BaseModel, lora: PlainLora) -> dict[str, Any]:
    """adapter_config.json anew: the same update, with its modules named, and nothing that only somebody else's machine knows."""
    kept = {
        key: settings[key]
        for key in ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern")
        if key in settings
    }
    on_hub = base.source == "hub"
    return {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "inference_mode": True, "bias": "none", "lora_dropout": 0.0, **kept, "fan_in_fan_out": lora.fan_in_fan_out,
        "target_modules": short_names(list(lora.modules), base_models.facts_of(base)), "base_model_name_or_path": base.location if on_hub else None,
        "revision": base.revision if on_hub else None,
    }  # fmt: skip


def stem_of(files: Sequence[tuple[str, Path]]) -> str:
    """A name for an adapter without one: its zip's."""
    name = files[0][0].replace("\\", "/").rpartition("/")[2] if files else ""
    return clean_name(name.rpartition(".")[0] or name)[:100] if name.endswith(".zip") else "Imported adapter"
