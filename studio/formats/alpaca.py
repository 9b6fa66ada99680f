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
    instances = row.get(INSTANCES)
    if FIELDS.fits(row) or instances is None:
        return FIELDS.read(row, mapping)
    if not isinstance(instances, list) or len(instances) != 1 or not isinstance(instances[0], dict):
        count = len(instances) if isinstance(instances, list) else 0
        raise RowFault(
            "instances",
            f"The instruction comes with {count} instances, and a row is one question with one answer.",
            "Write one row for each instance.",
            INSTANCES,
        )
    return FIELDS.read({**row, **instances[0]}, mapping)


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
    uses=FIELDS.all | {INSTANCES},
)
