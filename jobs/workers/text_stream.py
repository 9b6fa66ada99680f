"""Tokens → text while they come: never half a character, and in the end the same text as decoding all tokens at once."""

from collections.abc import Callable

BROKEN = "\ufffd"  # what a tokenizer shows for bytes that are no character, or not yet one
MOST_HELD = 64  # tokens; whoever writes so many bytes that are no text is shown what there is


class TextStream:
    def __init__(self, decode: Callable[[list[int]], str]):
        self._decode = decode
        self._before: list[int] = []  # tokens already told, which say whether the next one begins with a space
        self._held: list[int] = []
        self._told = ""  # of the text of `_held`

    def add(self, token: int) -> str:
        """The text that is certain after this token; often empty, as for the first bytes of an emoji."""
        self._held.append(token)
        text = self._text()
        certain = text.rstrip(BROKEN)
        clean = certain == text
        if not clean and len(self._held) >= MOST_HELD:
            certain, clean = text, True
        if not clean and not certain.startswith(self._told):
            return ""  # some tokenizers hide a character again while bytes that follow it are incomplete
        new, self._told = certain[len(self._told) :], certain
        if clean and text:  # a token without text, such as an end of turn, says nothing about spaces
            self._before, self._held, self._told = self._held, [], ""
        return new

    def end(self) -> str:
        """What is left when no token follows; an unfinished character is left out."""
        certain = self._text().rstrip(BROKEN)
        return certain[len(self._told) :] if certain.startswith(self._told) else ""

    def _text(self) -> str:
        before = self._decode(self._before)
        return self._decode(self._before + self._held)[len(before) :]
