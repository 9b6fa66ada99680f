"""Tokens that a brought adapter has trained and the base's tokenizer lacks: taken one by one into a copy of the base's own."""

import json
from typing import Any

from tokenizers import Tokenizer

from studio.brought_adapters.found import refused
from studio.files import read_json, write_json
from studio.folders import AdapterFolder
from studio.records import BaseModel
from studio.studio import Studio

TOKENIZER = "tokenizer.json"
MOST_LETTERS = 200  # of one token
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def tokens_brought(
    studio: Studio, folder: AdapterFolder, base: BaseModel, ids: list[int], name: str
) -> dict[str, Any] | None:
    """The base's tokenizer with the tokens that are missing in it; None where it has them all. Raises BadInput when they are not named.

    Nothing else of the brought tokenizer is used: it would have to be proved that it cuts words as the base's does.
    """
    source = studio.data.base_model(base.id).model / TOKENIZER
    if not ids or not source.is_file():
        return None
    known = Tokenizer.from_file(str(source))
    missing = [id for id in ids if known.id_to_token(id) is None]
    if not missing:
        return None
    named = named_tokens(folder)
    if unnamed := [id for id in missing if id not in named]:
        raise refused(
            name,
            f"it has trained token {unnamed[0]}, which the tokenizer of the base lacks, and no tokenizer.json names it",
            "Bring its tokenizer.json too.",
        )
    whole = json.loads(source.read_text(encoding="utf-8"))
    between = [id for id in sorted(named) if known.get_vocab_size() <= id <= missing[-1]]
    whole["added_tokens"] += [{"id": id, **named[id]} for id in between]
    made = Tokenizer.from_str(json.dumps(whole))
    if wrong := [id for id in missing if made.token_to_id(named[id]["content"]) != id]:
        raise refused(name, f"its token {wrong[0]} would get another number beside the base's own tokens")
    return whole


def named_tokens(folder: AdapterFolder) -> dict[int, dict[str, Any]]:
    """The added tokens of the tokenizer.json that came along, by their numbers."""
    try:
        brought = read_json(folder.path / TOKENIZER, {})
    except (ValueError, RecursionError):
        return {}
    listed = brought.get("added_tokens") if isinstance(brought, dict) else None
    found = {}
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or type(each.get("id")) is not int:
            continue
        content = each.get("content")
        if isinstance(content, str) and 0 < len(content) <= MOST_LETTERS:
            found[each["id"]] = {"content": content, **{flag: each.get(flag) is True for flag in FLAGS}}
    return found


def put_tokens(folder: AdapterFolder, tokenizer: dict[str, Any] | None) -> None:
    if tokenizer is not None:
        write_json(folder.path / TOKENIZER, tokenizer)
