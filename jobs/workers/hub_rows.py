"""Fetch the rows of a data set on the Hub: `python -m jobs.workers.hub_rows <import folder>`.

The folder holds request.json. `datasets` finds out which files belong to the config and split that are wanted, and streams
them; no code of the repository is run. Left in the folder: rows.jsonl and result.json, or refusal.json. progress.json tells
how far it is. The process has the same limits on memory and time as one that reads an upload.
"""

import contextlib
import datetime
import decimal
import fcntl
import json
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import datasets
from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError, DatasetsError

from jobs.workers.download import words
from jobs.workers.read_data import limit
from studio.errors import BadInput, Invalid, StudioError, clip
from studio.files import read_json, write_json
from studio.folders import ImportFolder

REFUSED = 78
PROGRESS_SECONDS = 0.5
USUAL_SPLIT = "train"
SEEN = (datasets.Image, datasets.Audio, datasets.Video)
AGAIN = "Check the network, then begin again."


class Choice(Invalid):
    """The Hub has several parts, and one must be named."""

    def __init__(self, problem: str, field: str, choices: list[str]):
        super().__init__(problem, "Choose one.", field)
        self.choices = choices[:200]


def main(folder: ImportFolder) -> int:
    with open(folder.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        request = read_json(folder.request)
        limit(SimpleNamespace(**{name: request[name] for name in ("memory_mb", "cpu_seconds", "text_limit")}))
        datasets.disable_progress_bars()
        try:
            with words(request, AGAIN, "data set"), in_words(request):
                write_json(folder.result, Fetching(folder, request).fetch())
        except StudioError as error:
            refusal = {"status": error.status, **error.as_dict(), "choices": getattr(error, "choices", [])}
            write_json(folder.refusal, refusal)
            return REFUSED
        except MemoryError:
            problem = f"Fetching the rows takes more than {request['memory_mb']:,} MB of memory."
            fix = "Ask for fewer rows, or start the studio with a larger --parse-memory-mb."
            write_json(folder.refusal, {"status": 400, "problem": problem, "fix": fix, "field": "rows"})
            return REFUSED
    return 0


class Fetching:
    """One import while it is made."""

    def __init__(self, folder: ImportFolder, request: dict[str, Any]):
        self.folder, self.request = folder, request
        self.rows = self.bytes = 0
        self.total: int | None = None
        self.commit: str | None = None
        self._noted = 0.0

    def fetch(self) -> dict[str, Any]:
        """Write all rows that are wanted; what is known of them. Raises StudioError."""
        self.note()
        config = self.config()
        builder = datasets.load_dataset_builder(self.request["repo"], config, revision=self.request["revision"])
        self.commit = builder.hash if len(builder.hash or "") == 40 else None
        splits = [str(name) for name in builder.config.data_files or builder.info.splits or ()]
        split = self.split(splits)
        heldout = self.request["heldout"]
        if heldout and heldout not in splits:
            raise Choice(f"{self.request['repo']} has no split '{heldout}' to hold out.", "heldout", splits)
        self.count(builder, [split, heldout])
        with open(self.folder.rows, "w", encoding="utf-8") as file:
            for name in filter(None, (split, heldout)):
                for row in self.stream(builder, config, name):
                    self.write(file, {**row, "heldout": True} if name == heldout else row)
        if not self.rows:
            raise BadInput(f"The split '{split}' of {self.request['repo']} has no rows.", "Choose another.", "split")
        self.note()
        return {"rows": self.rows, "config": config or "", "split": split}

    def config(self) -> str | None:
        """The config that is named, or the only one there is."""
        repo, wanted = self.request["repo"], self.request["config"]
        names = datasets.get_dataset_config_names(repo, revision=self.request["revision"])
        if wanted and wanted not in names:
            raise Choice(f"{repo} has no part '{clip(wanted)}'.", "config", names)
        if wanted or len(names) <= 1:
            return wanted or None
        if "default" in names:
            return "default"
        raise Choice(f"{repo} has {len(names)} parts: {clip(', '.join(names), 200)}.", "config", names)

    def split(self, splits: list[str]) -> str:
        repo, wanted = self.request["repo"], self.request["split"]
        if wanted and wanted not in splits:
            raise Choice(f"{repo} has no split '{clip(wanted)}'.", "split", splits)
        if wanted or USUAL_SPLIT in splits or len(splits) == 1:
            return wanted or (USUAL_SPLIT if USUAL_SPLIT in splits else splits[0])
        raise Choice(f"{repo} has {len(splits)} splits: {clip(', '.join(splits), 200)}.", "split", splits)

    def count(self, builder: Any, splits: list[str]) -> None:
        """How many rows will come, where the Hub says it."""
        known = [builder.info.splits[name].num_examples for name in splits if name in (builder.info.splits or ())]
        if known and all(known):
            self.total = min(sum(known), self.request["rows"] or sum(known))

    def stream(self, builder: Any, config: str | None, split: str) -> Iterator[dict[str, Any]]:
        where = {"path": self.request["repo"], "name": config, "split": split, "streaming": True}
        found = datasets.load_dataset(**where, revision=self.commit or self.request["revision"])
        if any(kind.__name__ == "Csv" for kind in type(builder).__mro__):  # otherwise NA becomes nothing, and 007 seven
            columns = {name: datasets.Value("string") for name in next(iter(found), {})}
            as_text = {"features": datasets.Features(columns), "keep_default_na": False}
            found = datasets.load_dataset(**where, **as_text, revision=self.commit or self.request["revision"])
        check_features(found.features)
        left = None if self.request["rows"] is None else max(0, self.request["rows"] - self.rows)
        yield from found if left is None else found.take(left)

    def write(self, file: Any, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, default=plain) + "\n"
        file.write(line)
        self.rows += 1
        self.bytes += len(line)
        if self.bytes > self.request["text_limit"]:
            raise BadInput(
                f"The first {self.rows:,} rows are more than {self.request['text_limit'] >> 20:,} MB, the most that one data set may have.",
                f"Ask for fewer than {self.rows:,} rows.", "rows",
            )  # fmt: skip
        if time.monotonic() - self._noted > PROGRESS_SECONDS:
            self.note()

    def note(self) -> None:
        self._noted = time.monotonic()
        if not self.folder.request.exists():
            raise SystemExit(1)  # the import was ended, and its folder taken away
        done = min(1.0, self.rows / self.total) if self.total else None
        write_json(self.folder.progress, {"done": done, "rows": self.rows, "bytes": self.bytes, "commit": self.commit})


def check_features(features: Any) -> None:
    """Raises BadInput for columns that a text model cannot take in."""
    for name, kind in (features or {}).items():
        if isinstance(kind, SEEN) or (isinstance(kind, datasets.Value) and "binary" in kind.dtype):
            raise BadInput(
                f"The column '{clip(name, 40)}' holds pictures, sounds or other binary data, and the studio trains on text.",
                "Choose a data set of texts.",
            )


def plain(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    raise BadInput(
        f"The rows hold {clip(type(value).__name__)} values, which are no text.", "Choose a data set of texts."
    )


@contextlib.contextmanager
def in_words(request: dict[str, Any]) -> Iterator[None]:
    """What `datasets` says, in words. What the Hub itself says is left to others."""
    repo = request["repo"]
    try:
        yield
    except DataFilesNotFoundError:
        raise no_files(repo) from None
    except DatasetNotFoundError as error:
        cause = error.__cause__ or error
        if "revision" in str(error).lower() and "doesn't exist" in str(error):
            raise BadInput(
                f"{repo} has no revision '{request['revision']}'.", "Name one that it has, such as main.", "revision"
            ) from None
        if "gated" in str(error).lower():
            raise BadInput(
                f"{repo} is gated: only who has accepted its owners' terms may fetch it.",
                "Accept them on its page, start the studio with HF_TOKEN set, and begin again.", "repo",
            ) from None  # fmt: skip
        if cause is not error and not isinstance(cause, DatasetsError):
            raise cause from None
        raise BadInput(
            f"There is no data set {repo} on the Hub, or it is private.",
            "Check the name; for a private one start the studio with HF_TOKEN set.", "repo",
        ) from None  # fmt: skip
    except FileNotFoundError as error:
        if "any data files" not in str(error):
            raise
        raise no_files(repo) from None
    except DatasetsError as error:
        raise BadInput(
            f"The files of {repo} cannot be read: {first_line(error)}.", "Download the file you want, and bring that."
        ) from None
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        raise BadInput(
            f"{repo} is loaded by a program of its own, and programs from the Hub are never run here.",
            "Look for a copy of it in Parquet (often in the branch refs/convert/parquet), or bring its files.", "repo",
        ) from None  # fmt: skip
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"The files of {repo} cannot be read: {first_line(error)}.", "Download the file you want, and bring that."
        ) from None


def no_files(repo: str) -> BadInput:
    return BadInput(
        f"{repo} holds no data files that can be read.", "Choose a data set with JSON, CSV, text or Parquet.", "repo"
    )


def first_line(error: Exception) -> str:
    return clip((str(error).strip().splitlines() or [type(error).__name__])[0], 200).rstrip(".")


if __name__ == "__main__":
    sys.exit(main(ImportFolder(sys.argv[1])))
