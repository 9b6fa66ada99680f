"""A row token by token, as it is shown: each with its id, whether it is trained, and whether a template wrote it."""

from dataclasses import dataclass

from studio.tokens import ChatTokenizer, Encoded


@dataclass(frozen=True)
class Token:
    id: int
    text: str
    """The characters that it adds to those before it; empty for a token that shares a character with the one before."""
    trained: bool
    template: bool
    """Written by the chat template or the tokenizer, not by anybody in the row."""


def tokens_in(tokenizer: ChatTokenizer, encoded: Encoded, texts: list[str]) -> list[Token]:
    """Every token of a sequence that was encoded from these texts (a row's messages in their order, or its document)."""
    said = _said(encoded.text, texts)
    found: list[Token] = []
    done = place = 0
    for id, trained, (start, end) in zip(encoded.ids, encoded.trained, encoded.spans or (), strict=True):
        while place < len(said) and said[place][1] <= start:
            place += 1
        template = tokenizer.is_special(id) or place == len(said) or max(end, start + 1) <= said[place][0]
        found.append(Token(id, encoded.text[done:end], trained, template))
        done = max(done, end)
    return found


def _said(text: str, texts: list[str]) -> list[tuple[int, int]]:
    """Where each of the texts stands; one that a template has rewritten counts as its own writing."""
    spans: list[tuple[int, int]] = []
    at = 0
    for each in texts:
        kept = each.strip()  # templates trim
        begins = text.find(kept, at) if kept else -1
        if begins >= 0:
            at = begins + len(kept)
            spans.append((begins, at))
    return spans
