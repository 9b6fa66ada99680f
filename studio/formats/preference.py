"""Preference pairs: a prompt in one column, the chosen and the rejected answer in two others."""

from typing import Any

from studio.formats.conversation import list_in, text_of
from studio.formats.format import Format, Mapped, Message, Pair, Row, RowFault
from studio.formats.pairs import answer_of, prompt_of, with_system

PROMPTS = ("prompt", "question", "instruction", "query", "input", "user")
CONTEXTS = ("input", "context")
CHOSEN = ("chosen", "chosen_response", "response_chosen", "response_j", "preferred", "accepted", "chosen_answer")
REJECTED = ("rejected", "rejected_response", "response_rejected", "response_k", "dispreferred", "non_preferred", "rejected_answer")  # fmt: skip
OUTPUTS = "output"  # LLaMA-Factory's older files: a list of the chosen and the rejected answer


def _first(names: tuple[str, ...], row: Row) -> str | None:
    return next((name for name in names if name in row), None)


def _outputs(row: Row) -> list[str] | None:
    found = row.get(OUTPUTS)
    is_two = isinstance(found, list) and len(found) == 2 and all(isinstance(one, str) for one in found)
    return found if is_two else None


def fits(row: Row) -> bool:
    if _first(PROMPTS, row) is None:
        return False
    return bool(_outputs(row)) or (_first(CHOSEN, row) is not None and _first(REJECTED, row) is not None)


def read(row: Row, _mapping: Mapped) -> Pair:
    column = _first(PROMPTS, row)
    context = _first(CONTEXTS, row)
    found = {"prompt": column, "context": context if context != column else None}
    if outputs := _outputs(row):
        return read_pair(
            {**row, "chosen": outputs[0], "rejected": outputs[1]}, {**found, "chosen": "chosen", "rejected": "rejected"}
        )
    return read_pair(row, {**found, "chosen": _first(CHOSEN, row), "rejected": _first(REJECTED, row)})


def read_pair(row: Row, columns: dict[str, str | None]) -> Pair:
    """A pair from columns by part. Raises RowFault where one is missing or empty."""
    for part in ("prompt", "chosen", "rejected"):
        if columns.get(part) not in row:
            raise RowFault("column", f"The row has no column for the {part}.", "Add it, or drop the row.")
    prompt = prompt_of(row[columns["prompt"]], columns["prompt"])
    if (context := columns.get("context")) and context in row:
        _put_below(prompt, row[context], context)
    prompt = with_system([*_earlier(row), *prompt], row)
    return Pair(prompt, *(answer_of(row[columns[side]], columns[side], prompt) for side in ("chosen", "rejected")))


def _put_below(prompt: list[Message], value: Any, column: str) -> None:
    if value is not None and len(prompt) == 1 and (below := text_of(value, column)).strip():
        prompt[0]["content"] += f"\n\n{below}"


def _earlier(row: Row) -> list[Message]:
    """Earlier turns as [question, answer] pairs."""
    turns = []
    for pair in list_in(row["history"], "history") if row.get("history") else []:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise RowFault(
                "type", "'history' holds something else than pairs of question and answer.",
                "Write it as [[question, answer], ...].", "history",
            )  # fmt: skip
        for role, said in zip(("user", "assistant"), pair, strict=True):
            turns.append({"role": role, "content": text_of(said, "history")})
    return turns


def mapping(columns: list[str]) -> dict[str, str]:
    there = dict.fromkeys(columns)
    found = {"prompt": _first(PROMPTS, there), "chosen": _first(CHOSEN, there), "rejected": _first(REJECTED, there)}
    context = _first(CONTEXTS, there)
    if context != found["prompt"]:
        found["context"] = context
    if "system" in there:
        found["system"] = "system"
    return {part: name for part, name in found.items() if name}


FORMAT = Format(
    "preference",
    "Preference pairs",
    '{"prompt": "Say hello.", "chosen": "Hello! How are you?", "rejected": "No."}',
    fits,
    read,
    mapping,
    frozenset({*PROMPTS, *CONTEXTS, *CHOSEN, *REJECTED, OUTPUTS, "system", "system_prompt", "history"}),
    standing=4,
    kind="preference",
)
