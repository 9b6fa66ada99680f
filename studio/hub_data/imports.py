"""Imports of data from the Hub: begin one, see how far it is, end it, and take what came as a data set.

All that is known of an import stands in its folder, so it goes on when the web server is started anew, and any page shows it.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from studio import hub
from studio.child_environment import PROJECT, child_environment
from studio.dataset_uploads import add_upload
from studio.errors import Conflict, NotFound, TooMany
from studio.files import read_json, write_json
from studio.folders import ImportFolder, new_id
from studio.hub_data.wanted import Wanted, checked
from studio.records import LOCAL_PERSON, Dataset
from studio.studio import Studio

WORKER = "jobs.workers.hub_rows"
MOST_AT_ONCE = 2
KEPT_DAYS = 7  # what nobody took
State = Literal["running", "ready", "choose", "refused", "ended"]


@dataclass(frozen=True)
class Import:
    """One import as it stands."""

    id: str
    wanted: Wanted
    state: State  # choose: the Hub has several parts, and one must be named
    owner: str
    began: float  # seconds since 1970
    done: float | None = None  # from 0 to 1, where the Hub says how many rows there are
    rows: int = 0  # so far
    bytes: int = 0
    commit: str | None = None
    problem: str | None = None
    fix: str | None = None
    field: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        part = "-".join(filter(None, (self.wanted.config, self.wanted.split)))
        return f"{self.wanted.repo.rpartition('/')[2]}{'-' + part if part else ''}.jsonl"

    @property
    def origin(self) -> str:
        """Where the rows came from, in words."""
        held = f", {self.wanted.heldout} held out" if self.wanted.heldout else ""
        parts = ", ".join(filter(None, (self.wanted.config, self.wanted.split or "train")))
        return f"From the Hub: {self.wanted.repo} ({parts}{held}) at {(self.commit or self.wanted.revision)[:12]}."


def begin(studio: Studio, wanted: Wanted, owner: str = LOCAL_PERSON) -> Import:
    """Start to fetch. Raises Unavailable, Invalid at the field, or TooMany."""
    wanted = checked(studio, wanted)
    forget_old(studio)
    running = sum(each.state == "running" for each in list_imports(studio))
    if running >= MOST_AT_ONCE:
        raise TooMany(f"{running} imports are on their way already.", "Wait until one has ended, or end one.")
    settings, folder = studio.settings, studio.data.data_import(new_id())
    folder.path.mkdir(parents=True, mode=0o700)
    limits = {
        "memory_mb": settings.parse_memory_mb,
        "cpu_seconds": settings.parse_seconds,
        "text_limit": settings.max_upload_mb << 20,
    }
    write_json(folder.request, {**wanted.model_dump(), **limits, "owner": owner, "began": time.time()})
    environment = child_environment(1, {**hub.may_reach(), "HF_HOME": str(folder.cache), "HF_DATASETS_OFFLINE": "0"})
    with open(folder.log, "ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(folder.path)],
            cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, umask=0o077, start_new_session=True,
        )  # fmt: skip
    write_json(folder.process, {"pid": started.pid})
    return get_import(studio, folder.id)


def list_imports(studio: Studio) -> list[Import]:
    """Newest first."""
    found = [_import(ImportFolder(path)) for path in studio.data.imports.iterdir() if path.is_dir()]
    return sorted(filter(None, found), key=lambda each: -each.began)


def get_import(studio: Studio, id: str) -> Import:
    found = _import(studio.data.data_import(id))
    if found is None:
        raise NotFound("import", id)
    return found


def end(studio: Studio, id: str) -> None:
    """Stop it where it is, and forget what came."""
    folder = studio.data.data_import(id)
    if _import(folder) is None:
        raise NotFound("import", id)
    if process := _process(folder):
        _kill(process)
    shutil.rmtree(folder.path, ignore_errors=True)


def take(
    studio: Studio,
    id: str,
    name: str | None = None,
    format: str | None = None,
    mapping: Mapping[str, str] | None = None,
    on_bad_rows: Literal["refuse", "drop"] = "refuse",
    owner: str = LOCAL_PERSON,
) -> Dataset:
    """What came becomes a data set, checked row by row like any file. Raises as add_upload does, and Conflict while it is on its way."""
    with rows_of(studio, id) as (found, path):
        made = add_upload(
            studio, path, found.file_name, name or found.wanted.repo.rpartition("/")[2], format, mapping, on_bad_rows, owner,
            found.origin,
        )  # fmt: skip
    end(studio, id)
    return made


@contextmanager
def rows_of(studio: Studio, id: str) -> Iterator[tuple[Import, Path]]:
    """The file of an import whose rows are all here. Raises Conflict before."""
    found = get_import(studio, id)
    if found.state != "ready":
        raise Conflict(
            "The rows are not here yet." if found.state == "running" else "No rows came.",
            "Wait until all are here." if found.state == "running" else "Begin the import again.",
        )
    yield found, studio.data.data_import(id).rows


def forget_old(studio: Studio) -> None:
    """Those that nobody has taken for days."""
    for each in list_imports(studio):
        if each.state != "running" and each.began < time.time() - KEPT_DAYS * 86_400:
            end(studio, each.id)


def shown(found: Import) -> dict[str, Any]:
    """The API's view."""
    return {
        "id": found.id, **found.wanted.model_dump(), "state": found.state, "done": found.done, "rows_done": found.rows,
        "bytes_done": found.bytes, "commit": found.commit, "problem": found.problem, "fix": found.fix, "field": found.field,
        "choices": list(found.choices),
    }  # fmt: skip


def _import(folder: ImportFolder) -> Import | None:
    request = read_json(folder.request)
    if not request:
        return None
    wanted = Wanted(**{name: request[name] for name in Wanted.model_fields})
    progress, result, refusal = read_json(folder.progress, {}), read_json(folder.result), read_json(folder.refusal)
    known = {name: progress[name] for name in ("done", "rows", "bytes", "commit") if name in progress}
    about = {"id": folder.id, "owner": request["owner"], "began": request["began"]}
    if result:
        wanted = wanted.model_copy(update={name: result[name] for name in ("config", "split")})
        return Import(wanted=wanted, state="ready", **about, **{**known, "done": 1.0, "rows": result["rows"]})
    if refusal:
        choices = tuple(refusal.get("choices") or ())
        said = {name: refusal[name] for name in ("problem", "fix", "field")}
        return Import(
            wanted=wanted, state="choose" if choices else "refused", choices=choices, **about, **known, **said
        )
    if _process(folder):
        return Import(wanted=wanted, state="running", **about, **known)
    said = {"problem": "The import broke off: its process was ended.", "fix": "Begin it again."}
    return Import(wanted=wanted, state="ended", **about, **known, **said)


def _process(folder: ImportFolder) -> psutil.Process | None:
    """The living process that fetches into this folder; numbers are reused, but no other process names the folder."""
    pid = (read_json(folder.process) or {}).get("pid")
    try:
        process = psutil.Process(pid) if pid else None
        if process and process.status() != psutil.STATUS_ZOMBIE and str(folder.path) in process.cmdline():
            return process
    except psutil.Error:
        pass
    return None


def _kill(process: psutil.Process) -> None:
    try:
        os.killpg(process.pid, 9)
        process.wait(10)
    except (psutil.Error, OSError):
        pass
