"""Arrow: the file that `datasets` keeps on disk (a stream), or one that Feather wrote, read batch by batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from studio.containers.container import Container
from studio.containers.parquet import check_schema, rows_of, short
from studio.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

FILE, STREAM = b"ARROW1\x00\x00", b"\xff\xff\xff\xff"


def is_arrow(head: bytes) -> bool:
    return head.startswith((FILE, STREAM))


def open_arrow(path: Path, head: bytes) -> Container:
    """Raises BadInput for a file that only begins like one, and for columns that hold no text."""
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    pyarrow.set_cpu_count(1)
    try:
        source = pyarrow.memory_map(str(path))
        opened = pyarrow.ipc.open_file(source) if head.startswith(FILE) else pyarrow.ipc.open_stream(source)
    except MemoryError:  # Arrow's own is also one of its exceptions
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadInput(
            f"The file begins like Arrow, and cannot be read as such: {short(error)}.",
            "Write it again, or bring the data as JSON Lines.",
        ) from None
    check_schema(opened.schema)
    return Container("arrow", rows_of(_batches(opened), "Arrow"), columns=list(opened.schema.names))


def _batches(opened) -> "Iterator[pyarrow.RecordBatch]":
    """Each proved to be what it says before a value of it is read: offsets that point elsewhere would crash the reader."""
    import pyarrow

    of_a_file = isinstance(opened, pyarrow.ipc.RecordBatchFileReader)
    for batch in map(opened.get_batch, range(opened.num_record_batches)) if of_a_file else opened:
        batch.validate(full=True)
        yield batch
