"""What the model in training is asked at each evaluation: the pinned prompts, otherwise those of the first held-out rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from studio.folders import DatasetFolder
from studio.rows import read_rows
from studio.tokens import ChatTokenizer

SAMPLED = 3  # prompts answered at each evaluation when the person pinned none
LOOKED_AT = 100  # rows in which prompts to sample are looked for
BEGINNING = re.compile(r"\s*(?:\S+\s+){0,11}\S+")  # a dozen words of a document, to be gone on with
MOST_LETTERS = 80  # of them, in languages without blanks too


@dataclass(frozen=True)
class Prompt:
    shown: str
    ids: list[int]


def pinned(texts: Sequence[str], tokenizer: ChatTokenizer, objective: str) -> list[Prompt]:
    """The person's own: asked as a user, or gone on with where raw text is learned."""
    if objective == "text":
        return [Prompt(text, begun(text, tokenizer)) for text in texts]
    return [Prompt(text, tokenizer.prompt([{"role": "user", "content": text}])) for text in texts]


def sampled(folder: DatasetFolder, places: Sequence[int], tokenizer: ChatTokenizer) -> list[Prompt]:
    """The first few prompts of the rows at these places: what comes before an answer, or a document's first words."""
    found: list[Prompt] = []
    for place in places[:LOOKED_AT]:
        if len(found) == SAMPLED:
            break
        for row in read_rows(folder, int(place), 1):
            if "text" in row:
                words = beginning(row["text"])
                found.append(Prompt(words, begun(words, tokenizer)))
            elif messages := before_the_answer(row["messages"]):
                found.append(Prompt(messages[-1]["content"], tokenizer.prompt(messages)))
    return found


def beginning(text: str) -> str:
    """The first words of a document, none of them cut where there are blanks to cut at."""
    words = BEGINNING.match(text)[0]
    return words if len(words) <= MOST_LETTERS else words[:MOST_LETTERS].rpartition(" ")[0] or words[:MOST_LETTERS]


def begun(text: str, tokenizer: ChatTokenizer) -> list[int]:
    """A document's tokens without its end."""
    ids = tokenizer.encode_text(text).ids
    return ids[:-1] if tokenizer.eos_id is not None else ids


def before_the_answer(messages: list[dict]) -> list[dict]:
    """Everything before the first answer, as it is said."""
    answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    asked = messages[: answers[0]] if answers else messages
    return [{"role": message["role"], "content": message["content"]} for message in asked]
