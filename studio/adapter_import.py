"""Import: an adapter that was made elsewhere, as a zip or as its files, becomes one of this studio, or is refused for what it is.

It is matched to a base model by the shapes of its matrices: half of the adapters that people publish name their base by a
folder of their own machine. Its settings are written anew, its tokenizer is the base's (with the tokens that it has trained),
and of what came with it the passport and the chat template are kept.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import base_models
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.adapter_matching import chosen_base, fit_in_words
from studio.adapter_tokens import put_tokens, tokens_brought
from studio.adapter_unpacking import TEMPLATE, from_folder, gather, refuse_other_things, stem_of
from studio.brought_adapters import FoundAdapter, read_brought
from studio.brought_adapters.fronts import sizes_of
from studio.errors import BadInput, clip
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, new_id
from studio.lora_files import short_names
from studio.passports.schema import VERSION, cleaned
from studio.plan import clean_name
from studio.records import LOCAL_PERSON, Adapter, BaseModel, utc_now
from studio.studio import Studio
from studio.tokens import read_template

# Settings that a person asks after; the rest of adapter_config.json is about its layers one by one
TOLD = (
    "r", "lora_alpha", "use_rslora", "use_dora", "bias", "rank_pattern", "alpha_pattern", "init_r", "target_r", "oft_block_size", "num_virtual_tokens",
)  # fmt: skip


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
        return take(studio, folder, [name for name, _ in files], stem_of(files), base_model, name, owner)
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def import_folder(
    studio: Studio, path: str, base_model: str | None = None, name: str | None = None, owner: str = LOCAL_PERSON
) -> Adapter:
    """An adapter in a folder below the models folder, by its name there. Raises as import_adapter does."""
    source = base_models.local_folder(studio, path)
    folder = AdapterFolder(studio.data.incoming / new_id()).create()
    try:
        names = from_folder(studio, source, folder.path)
        return take(studio, folder, names, clean_name(source.name)[:100] or "Imported adapter", base_model, name, owner)
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def take(
    studio: Studio, folder: AdapterFolder, names: list[str], stem: str, base_model: str | None, name: str | None, owner: str,
    origin: dict[str, Any] | None = None, id: str | None = None,
) -> Adapter:  # fmt: skip
    """What lies in `folder`, brought as files of these `names`, matched and kept. `origin`: where it was fetched from.

    Taking it in twice under one `id`, after a crash in between, makes one adapter.
    """
    said = clean_name(name or "")[:100] or stem
    refuse_other_things(folder, names)
    found = read_brought(folder, said)
    check_adapter(folder)
    passport = read_passport(folder)
    base = chosen_base(studio, found, said, base_model, passport)
    named = name or passport.get("name")
    named = clean_name(named)[:100] if isinstance(named, str) else ""
    return keep(studio, folder, base, found, passport, named or said, owner, origin or {}, id or new_id())


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
    return cleaned(passport)


def keep(
    studio: Studio, folder: AdapterFolder, base: BaseModel, found: FoundAdapter, passport: dict[str, Any], name: str, owner: str,
    origin: dict[str, Any], id: str,
) -> Adapter:  # fmt: skip
    """Write the adapter's folder in the studio's form, move it to its place, then its row."""
    named = clip(read_json(folder.config).get("base_model_name_or_path") or "", 200) or None
    tokens = tokens_brought(studio, folder, base, found.token_ids, name)
    put_tokenizer(studio, folder, base)
    put_tokens(folder, tokens)
    write_json(folder.config, clean_settings(found, base))
    facts = base_models.facts_of(base)
    ours = {
        "name": name,
        "base_model": base_models.described(base),
        "imported": {
            "at": utc_now().isoformat(timespec="seconds"), "base_named": named, "method": found.method, "matched": fit_in_words(found, facts), "settings": told_settings(found), **origin,
        },
        "layers": len(found.layers),
        "adapter_sha256": sha256_of(folder.weights),
    }  # fmt: skip
    rows = max(found.token_ids, default=-1) + 1
    longer = {"embedding_rows": rows} if rows > facts.vocabulary and not passport.get("embedding_rows") else {}
    write_json(folder.passport, {"version": VERSION, **passport, **longer, **ours})
    results = passport.get("results") if isinstance(passport.get("results"), dict) else {}
    losses = {key: value for key in ("heldout_loss", "base_heldout_loss") if type(value := results.get(key)) is float}
    adapter = Adapter(
        id=id, owner=owner, name=name, base_model=base.id, source="import", method=found.method, rank=found.rank,
        sha256=ours["adapter_sha256"], size_bytes=size_of(folder.path), **losses,
    )  # fmt: skip
    put_in_place(folder.path, studio.data.adapter(adapter.id).path)
    with studio.database.write() as session:
        session.merge(adapter)
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


def told_settings(found: FoundAdapter) -> dict[str, Any]:
    """What adapter_config.json says of how it was made, for an adapter that brings no passport."""
    return {
        key: value
        for key, value in found.settings.items()
        if key in TOLD and value not in (None, False, {}, [], "none")
    }


def clean_settings(found: FoundAdapter, base: BaseModel) -> dict[str, Any]:
    """adapter_config.json anew: the same adapter, with its modules named, and nothing that only somebody else's machine knows."""
    on_hub, facts = base.source == "hub", base_models.facts_of(base)
    about = {
        "base_model_name_or_path": base.location if on_hub else None,
        "revision": base.revision if on_hub else None,
    }
    if found.front:
        return {**found.settings, **sizes_of(found.front, facts), **about}
    changed = [*found.layers, *found.embeddings]
    targets = short_names(changed, facts) if found.method == "lora" else changed
    return {**found.settings, "target_modules": targets, **about}
