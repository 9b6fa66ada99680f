"""A data set's rows as token ids on disk, so that they are encoded once and read row by row, whatever their number.

    encoded-<key>/   ids.bin       int32    token ids of all sequences, one after the other
                     trained.bin   bool     for each of them whether its prediction is learned from
                     offsets.bin   int64    where each sequence begins, and the end of the last
                     learned.bin   int32    learned tokens of each sequence, the first token left out
                     rows.bin      int64    number of each row in its source file
                     heldout.bin   bool     rows that the data itself holds out
                     contents.bin  uint64   hash of each row's messages, by which copies are found
                     manifest.json size and sha256 of each file; written last

A row has one sequence, or as many as the manifest says (an answer that is preferred and one that is not). Sequences are
whole: a training cuts them at its own length, so another length needs no encoding. The key names everything that decides
the tokens; what does not match its manifest to the last byte is encoded again.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from jobs.workers.packing import Example
from studio.files import read_json, sha256_of, write_json
from studio.folders import DatasetFolder

KEPT = 4  # encodings of one data set: newest used, for other models, templates or kinds of answers
SAY_SECONDS = 5.0
CHUNK_BYTES, CHUNK_PARTS = 2**20, 10_000  # a file waits for so much before it writes
TYPES = {
    "ids": np.int32,
    "trained": np.bool_,
    "offsets": np.int64,
    "learned": np.int32,
    "rows": np.int64,
    "heldout": np.bool_,
    "contents": np.uint64,
}
IN_MEMORY = ("offsets", "learned", "rows", "heldout", "contents")  # 30 bytes a row


@dataclass(frozen=True)
class EncodedRow:
    """One row of the data set: its sequences as (ids, trained), of equal lengths each."""

    row: int  # number in the source file, from 1
    heldout: bool
    content: int  # 64 bits
    sequences: Sequence[tuple[Sequence[int], Sequence[bool]]]


class TokenStore:
    """One encoding, opened. Raises OSError or ValueError when a file is not what the manifest says.

    Tokens are read with pread, not mapped: pages of a mapped file would count as this process's memory, and a file that
    is cut short under a map kills the process.
    """

    def __init__(self, path: Path):
        manifest = read_json(path / "manifest.json")
        if not isinstance(manifest, dict) or manifest.get("key") != path.name or set(manifest["files"]) != set(TYPES):
            raise ValueError("it has no manifest of its own")
        for name in TYPES:
            check(path / f"{name}.bin", manifest["files"][name])
        self.path, self.per_row = path, int(manifest["per_row"])
        arrays = {name: np.fromfile(path / f"{name}.bin", TYPES[name]) for name in IN_MEMORY}
        self.offsets, self.learned, self.rows = arrays["offsets"], arrays["learned"], arrays["rows"]
        self.heldout, self.contents = arrays["heldout"], arrays["contents"]
        self.ids = open(path / "ids.bin", "rb")  # noqa: SIM115 read for as long as the training runs
        self.trained = open(path / "trained.bin", "rb")  # noqa: SIM115

    def __len__(self) -> int:
        """Rows."""
        return len(self.rows)

    def close(self) -> None:
        self.ids.close()
        self.trained.close()

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, int64 [rows × per_row]."""
        return np.diff(self.offsets)

    def learned_within(self, most: int) -> np.ndarray:
        """Learned tokens of each sequence among its first `most`, int32 [rows × per_row]."""
        learned = self.learned.copy()
        for sequence in np.flatnonzero(self.lengths > most):
            learned[sequence] = self.marks(sequence, most)[1:].sum()
        return learned

    def marks(self, sequence: int, most: int) -> np.ndarray:
        return self._read(self.trained, np.dtype(np.bool_), sequence, most)

    def example(self, sequence: int, most: int, start: int = 0) -> Example:
        """A sequence from its token `start` on, cut after `most` tokens."""
        ids = self._read(self.ids, np.dtype(np.int32), sequence, most, start)
        marks = self._read(self.trained, np.dtype(np.bool_), sequence, most, start)
        cut = int(self.offsets[sequence + 1] - self.offsets[sequence]) - start - len(ids)
        return Example(int(self.rows[sequence // self.per_row]), ids, marks, cut)

    def _read(self, file, dtype: np.dtype, sequence: int, most: int, start: int = 0) -> np.ndarray:
        begin, end = int(self.offsets[sequence]) + start, int(self.offsets[sequence + 1])
        wanted = min(end - begin, most) * dtype.itemsize
        found = os.pread(file.fileno(), wanted, begin * dtype.itemsize)
        if len(found) != wanted:
            raise OSError(f"{file.name} has become shorter while it was read")
        return np.frombuffer(found, dtype)


def open_store(
    folder: DatasetFolder,
    decides: dict,
    rows: Callable[[], Iterable[EncodedRow]],
    say: Callable[[str], None],
    total: int | None = None,
    per_row: int = 1,
) -> TokenStore:
    """The encoding that `decides` names; made from `rows()` when there is none, or a damaged one. Raises OSError.

    `decides`: everything that the tokens depend on, as JSON. One process at a time works on a data set's encodings; the
    others wait and find them made. `total`: how many rows there are, to be said on the way.
    """
    key = hashlib.sha256(json.dumps({**decides, "per_row": per_row}, sort_keys=True).encode()).hexdigest()[:24]
    path = folder.encoding(key)
    with FileLock(folder.encoding_lock):
        store = None
        try:
            if path.exists():
                store = TokenStore(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            say(f"The encoded rows {path.name} cannot be used: {error}. They are made again.")
        if store is None:
            for left in [path, *folder.path.glob(".encoding-*")]:  # of a process that died
                shutil.rmtree(left, ignore_errors=True)
            write_store(path, rows(), say, total, per_row)
            store = TokenStore(path)
        os.utime(path)
        for old in folder.encodings()[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)  # who has its files open reads on
    return store


def write_store(
    path: Path, rows: Iterable[EncodedRow], say: Callable[[str], None], total: int | None = None, per_row: int = 1
) -> None:
    """Write all rows as they come, in the memory of one; then rename the folder into place. Raises OSError."""
    writing = path.with_name(f".encoding-{secrets.token_hex(4)}")
    writing.mkdir()
    files: dict[str, File] = {}
    try:
        for name, dtype in TYPES.items():
            files[name] = File(writing / f"{name}.bin", dtype)
        done, said_at, began, tokens = 0, time.monotonic(), time.monotonic(), 0
        for row in rows:
            tokens = write_row(files, row, tokens, per_row)
            done += 1
            if done % 256 == 0 and time.monotonic() - said_at > SAY_SECONDS:
                said_at = time.monotonic()
                say(f"Encoding: {done:,} of {total:,} rows." if total else f"Encoding: {done:,} rows.")
        files["offsets"].write([tokens])
        finished = {name: file.finish() for name, file in files.items()}
        write_json(writing / "manifest.json", {"key": path.name, "per_row": per_row, "files": finished})
        os.rename(writing, path)
    finally:
        for file in files.values():
            file.file.close()
        shutil.rmtree(writing, ignore_errors=True)
    say(
        f"{done:,} rows ({tokens:,} tokens) were encoded in {time.monotonic() - began:.1f} s, and are kept for the next run."
    )


def write_row(files: dict[str, "File"], row: EncodedRow, tokens: int, per_row: int) -> int:
    """Returns the tokens written so far."""
    if len(row.sequences) != per_row:
        raise ValueError(f"row {row.row} has {len(row.sequences)} sequences instead of {per_row}")
    files["rows"].write([row.row])
    files["heldout"].write([row.heldout])
    files["contents"].write([row.content])
    for ids, trained in row.sequences:
        marks = np.asarray(trained, np.bool_)
        files["offsets"].write([tokens])
        files["learned"].write([int(marks[1:].sum())])
        files["ids"].write(ids)
        files["trained"].write(marks)
        tokens += len(ids)
    return tokens


class File:
    """An array that grows on disk, hashed on its way there."""

    def __init__(self, path: Path, dtype: type):
        self.dtype, self.hash, self.size = dtype, hashlib.sha256(), 0
        self.parts: list[bytes] = []
        self.waiting = 0  # bytes in the parts
        self.file = open(path, "wb", buffering=0)  # noqa: SIM115 closed in finish() or close()

    def write(self, values) -> None:
        data = np.asarray(values, self.dtype).tobytes()
        self.parts.append(data)
        self.waiting += len(data)
        if self.waiting > CHUNK_BYTES or len(self.parts) > CHUNK_PARTS:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self.parts)
        self.hash.update(data)
        left = memoryview(data)
        while left:
            left = left[self.file.write(left) :]
        self.size += len(data)
        self.parts, self.waiting = [], 0

    def finish(self) -> dict:
        self.flush()
        self.file.close()  # not synced: a file that a power cut left behind half does not have its hash
        return {"size": self.size, "sha256": self.hash.hexdigest()}


def check(path: Path, expected: dict) -> None:
    """Raises ValueError when the file is not the one that was written."""
    if path.stat().st_size != expected["size"] or sha256_of(path) != expected["sha256"]:
        raise ValueError(f"{path.name} is damaged")
