"""Read one uploaded data file in a process with limits: `python -m jobs.workers.read_data <folder>`.

The folder holds request.json. Left in it: messages.jsonl and report.json, or refusal.json with what is wrong. A file made to
exhaust or crash its reader ends this process and nothing else.
"""

import resource
import sys

from studio.dataset_reading import ReadingRequest, read_file
from studio.errors import StudioError
from studio.files import write_json
from studio.folders import DatasetFolder

REFUSED = 78


def main(folder: DatasetFolder) -> int:
    request = ReadingRequest.model_validate_json(folder.request.read_text(encoding="utf-8"))
    limit(request)
    try:
        report = read_file(request, folder if request.write else None)
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


def limit(request: ReadingRequest) -> None:
    """From here on the system refuses more memory, and ends this process when its CPU time is over."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request.cpu_seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_seconds, request.cpu_seconds + 5))
    if request.memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (request.memory_mb << 20, request.memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * request.text_limit, 8 * request.text_limit))


if __name__ == "__main__":
    sys.exit(main(DatasetFolder(sys.argv[1])))
