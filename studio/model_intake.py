"""Lay out the clean folder that transformers loads: a config from an allow-list, the tokenizer, and links to the weights."""

import os
import re
import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from studio.chat_template import TEMPLATES, offered
from studio.errors import BadInput, Invalid, clip
from studio.files import write_json
from studio.folders import BaseModelFolder
from studio.model_checks import facts_of_weights
from studio.model_config import clean_config, clean_generation_config, clean_tokenizer_config, read_model_json
from studio.model_facts import ModelFacts
from studio.model_files import Weights, inside, read_weights
from studio.tokens import ChatTokenizer, read_template

MOST_TOKENIZER_BYTES = 256 << 20
MOST_TEMPLATE_BYTES = 1 << 20
TRIAL = [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "I am fine, thank you."}]


def prepare(
    source: Path,
    folder: BaseModelFolder,
    root: Path,
    template: str | None = None,
    tokenizer_folder: Path | None = None,
    limits: AbstractContextManager = nullcontext(),
) -> ModelFacts:
    """Check the model in `source` (files below `root`) and write folder.model and folder.facts. Raises BadInput with the reason.

    `template` names an offered chat template to use; `tokenizer_folder` holds the tokenizer where source has no
    tokenizer.json; the model's own template is tried within `limits`.
    """
    if not (source / "config.json").is_file():
        raise _no_config(source)
    for path in source.iterdir():
        if path.is_file():
            inside(path, root)
    config = clean_config(read_model_json(source / "config.json"))
    weights = read_weights(source, root)
    being_written = Path(tempfile.mkdtemp(prefix="model-", dir=folder.create().path))
    try:
        _write_tokenizer(tokenizer_folder or source, source, being_written, template)
        with limits:
            tokenizer = ChatTokenizer.load(being_written)
            if tokenizer.has_template:
                try_template(tokenizer)
        facts = facts_of_weights(config, weights, tokenizer).model_copy(
            update={"template": template, "licence": licence_of(source)}
        )
        write_json(being_written / "config.json", {**config, "tie_word_embeddings": facts.tied_embeddings})
        link_weights(weights, being_written)
        shutil.rmtree(folder.model, ignore_errors=True)
        os.rename(being_written, folder.model)
    finally:
        shutil.rmtree(being_written, ignore_errors=True)
    write_json(folder.facts, facts.model_dump(mode="json"))
    return facts


def write_template(folder: BaseModelFolder, name: str) -> ModelFacts:
    """Give a prepared model an offered template. Raises Invalid for a name that is not offered."""
    facts = ModelFacts.model_validate_json(folder.facts.read_bytes())
    _put_template(folder.model, name)
    try_template(ChatTokenizer.load(folder.model))
    facts = facts.model_copy(update={"has_chat_template": True, "template": name})
    write_json(folder.facts, facts.model_dump(mode="json"))
    return facts


def check_template_name(name: str | None) -> None:
    if name is not None and name not in TEMPLATES:
        raise Invalid(
            f"There is no template '{clip(name)}' to choose.", f"Choose one of: {', '.join(TEMPLATES)}.", "template"
        )


def try_template(tokenizer: ChatTokenizer) -> None:
    """Use the template on a small conversation, as every row will be. Raises BadInput when no answer can be learned with it."""
    for messages in (TRIAL, TRIAL * 2):
        encoded, prompt = tokenizer.encode(messages), tokenizer.prompt(messages[:-1])
        if not encoded.trained_tokens or not prompt:
            raise BadInput(
                "The chat template leaves out what the model answers.", "Choose the plain template for this model."
            )


def link_weights(weights: Weights, target: Path) -> None:
    """Hard links where the disk allows them, so that a deleted source takes nothing from a waiting run; else symbolic ones."""
    single = len(weights.files) == 1
    for path in weights.files:
        place = target / ("model.safetensors" if single else path.name)
        try:
            os.link(path.resolve(), place)
        except OSError:
            place.symlink_to(path.resolve())
    if not single:
        weight_map = {name: tensor.file.name for name, tensor in sorted(weights.tensors.items())}
        total = sum(tensor.size for tensor in weights.tensors.values())
        write_json(
            target / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map}
        )


def licence_of(source: Path) -> str | None:
    """The licence named in the model card's head, such as "apache-2.0"."""
    card = source / "README.md"
    if not card.is_file():
        return None
    with open(card, encoding="utf-8", errors="replace") as file:
        text = file.read(20_000)
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    named = (
        dict(re.findall(r"^(license|license_name):\s*[\"']?([\w .+-]{1,60})", head[1], re.MULTILINE)) if head else {}
    )
    licence = named.get("license_name") if named.get("license") == "other" else named.get("license")
    return licence.strip() if licence else None


def _write_tokenizer(files: Path, source: Path, target: Path, template: str | None) -> None:
    path = files / "tokenizer.json"
    if path.is_file():
        if path.stat().st_size > MOST_TOKENIZER_BYTES:
            raise BadInput(
                f"tokenizer.json has {path.stat().st_size:,} bytes, which no tokenizer needs.",
                "Fetch it again from where the model came from.",
            )
        shutil.copyfile(path, target / "tokenizer.json")
    config = read_model_json(files / "tokenizer_config.json")
    special = read_model_json(files / "special_tokens_map.json")
    chosen = read_template(source, config) or read_template(files, config)
    if chosen is not None and len(chosen.encode()) > MOST_TEMPLATE_BYTES:
        raise BadInput("The chat template has more than 1 MB.", "Correct chat_template.jinja beside the model.")
    write_json(
        target / "tokenizer_config.json",
        clean_tokenizer_config({**special, **{name: value for name, value in config.items() if value is not None}}),
    )
    write_json(target / "generation_config.json", _ids_of(source))
    if chosen is not None and template is None:
        (target / "chat_template.jinja").write_text(chosen, encoding="utf-8")
    if template is not None:
        _put_template(target, template)


def _ids_of(source: Path) -> dict[str, Any]:
    """The ids at which generation starts and stops: generation_config.json's, else config.json's."""
    return {
        **clean_generation_config(read_model_json(source / "config.json")),
        **clean_generation_config(read_model_json(source / "generation_config.json")),
    }


def _put_template(target: Path, name: str) -> None:
    check_template_name(name)
    (target / "chat_template.jinja").unlink(missing_ok=True)
    end = ChatTokenizer.load(target).preferred_end
    if end is None:
        raise BadInput(
            "Neither the tokenizer nor generation_config.json names a token that ends an answer.",
            'Name it as "eos_token" in tokenizer_config.json.',
        )
    (target / "chat_template.jinja").write_text(offered(name, end), encoding="utf-8")


def _no_config(source: Path) -> BadInput:
    if (source / "adapter_config.json").exists():
        return BadInput(
            "This folder holds an adapter, not a base model.", "Bring the base model that it was trained on."
        )
    return BadInput(
        "There is no config.json in the folder.",
        "Bring the whole folder of the model: config.json, the weights and the tokenizer.",
    )
