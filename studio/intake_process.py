"""Start the process that looks at a model that was brought, and tell its verdict."""

import signal
import subprocess
import sys
from pathlib import Path

from studio.child_environment import PROJECT, child_environment
from studio.errors import BadInput, StudioError
from studio.files import read_json, write_json
from studio.folders import BaseModelFolder
from studio.model_facts import ModelFacts
from studio.studio import Studio


def write_request(
    studio: Studio, folder: BaseModelFolder, source: Path, root: Path, template: str | None, **more: str
) -> None:
    """Say what is to be looked at: the model in `source`, whose files lie below `root`."""
    settings = studio.settings
    limits = {"memory_mb": settings.parse_memory_mb, "cpu_seconds": settings.parse_seconds}
    write_json(folder.request, {"source": str(source), "root": str(root), "template": template, **limits, **more})


def look_at(studio: Studio, folder: BaseModelFolder) -> ModelFacts:
    """Have the model checked and laid out in `folder`, by a process with limits. Raises its refusal in its words."""
    folder.refusal.unlink(missing_ok=True)
    log = folder.path / "intake.log"
    with open(log, "wb") as output:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "jobs.workers.intake", str(folder.path)],
                cwd=PROJECT, env=child_environment(1), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                umask=0o077, start_new_session=True, timeout=60 + 10 * studio.settings.parse_seconds,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            ended = -signal.SIGXCPU
    return verdict(folder, ended, log)


def verdict(folder: BaseModelFolder, ended: int, log: Path) -> ModelFacts:
    """The facts that the process left. Raises StudioError with its refusal, or with how it broke off."""
    if refusal := read_json(folder.refusal):
        raise refused(refusal)
    if ended == 0 and folder.facts.is_file():
        return ModelFacts.model_validate(read_json(folder.facts))
    said = log.read_bytes()[-4000:].decode("utf-8", "replace")
    if ended < 0 or "MemoryError" in said or "memory allocation" in said:
        how = signal.Signals(-ended).name if ended < 0 else "out of memory"
        raise BadInput(
            f"Looking at the model broke off ({how}): its files are damaged, or made to crash their reader.",
            "Fetch it again from where it came from.",
        )
    raise RuntimeError(f"intake ended with {ended}:\n{said}")  # a bug: its traceback belongs in our log


def refused(refusal: dict) -> StudioError:
    error = BadInput(refusal["problem"], refusal["fix"], refusal.get("field"))
    error.status = refusal.get("status", error.status)
    return error
