"""Alpaca: an instruction, often with an input that it is about, and the output."""

from dataclasses import replace

from studio.formats.fields import Fields, column_format
from studio.formats.format import Conversation, Mapped, Row, RowFault

FIELDS = Fields(
    prompt=("instruction",), context=("input", "context"), response=("output", "response", "completion", "answer")
)
INSTANCES = "instances"  # self-instruct's own files keep input and output in a list of them


def fits(row: Row) -> bool:
    return FIELDS.fits(row) or ("instruction" in row and INSTANCES in row)


def read(row: Row, mapping: Mapped) -> Conversation:
    if not FIELDS.fits(row) and INSTANCES in row:
        raise RowFault(
            "instances",
            f"'{INSTANCES}' holds no input with its output, so there is nothing to learn.",
            'Write it as [{"input": "...", "output": "..."}, ...], or drop the row.',
            INSTANCES,
        )
    return FIELDS.read(row, mapping)


def mapping(columns: list[str]) -> dict[str, str]:
    nested = {"response": INSTANCES} if INSTANCES in columns else {}
    return nested | FIELDS.mapping(columns)


def several(row: Row) -> list[Row]:
    """Self-instruct: one instruction with many instances is a row for each of them."""
    found = row.get(INSTANCES)
    if not found or FIELDS.fits(row) or not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return [row]
    rest = {name: value for name, value in row.items() if name != INSTANCES}
    return [{**rest, **one} for one in found]


FORMAT = replace(
    column_format(
        "alpaca",
        "Alpaca",
        '{"instruction": "Name the opposite.", "input": "hot", "output": "cold"}',
        FIELDS,
        standing=1,
    ),
    fits=fits,
    read=read,
    several=several,
    mapping=mapping,
    uses=FIELDS.all | {INSTANCES},
)
