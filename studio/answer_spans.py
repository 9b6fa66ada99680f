"""Where the model's answers stand in a rendered conversation: found by marking them, and proved by rendering without marks.

    <|im_start|>assistant\\n  I'm fine.  <|im_end|>  \\n<|im_start|>user ...
    └ generation prompt ───┘└ answer ─┘└ closer ─┘
                            └ trained ────────────┘

An answer begins where the generation prompt ends, so that exactly what the model has to write at the chat is what it
learns to write. It ends with the token that closes the turn. Templates may trim, rewrite or drop parts of earlier
turns; what cannot be proved is refused, never guessed.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from studio.chat_template import ChatTemplate, Message
from studio.errors import BadInput

Span = tuple[int, int]
Answers = Literal["all", "last", "marked"]
"""Which answers of a conversation are learned. Marked: those whose message says "learn": true."""

FIRST_MARK = 0x100000  # private-use plane 16; two marks for each answer
MARKS = re.compile("[\U00100000-\U0010ffef]")
MOST_MARKED = 30_000
UNPROVED = "The chat template rewrites its answers, so it cannot be said which tokens are turn {turn}, an answer."
CHANGE = "Choose another base model, or give this one a template that writes answers as they are."


class AnswerSpans:
    def __init__(self, template: ChatTemplate, closers: list[str]):
        self.template = template
        choices = "|".join(map(re.escape, sorted(closers, key=len, reverse=True)))
        self.closer = re.compile(rf"\s*(?:{choices})") if choices else None

    def find(self, messages: list[Message], text: str, wanted: list[bool] | None = None) -> list[Span]:
        """Spans of the answers in `text`, which is the rendering of `messages`. Raises BadInput where one cannot be proved.

        `wanted` says of each answer whether its span is asked for; None: of all.
        """
        answers = [turn for turn, message in enumerate(messages) if message["role"] == "assistant"]
        if not answers:
            return []
        spans = self._marked_by_template(messages, text) if self.template.marks_answers else []
        if not spans or not (wanted is None or all(wanted) or len(spans) == len(answers)):
            spans = self._proved(messages, answers, text)
        if wanted is not None and not all(wanted):
            spans = [span for span, asked in zip(spans, wanted, strict=True) if asked]
        return [(start, self._closed(text, end)) for start, end in spans]

    def _proved(self, messages: list[Message], answers: list[int], text: str) -> list[Span]:
        """Where each answer's content stands, its closer not included."""
        marked = self._marked(messages, answers, text)
        header: str | None = None  # needs two renderings, and most conversations none of them
        spans: list[Span] = []
        for turn in answers:
            start, end = marked.get(turn, (None, None))
            if spans or not self._begins_at(start, messages[:turn], text):
                header = self._header(messages[: answers[0]]) if header is None else header
                start = self._start(messages, turn, text, start, header)
            end = self._end(messages, turn, text) if end is None else end
            if start is None or end is None or start > end or (spans and start < spans[-1][1]):
                raise BadInput(UNPROVED.format(turn=turn + 1), CHANGE)
            spans.append((start, end))
        return spans

    def _marked(
        self, messages: list[Message], answers: list[int], text: str
    ) -> dict[int, tuple[int | None, int | None]]:
        """For each answer where its content begins and ends, as far as its marks survive the template."""
        if len(answers) > MOST_MARKED or any(MARKS.search(message["content"]) for message in messages):
            return {}
        with_marks = list(messages)
        for number, turn in enumerate(answers):
            with_marks[turn] = {**messages[turn], "content": _surrounded(messages[turn]["content"], number)}
        try:
            rendered = self.template.render(with_marks)
        except BadInput:
            return {}
        places = dict(_places(rendered))
        if MARKS.sub("", rendered) != text or len(places) != len(MARKS.findall(rendered)):
            return {}  # the marks changed what the template wrote, or it wrote an answer twice
        return {turn: (places.get(2 * number), places.get(2 * number + 1)) for number, turn in enumerate(answers)}

    def _marked_by_template(self, messages: list[Message], text: str) -> list[Span]:
        """Spans that the template's own {% generation %} tags surround."""
        marks = chr(FIRST_MARK), chr(FIRST_MARK + 1)
        if any(MARKS.search(message["content"]) for message in messages):
            return []
        rendered = self.template.render(messages, marks=marks)
        if MARKS.sub("", rendered) != text:
            return []
        places = [place for _, place in _places(rendered)]
        return list(zip(places[::2], places[1::2], strict=True))

    def _begins_at(self, content: int | None, before: list[Message], text: str) -> bool:
        """Whether the prompt that the model answers to ends exactly where the answer's content begins."""
        try:
            prompt = self.template.render(before, add_generation_prompt=True) if content is not None else ""
        except BadInput:
            return False
        return content is not None and len(prompt) == content and text.startswith(prompt)

    def _header(self, before: list[Message]) -> str:
        """What the template writes to open an answer, such as "<|im_start|>assistant\\n"; "" when it opens nothing."""
        try:
            without, opened = self.template.render(before), self.template.render(before, add_generation_prompt=True)
        except BadInput:
            return ""
        return opened[len(without) :] if opened.startswith(without) else ""

    def _start(self, messages: list[Message], turn: int, text: str, content: int | None, header: str) -> int | None:
        """Where the generation prompt before this answer ends; where its content begins when the two disagree."""
        if content is not None and header and text.endswith(header, 0, content):
            return content
        try:
            prompt = self.template.render(messages[:turn], add_generation_prompt=True)
        except BadInput:
            return content
        if text.startswith(prompt) and (content is None or len(prompt) <= content):
            return len(prompt)
        return content

    def _end(self, messages: list[Message], turn: int, text: str) -> int | None:
        """Where the rendering up to this answer ends, closers and all, when the conversation really begins with it."""
        try:
            until = self.template.render(messages[: turn + 1])
        except BadInput:
            return None
        if not text.startswith(until):
            return None
        closers = list(self.closer.finditer(until)) if self.closer else []
        return closers[-1].start() if closers and not until[closers[-1].end() :].strip() else len(until)

    def _closed(self, text: str, end: int) -> int:
        """The end of the closing token that follows an answer, when one does; what is between them is learned too."""
        closer = self.closer.match(text, end) if self.closer else None
        return closer.end() if closer else end


def _surrounded(content: str, number: int) -> str:
    """The content with marks inside of its outer white space, which templates like to trim."""
    kept = content.strip()
    if not kept:
        return content
    start = content.index(kept)
    return f"{content[:start]}{chr(FIRST_MARK + 2 * number)}{kept}{chr(FIRST_MARK + 2 * number + 1)}{content[start + len(kept) :]}"


def _places(rendered: str) -> Iterator[tuple[int, int]]:
    """(mark, its place in the text without marks)"""
    for passed, found in enumerate(MARKS.finditer(rendered)):
        yield ord(found[0]) - FIRST_MARK, found.start() - passed


def learned_answers(messages: list[dict[str, Any]], choice: Answers, after: int = 0) -> list[bool]:
    """For each answer of the conversation whether it is learned; those among the first `after` messages are not.

    "marked": those marked "learn": true; where a conversation only marks what is not to be learned, all the others are.
    """
    answers = [
        (place, message.get("learn")) for place, message in enumerate(messages) if message["role"] == "assistant"
    ]
    if choice == "last":
        learned = [place == answers[-1][0] for place, _ in answers]
    elif choice == "marked" and any(mark for _, mark in answers):
        learned = [bool(mark) for _, mark in answers]
    else:
        learned = [choice == "all" or mark is not False for _, mark in answers]
    return [wanted and place >= after for wanted, (place, _) in zip(learned, answers, strict=True)]
