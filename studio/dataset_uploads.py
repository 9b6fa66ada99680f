"""Uploads: a data file is read in a process of its own, and becomes a frozen data set or leaves nothing behind.

The uploaded file itself is not kept: messages.jsonl holds every usable row with the line it came from, and the report what was left out.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from studio import storage
from studio.child_environment import PROJECT, child_environment
from studio.dataset_reading import ReadingRequest
from studio.dataset_report import Report
from studio.errors import BadInput, Invalid, StudioError, TooLarge, Unavailable, clip
from studio.files import read_json, write_json
from studio.folders import DatasetFolder, new_id
from studio.limits import check_room
from studio.plan import clean_name
from studio.readings import noted
from studio.records import LOCAL_PERSON, Dataset, DatasetVersion
from studio.studio import Studio

NAME_LENGTH = 100
READER = "jobs.workers.read_data"
REASONS = (BadInput, Invalid, TooLarge)  # what a refusal in words can be


def inspect_upload(
    studio: Studio, file: Path, file_name: str, format: str | None = None, mapping: Mapping[str, str] | None = None
) -> Report:
    """What is in a data file; nothing of it is kept. Raises BadInput for a file without rows, TooLarge above the limit."""
    with _reading_folder(studio) as folder:
        return made_apart(studio, folder, READER, _request(studio, file, file_name, format, mapping, write=False))


def add_upload(
    studio: Studio,
    file: Path,
    file_name: str,
    name: str | None = None,
    format: str | None = None,
    mapping: Mapping[str, str] | None = None,
    on_bad_rows: Literal["refuse", "drop"] = "refuse",
    owner: str = LOCAL_PERSON,
    origin: str = "As it was brought.",
    heldout_column: str | None = None,
) -> Dataset:
    """A data file becomes a data set; `origin` is why its first version is there. Raises BadInput (with `.report`) when rows are bad and are not to be dropped, or none is usable."""
    if on_bad_rows not in ("refuse", "drop"):
        raise Invalid(
            f"Bad rows cannot be met with '{clip(on_bad_rows, 20)}'.", "Choose refuse or drop.", "on_bad_rows"
        )
    with _reading_folder(studio) as folder:
        report = made_apart(
            studio,
            folder,
            READER,
            _request(studio, file, file_name, format, mapping, write=True, heldout_column=heldout_column),
        )
        refuse_unusable(report, on_bad_rows)
        shown = shown_file_name(file_name)
        dataset = record_of(
            report, name=dataset_name(name) or dataset_name(Path(shown).stem) or "Data", file_name=shown, owner=owner
        )
        return keep(studio, folder, dataset, origin)


@contextmanager
def rows_of_upload(studio: Studio, file: Path, file_name: str) -> Iterator[tuple[DatasetFolder, Report]]:
    """The usable rows of a data file for as long as they are looked at; nothing of it is kept. Raises as `add_upload` does."""
    with _reading_folder(studio) as folder:
        report = made_apart(studio, folder, READER, _request(studio, file, file_name, None, None, write=True))
        refuse_unusable(report)
        yield folder, report


def _request(
    studio: Studio,
    file: Path,
    file_name: str,
    format: str | None,
    mapping: Mapping[str, str] | None,
    write: bool,
    heldout_column: str | None = None,
) -> ReadingRequest:
    settings = studio.settings
    limit = settings.max_upload_mb << 20
    size = Path(file).stat().st_size
    if size > limit:
        raise TooLarge(
            f"The file has {size / 2**20:,.0f} MB, and {settings.max_upload_mb:,} MB is the limit.",
            "Split it, or start the studio with a larger --max-upload-mb.",
        )
    if write:
        check_room(studio, size)
    return ReadingRequest(
        file=Path(file).resolve(), file_name=shown_file_name(file_name), format=format or None, mapping=dict(mapping) if mapping else None,
        text_limit=limit, memory_mb=settings.parse_memory_mb, cpu_seconds=settings.parse_seconds, write=write,
        heldout_column=heldout_column or "split",
    )  # fmt: skip


@contextmanager
def _reading_folder(studio: Studio) -> Iterator[DatasetFolder]:
    """A folder among the incoming ones, gone afterwards unless it was moved to its place."""
    folder = DatasetFolder(studio.data.incoming / new_id())
    folder.path.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


class Request(Protocol):
    memory_mb: int | None
    cpu_seconds: int | None

    def model_dump(self, *, mode: str) -> dict: ...


def made_apart(studio: Studio, folder: DatasetFolder, module: str, request: Request) -> Report:
    """Have rows read and written by a process with limits. Raises what it refused, in its words, or how it ended."""
    write_json(folder.request, request.model_dump(mode="json"))
    log = folder.path / "log.txt"
    with open(log, "wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(folder.path)],
            cwd=PROJECT, env=child_environment(1), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            umask=0o077, start_new_session=True,
        )  # fmt: skip
        with noted(folder, getattr(request, "file_name", ""), child):
            try:
                ended = child.wait(60 + 10 * studio.settings.parse_seconds)
            except BaseException as error:
                child.kill()
                child.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                ended = -signal.SIGXCPU
    refusal = read_json(folder.refusal)
    if refusal:
        raise _refused(refusal)
    if ended != 0:
        raise _broken_off(ended, request, log.read_bytes()[-4000:].decode("utf-8", "replace"))
    return Report.model_validate(read_json(folder.report))


def _refused(refusal: dict) -> StudioError:
    kind = next((kind for kind in REASONS if kind.status == refusal["status"]), BadInput)
    return kind(refusal["problem"], refusal["fix"], refusal["field"])


def _broken_off(ended: int, request: Request, log: str) -> StudioError:
    if ended in (-signal.SIGXCPU, -signal.SIGKILL):
        return BadInput(
            f"Reading the file took more than {request.cpu_seconds} seconds of computing, or more memory than there is.",
            "Split it, or start the studio with a larger --parse-seconds.",
        )
    if "MemoryError" in log or "bad_alloc" in log or "Cannot allocate memory" in log:
        return BadInput(
            f"Reading the file takes more than {request.memory_mb:,} MB of memory.",
            "Split it, or bring it as JSON Lines.",
        )
    if "No space left" in log or "File too large" in log:
        return Unavailable("The disk is full, so the data set cannot be written.", "Free some space and try again.")
    if ended < 0:
        return BadInput(
            f"The file crashed its reader ({signal.Signals(-ended).name}).",
            "It is damaged or made to do so; write it again, or bring it as JSON Lines.",
        )
    raise RuntimeError(f"reading the data ended with {ended}:\n{log}")  # a bug: its traceback belongs in our log


def refuse_unusable(report: Report, on_bad_rows: str = "refuse") -> None:
    """Raises BadInput with `.report` unless every row is usable, or the bad ones may be dropped and some are left."""
    first = report.bad[0] if report.bad else None
    if report.needs_mapping:
        error = BadInput(
            f"No format has the columns {clip(', '.join(report.columns), 200)}.",
            "Say which column holds the prompt and which the response.",
            "mapping",
        )
    elif report.rows_ready == 0:
        error = BadInput(
            f"None of the {report.rows_total:,} rows can be used. {first.sentence if first else ''}".strip(),
            first.fix if first else "Bring other data.",
        )
    elif report.rows_bad and on_bad_rows == "refuse":
        rows = (
            f"{report.rows_bad:,} of {report.rows_total:,} rows cannot be used"
            if report.rows_bad > 1
            else f"One of {report.rows_total:,} rows cannot be used"
        )
        error = BadInput(
            f"{rows}. {first.sentence}",
            f"{first.fix} Or choose to drop bad rows: {report.rows_ready:,} are left then.",
            "on_bad_rows",
        )
    else:
        return
    error.report = report
    raise error


def dataset_name(text: str | None) -> str:
    return clean_name(text or "")[:NAME_LENGTH].strip()


def shown_file_name(file_name: str) -> str:
    """The last part of the name that the upload came with, as it may be shown."""
    return clean_name(file_name.replace("\\", "/").rsplit("/", 1)[-1])[:NAME_LENGTH] or "upload"


def record_of(report: Report, **values) -> Dataset:
    return Dataset(
        **{"id": new_id(), "source": "upload", **values},
        format=report.format, kind=report.kind, rows=report.rows_ready, heldout_rows=report.heldout_rows, dropped_rows=report.rows_bad,
        size_bytes=report.size_bytes, sha256=report.sha256,
    )  # fmt: skip


def first_version(dataset: Dataset, origin: str) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset.id, number=1, owner=dataset.owner or LOCAL_PERSON, rows=dataset.rows, heldout_rows=dataset.heldout_rows,
        size_bytes=dataset.size_bytes, sha256=dataset.sha256,
        why=origin,
    )  # fmt: skip


def keep(studio: Studio, folder: DatasetFolder, dataset: Dataset, origin: str) -> Dataset:
    """Move the folder to its place and remember the data set; if that fails, neither is left."""
    place = studio.data.dataset(dataset.id)
    for leftover in (folder.request, folder.reading_progress, folder.path / "log.txt"):
        leftover.unlink(missing_ok=True)
    os.rename(folder.path, place.path)
    storage.sync(place.path.parent)
    try:
        with studio.database.write() as session:
            session.add(dataset)
            session.flush()
            session.add(first_version(dataset, origin))
    except BaseException:
        shutil.rmtree(place.path, ignore_errors=True)
        raise
    return dataset
