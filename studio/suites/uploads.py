"""A suite from a file: prompts as JSON Lines, JSON or CSV, or any file that the data reader knows, whose answers are then expected."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from studio.dataset_uploads import dataset_name, rows_of_upload, shown_file_name
from studio.errors import BadInput, StudioError
from studio.records import LOCAL_PERSON, Suite
from studio.rows import read_rows
from studio.studio import Studio
from studio.suites.heldout_rows import are_labels, prompt_of
from studio.suites.lists import make_suite
from studio.suites.prompts import MOST_PROMPTS

LARGEST_OWN = 16_000_000  # bytes of a file that is looked at for prompts; a larger one is read as data
ASKS = ("text", "prompt", "question")  # names of a column with the question
KEPT = ("id", "system", "expected", "topic", "messages", "checks")
SHORT = ("contains", "not_contains", "matches")  # columns that are a check each


def suite_from_upload(
    studio: Studio, file: Path, file_name: str, name: str | None = None, owner: str = LOCAL_PERSON
) -> Suite:
    """Raises BadInput, Invalid or TooLarge with the row and what to do."""
    shown = shown_file_name(file_name)
    prompts = own_prompts(file) or prompts_of_data(studio, file, shown)
    called = dataset_name(name) or dataset_name(Path(shown).stem) or "Suite"
    return make_suite(studio, called, prompts, owner, "upload", about=f"From the file {shown}.")


def own_prompts(file: Path) -> list[dict[str, Any]]:
    """The prompts of a file in which each row is one; none where it is data of another shape."""
    if file.stat().st_size > LARGEST_OWN:
        return []
    try:
        rows = read_plainly(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError, csv.Error):  # not text, or cut off: the data reader says in words what is wrong
        return []
    if not rows or not all(isinstance(row, dict) and asks_only(row) for row in rows):
        return []
    return [own_prompt(row) for row in rows]


def read_plainly(text: str) -> list[Any]:
    begin = text.lstrip()[:1]
    if begin == "[":
        return json.loads(text)
    if begin == "{":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return list(csv.DictReader(io.StringIO(text)))


def asks_only(row: dict[str, Any]) -> bool:
    """Whether a row is a prompt: it asks, and has nothing beside that a suite does not know, such as an answer to learn."""
    if not all(isinstance(key, str) for key in row):
        return False
    conversation = row.get("messages")
    if isinstance(conversation, list) and conversation and isinstance(conversation[-1], dict):
        asks = conversation[-1].get("role") == "user"
    else:
        asks = any(row.get(name) for name in ASKS)
    return asks and row.keys() <= {*ASKS, *KEPT, *SHORT}


def own_prompt(row: dict[str, Any]) -> dict[str, Any]:
    """As a suite holds it; empty cells of a table are nothing."""
    prompt = {name: row[name] for name in KEPT if row.get(name) not in (None, "")}
    if isinstance(prompt.get("checks"), str):
        try:
            prompt["checks"] = json.loads(prompt["checks"])
        except (ValueError, RecursionError):
            raise BadInput(
                "A cell of the column 'checks' is no JSON.", 'Write a list such as [{"kind": "json"}].'
            ) from None
    if "messages" not in prompt:
        prompt["text"] = next(row[name] for name in ASKS if row.get(name))
    short = [{"kind": name, "pattern" if name == "matches" else "text": row[name]} for name in SHORT if row.get(name)]
    return {**prompt, **({"checks": [*prompt.get("checks", []), *short]} if short else {})}


def prompts_of_data(studio: Studio, file: Path, file_name: str) -> list[dict[str, Any]]:
    """The questions of a data file, its answers expected. Raises BadInput where it has more than a suite holds, or text only."""
    try:
        with rows_of_upload(studio, file, file_name) as (folder, report):
            if report.kind == "text":
                raise BadInput("The file is text without questions.", "Bring rows that ask something.")
            rows = read_rows(folder, 0, MOST_PROMPTS + 1)
    except StudioError as error:
        hint = 'A prompt is a row such as {"text": "What is 2 + 2?", "expected": "4"}.'
        raise type(error)(error.problem, f"{error.fix} {hint}", error.field) from None
    prompts = [prompt_of(row) for row in rows]
    labels = are_labels([prompt["expected"] for prompt in prompts])
    return [{**prompt, "exact": labels} for prompt in prompts]
