"""Parquet: columns of text, or of lists of messages, read a few rows at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from studio.containers.container import ROW_BYTES, Container, SourceRow, large_row
from studio.errors import BadInput, clip
from studio.formats.format import RowFault

if TYPE_CHECKING:
    import pyarrow

BATCH = 64
MAGIC, ENCRYPTED = b"PAR1", b"PARE"


def open_parquet(path: Path, text_limit: int) -> Container:
    """Raises BadInput for a file that is none, is encrypted, holds columns that are no text, or unpacks to more than text_limit bytes."""
    import pyarrow
    from pyarrow import parquet

    pyarrow.set_memory_pool(
        pyarrow.system_memory_pool()
    )  # the others reserve address space that the limit on memory counts
    pyarrow.set_cpu_count(1)
    _check_ends(path)
    try:
        file = parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
        schema, metadata = file.schema_arrow, file.metadata
    except MemoryError:  # Arrow's own is also one of its exceptions
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadInput(
            f"The file says that it is Parquet, and cannot be read as such: {short(error)}.",
            "Write it again, or bring the data as JSON Lines.",
        ) from None
    check_schema(schema)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if unpacked > text_limit:
        raise BadInput(
            f"The row groups of this Parquet file unpack to {unpacked >> 20:,} MB, and {text_limit >> 20:,} MB is the limit.",
            "Split it into several files.",
        )
    batches = file.iter_batches(batch_size=BATCH, use_threads=False)
    return Container("parquet", rows_of(batches, "Parquet"), columns=list(schema.names))


def _check_ends(path: Path) -> None:
    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        tail = file.read(4)
    if ENCRYPTED in (head, tail):
        raise BadInput("This Parquet file is encrypted.", "Write it again without encryption.")
    if tail != MAGIC:
        raise BadInput(
            "This Parquet file has no end: its last bytes are missing.",
            "It was probably cut off while it was copied; bring the whole file.",
        )


def check_schema(schema: "pyarrow.Schema") -> None:
    shown = clip("; ".join(f"{column.name}: {column.type}" for column in schema), 600)
    names = schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(
            f"The column '{clip(twice, 40)}' is there twice. Columns: {shown}.", "Give every column a name of its own."
        )
    for column in schema:
        if _holds_binary(column.type):
            raise BadInput(
                f"The column '{clip(column.name, 40)}' holds binary data. Columns: {shown}.",
                "Leave that column out, or write it as text.",
            )


def _holds_binary(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_union(kind):
        return True
    if types.is_dictionary(kind):
        return _holds_binary(kind.value_type)
    return any(_holds_binary(kind.field(number).type) for number in range(kind.num_fields))


def rows_of(batches: "Iterator[pyarrow.RecordBatch]", what: str) -> Iterator[SourceRow]:
    """The rows of batches one by one. Raises BadInput where the file turns out to be damaged."""
    import pyarrow

    number = 0
    try:
        for batch in batches:
            for row in range(batch.num_rows):
                number += 1
                yield _row(number, batch.slice(row, 1))
    except MemoryError:  # Arrow's own is also one of its exceptions
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadInput(
            f"The {what} file is damaged after row {number}: {short(error)}.",
            "Write it again, or bring the data as JSON Lines.",
        ) from None


def _row(number: int, batch: "pyarrow.RecordBatch") -> SourceRow:
    if batch.get_total_buffer_size() > ROW_BYTES and batch.nbytes > ROW_BYTES:
        return SourceRow(number, None, None, large_row())
    try:
        return SourceRow(number, None, batch.to_pylist()[0])
    except UnicodeDecodeError:
        return SourceRow(
            number,
            None,
            None,
            RowFault("encoding", "A text of this row is not UTF-8.", "Write it again as UTF-8, or drop the row."),
        )


def short(error: Exception) -> str:
    return clip(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, 200).rstrip(".")
