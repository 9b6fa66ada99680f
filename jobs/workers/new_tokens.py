"""Tokens that the person names: added to a copy of the tokenizer, and given rows of the embedding to begin from."""

import os
import secrets
import shutil
from pathlib import Path

import torch

from studio.new_tokens import with_tokens
from studio.tokens import ChatTokenizer

CONFIGS = ("tokenizer_config.json", "chat_template.jinja", "generation_config.json", "config.json")


def add_to_tokenizer(folder: Path, tokens: list[str], target: Path) -> list[int]:
    """Write `folder`'s tokenizer with these tokens as the folder `target`. Returns their ids, in that order.

    A token that the tokenizer has keeps its id. Raises BadInput when one does not come out as a single token.
    """
    tokenizer, ids = with_tokens(folder, tokens)
    writing = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    writing.mkdir(parents=True)
    for name in CONFIGS:
        if (folder / name).exists():
            shutil.copyfile(folder / name, writing / name)
    tokenizer.save(str(writing / "tokenizer.json"))
    try:
        os.rename(writing, target)
    except OSError:  # another process of this training was quicker: it wrote the same
        shutil.rmtree(writing)
    return ids


def give_rows(model, before: ChatTokenizer, tokens: list[str], ids: list[int]) -> None:
    """Make room for the ids, and let those that are new begin as the mean of what their text was made of before.

    Rows that an embedding has to spare are used; only when there are too few is it made longer. What the tokenizer
    knew before is left as it is.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if max(ids) >= rows:
        model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    tables = {
        id(each.weight): each.weight for each in (model.get_input_embeddings(), model.get_output_embeddings()) if each
    }
    known = before.tokenizer.get_vocab(with_added_tokens=True)
    with torch.no_grad():
        for token, row in zip(tokens, ids, strict=True):
            pieces = before.tokenizer.encode(token, add_special_tokens=False).ids
            if token not in known and pieces:
                for weight in tables.values():
                    weight[row] = weight[pieces].mean(dim=0)
    model.requires_grad_(False)
