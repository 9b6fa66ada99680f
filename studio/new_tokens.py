"""Tokens that a person has added to a base model's tokenizer, which must each come out of it as the one that was meant."""

from functools import lru_cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from studio.errors import BadInput, clip

FILE = "tokenizer.json"


def with_tokens(folder: Path, tokens: list[str]) -> tuple[Tokenizer, list[int]]:
    """(the tokenizer in `folder` with these tokens, their ids in that order). A token that it has keeps its id.

    Raises BadInput when a token is never what the tokenizer makes of its text.
    """
    tokenizer = Tokenizer.from_file(str(folder / FILE))
    known = tokenizer.get_vocab(with_added_tokens=True)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens if token not in known])
    ids = [tokenizer.token_to_id(token) for token in tokens]
    for token, id in zip(tokens, ids, strict=True):
        if id not in tokenizer.encode(token, add_special_tokens=False).ids:
            raise BadInput(
                f"The token '{clip(token)}' is never what the tokenizer makes of this text.",
                "Choose a spelling that is no part of another token.",
                "method.new_tokens",
            )
    return tokenizer, ids


def check_tokens(folder: Path, tokens: list[str]) -> None:
    """Raises BadInput as with_tokens does; the same question again costs nothing, for the form asks at every change."""
    if tokens and (error := _fault(folder, (folder / FILE).stat().st_mtime_ns, tuple(tokens))):
        raise BadInput(*error)


@lru_cache(64)
def _fault(folder: Path, changed: int, tokens: tuple[str, ...]) -> tuple[str, str, str | None] | None:
    try:
        with_tokens(folder, list(tokens))
    except BadInput as error:
        return error.problem, error.fix, error.field
    return None
