"""Raw text: rows that hold a document in one column, and plain text files."""

from studio.formats.conversation import note_marks, text_of
from studio.formats.format import Document, Format, Mapped, Row, RowFault

COLUMNS = ("text", "raw_content", "page_content", "document", "content")
ASKED = (
    "instruction", "prompt", "question", "query", "response", "completion", "answer", "output", "label", "labels", "chosen",
    "rejected", "messages", "conversations", "conversation", "role", "from", "target", "summary", "Question", "Answer",
)  # fmt: skip
"""Columns that belong to a question or an answer: a text beside one of them is part of something else."""


def fits(row: Row) -> bool:
    return isinstance(row.get(_column(row)), str) and not any(name in row for name in ASKED)


def _column(row: Row) -> str:
    return next((name for name in COLUMNS if name in row), COLUMNS[0])


def read(row: Row, _mapping: Mapped) -> Document:
    return read_text(row, _column(row))


def read_text(row: Row, column: str) -> Document:
    if column not in row:
        raise RowFault("column", f"The row has no column '{column[:40]}'.", "Add it, or drop the row.", column)
    return Document(text_of(row[column], column))


def check_document(found: Document) -> Document:
    """Raises RowFault for a document without a letter."""
    if not found.text.strip():
        raise RowFault("empty", "The text is empty, so there is nothing to learn.", "Fill it in, or drop the row.")
    note_marks(found, [found.text])
    return found


def mapping(columns: list[str]) -> dict[str, str]:
    column = next((name for name in COLUMNS if name in columns), None)
    return {"text": column} if column else {}


FORMAT = Format(
    "text",
    "Raw text",
    '{"text": "The lighthouse stands on the last rock before the sea. Its keeper ..."}',
    fits,
    read,
    mapping,
    frozenset({*COLUMNS, "id", "url", "title", "meta", "timestamp", "source"}),
    kind="text",
)
