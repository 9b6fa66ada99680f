"""Preference pairs at the end of a conversation: its messages in one column, the two answers to the last of them in others."""

from studio.formats.conversation import read_messages
from studio.formats.format import Format, Mapped, Pair, Row
from studio.formats.pairs import answer_of, with_system, without_marks
from studio.formats.preference import CHOSEN, REJECTED

COLUMNS = ("conversations", "conversation", "messages")
LAST = "rejected_response"  # ms-swift: the conversation ends with the chosen answer


def _first(names: tuple[str, ...], row: Row) -> str | None:
    return next((name for name in names if name in row), None)


def fits(row: Row) -> bool:
    column = _first(COLUMNS, row)
    if column is None or not isinstance(row[column], list | str):
        return False
    return _first(REJECTED, row) is not None and (_first(CHOSEN, row) is not None or LAST in row)


def read(row: Row, _mapping: Mapped) -> Pair:
    column, rejected = _first(COLUMNS, row) or COLUMNS[0], _first(REJECTED, row) or REJECTED[0]
    prompt, chosen = (
        with_system(without_marks(read_messages(row.get(column), column).messages), row),
        _first(CHOSEN, row),
    )
    if chosen is None:
        answer = [prompt.pop()] if prompt and prompt[-1]["role"] == "assistant" else []
    else:
        # the conversation may be written out with the chosen answer at its end
        if prompt and prompt[-1]["role"] == "assistant":
            prompt.pop()
        answer = answer_of(row[chosen], chosen, prompt)
    return Pair(prompt, answer, answer_of(row.get(rejected), rejected, prompt))


def mapping(columns: list[str]) -> dict[str, str]:
    there = dict.fromkeys(columns)
    found = {"messages": _first(COLUMNS, there), "chosen": _first(CHOSEN, there), "rejected": _first(REJECTED, there)}
    return {part: name for part, name in {**found, "system": _first(("system",), there)}.items() if name}


FORMAT = Format(
    "preference_conversation",
    "Preference pairs after a conversation",
    '{"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello!"}, '
    '"rejected": {"from": "gpt", "value": "No."}}',
    fits,
    read,
    mapping,
    frozenset({*COLUMNS, *CHOSEN, *REJECTED, "system", "system_prompt"}),
    standing=5,
    kind="preference",
)
