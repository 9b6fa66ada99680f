"""KTO: single answers with a verdict, good or bad. The good ones are learned; the bad ones are reported, row by row."""

from studio.formats.conversation import read_messages, text_of
from studio.formats.fields import Fields
from studio.formats.format import Conversation, Format, Mapped, Row, RowFault

VERDICTS = ("label", "kto_tag")
MESSAGES = ("messages", "conversations", "conversation")
FIELDS = Fields(
    prompt=("prompt", "instruction", "question", "query"), response=("completion", "response", "output", "answer")
)
SAID = {"true": True, "1": True, "false": False, "0": False}


def _verdict(row: Row) -> bool | None:
    """Of a row: whether its answer is good; None where it does not say."""
    value = next((row[name] for name in VERDICTS if name in row), None)
    return value if isinstance(value, bool) else SAID.get(str(value).strip().lower())


def fits(row: Row) -> bool:
    """A verdict beside messages or a completion. A label of 0 and 1 in numbers may be a class, so it is taken at its word only as kto_tag."""
    if _verdict(row) is None or (isinstance(row.get("label"), int) and not isinstance(row["label"], bool)):
        return False
    return any(name in row for name in MESSAGES) or FIELDS.fits(row)


def read(row: Row, mapping: Mapped) -> Conversation:
    verdict = _verdict(row)
    if verdict is None:
        raise RowFault(
            "verdict", "The row does not say whether its answer is good.", "Set the label to true or false.", "label"
        )
    if not verdict:
        raise RowFault(
            "verdict",
            "Its answer is marked as not good (label false), and learning it would teach just that.",
            "Leave such rows out; only the good answers are learned here.",
            "label",
        )
    column = next((name for name in MESSAGES if name in row), None)
    if column is None:
        return FIELDS.read(row, mapping)
    found = read_messages(row[column], column, row.get("system"))
    if "completion" in row:
        found.messages.append({"role": "assistant", "content": text_of(row["completion"], "completion")})
    return found


def mapping(columns: list[str]) -> dict[str, str]:
    messages = next((name for name in MESSAGES if name in columns), None)
    return {"messages": messages} if messages else FIELDS.mapping(columns)


FORMAT = Format(
    "kto",
    "Answers with a verdict (KTO)",
    '{"prompt": "Say hello.", "completion": "Hello!", "label": true}',
    fits,
    read,
    mapping,
    FIELDS.all | {*VERDICTS, *MESSAGES},
    standing=6,
    sign="an answer and a verdict on it",
)
