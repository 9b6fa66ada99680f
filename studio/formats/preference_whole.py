"""Preference pairs as two whole conversations that part at their answers."""

from studio.formats.format import Format, Mapped, Pair, Row
from studio.formats.pairs import is_spoken, looks_like_messages, messages_in, pair_of_conversations, with_system
from studio.formats.preference import PROMPTS

COLUMNS = (("chosen", "rejected"), ("chosen_messages", "rejected_messages"), ("chosen_conversations", "reject_conversations"))  # fmt: skip
BESIDE = ("conversations", "conversation", "messages")


def _columns(row: Row) -> tuple[str, str] | None:
    return next((pair for pair in COLUMNS if all(name in row for name in pair)), None)


def fits(row: Row) -> bool:
    found = _columns(row)
    if found is None or any(name in row for name in (*PROMPTS, *BESIDE)):
        return False
    return all(is_spoken(row[name]) or looks_like_messages(row[name]) for name in found)


def read(row: Row, _mapping: Mapped) -> Pair:
    chosen, rejected = _columns(row) or COLUMNS[0]
    found = pair_of_conversations(messages_in(row.get(chosen), chosen), messages_in(row.get(rejected), rejected))
    found.prompt = with_system(found.prompt, row)
    return found


def mapping(columns: list[str]) -> dict[str, str]:
    found = _columns(dict.fromkeys(columns))
    return {"chosen": found[0], "rejected": found[1]} if found else {}


FORMAT = Format(
    "preference_whole",
    "Preference pairs as two conversations",
    '{"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}], '
    '"rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}]}',
    fits,
    read,
    mapping,
    frozenset({*(name for pair in COLUMNS for name in pair), "system", "system_prompt"}),
    standing=4,
    kind="preference",
)
