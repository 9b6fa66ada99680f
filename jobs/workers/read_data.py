"""Read one uploaded data file in a process with limits: `python -m jobs.workers.read_data <folder>`.

The folder holds request.json. Left in it: messages.jsonl and report.json, or refusal.json with what is wrong; while it
reads, reading.json says how far it is. A file made to exhaust or crash its reader ends this process and nothing else.
"""

import resource
import sys
from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel

from studio.dataset_reading import ReadingRequest, read_file
from studio.dataset_report import Report
from studio.errors import StudioError
from studio.files import write_json
from studio.folders import DatasetFolder
from studio.reading_progress import teller

REFUSED = 78


class Limits(Protocol):
    text_limit: int
    memory_mb: int | None
    cpu_seconds: int | None


def main(folder: DatasetFolder) -> int:
    def read(wanted: ReadingRequest, place: DatasetFolder) -> Report:
        return read_file(wanted, place if wanted.write else None, teller(place))

    return limited(folder, ReadingRequest, read)


def limited(folder: DatasetFolder, kind: type[BaseModel], work: Callable[..., Report]) -> int:
    """Do what the folder's request says, and leave the report or the refusal there; the exit status."""
    request = kind.model_validate_json(folder.request.read_text(encoding="utf-8"))
    limit(request)
    try:
        report = work(request, folder)
    except StudioError as error:
        write_json(folder.refusal, {"status": error.status, **error.as_dict()})
        return REFUSED
    except MemoryError:
        write_json(
            folder.refusal,
            {
                "status": 400,
                "problem": f"Reading the file takes more than {request.memory_mb:,} MB of memory.",
                "fix": "Split it, or bring it as JSON Lines.",
                "field": None,
            },
        )
        return REFUSED
    write_json(folder.report, report.model_dump(mode="json"))
    return 0


def limit(request: Limits) -> None:
    """From here on the system refuses more memory, and ends this process when its CPU time is over."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request.cpu_seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_seconds, request.cpu_seconds + 5))
    if request.memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (request.memory_mb << 20, request.memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * request.text_limit, 8 * request.text_limit))


if __name__ == "__main__":
    sys.exit(main(DatasetFolder(sys.argv[1])))
