"""QnA Maker's Markdown (.qna): questions that mean the same in a list, then their answer between fences."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from studio.containers.container import ROW_BYTES, SourceRow
from studio.containers.packed import open_text

COLUMNS = ("question", "answer")
LOOKED_AT = 400  # lines
QUESTION = "# ?"
FENCE = re.compile(r"\s*```\s*(?:markdown)?\s*$")


def is_qna(lines: list[str], path: Path, encoding: str) -> bool:
    """Whether a text begins as such a file does: with its mark or a question, and an answer between fences not far below."""
    if not lines[0].lstrip("\ufeff").startswith((QUESTION, ">", "#")):
        return False
    with open_text(path, encoding) as file:
        head = list(islice(iter(lambda: file.readline(ROW_BYTES), ""), LOOKED_AT))
    asked = next((number for number, line in enumerate(head) if line.startswith(QUESTION)), None)
    return asked is not None and any(line.startswith("```markdown") for line in head[asked:])


def read_qna(file: TextIO) -> Iterator[SourceRow]:
    """A row for each way to ask, at its line. A question whose answer is missing becomes a row with an empty one."""
    number = 0
    for questions, answer in _blocks(file):
        for line, question in questions:
            number += 1
            yield SourceRow(number, line, {"question": question, "answer": answer})


def _blocks(file: TextIO) -> Iterator[tuple[list[tuple[int, str]], str]]:
    questions: list[tuple[int, str]] = []
    answer: list[str] | None = None  # its lines, while between the fences
    asking = False  # in the list of questions, and not in that of filters or prompts below it
    for line, text in enumerate(iter(lambda: file.readline(ROW_BYTES), ""), 1):
        if answer is not None:
            if not FENCE.match(text):
                answer.append(text)
                continue
            yield questions, "".join(answer).strip()
            questions, answer = [], None
        elif text.startswith(QUESTION):
            if questions:
                yield questions, ""
            questions, asking = [(line, text.removeprefix(QUESTION).strip())], True
        elif questions and FENCE.match(text):
            answer = []
        elif text.startswith("**"):
            asking = False
        elif asking and text.startswith("- "):
            questions.append((line, text[2:].strip()))
    if questions:
        yield questions, "".join(answer or ()).strip()
