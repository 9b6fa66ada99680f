"""What a check-up finds, in words, and the one way in which it mends: never in a dry run, never without saying so."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from studio.errors import clip
from studio.folders import AttemptFolder, RunFolder
from studio.space.own import is_own
from studio.studio import Studio

ASIDE = "set-aside"  # folder below the data folder: what nothing knows of, kept for the person to look at
SETTLED_SECONDS = 3600  # while the studio runs, what was touched within this time may be just being made


@dataclass(frozen=True)
class Finding:
    problem: str
    done: str
    """What was done about it, or what the person is to do."""
    mended: bool
    """Whether it needs nobody any more (in a dry run: would not)."""

    def __str__(self) -> str:
        return f"{self.problem} {self.done}"


@dataclass
class Checkup:
    """One look at a studio."""

    studio: Studio
    dry: bool = False
    """Change nothing: say what would be done."""
    quick: bool = False
    """Believe the sizes of files, and do not read them whole."""
    runner_at_work: bool = False
    web_at_work: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def at_work(self) -> bool:
        """Whether anything of the studio may be making or removing files now."""
        return self.runner_at_work or self.web_at_work

    def mend(self, problem: str, what: str, act: Callable[[], object], touches: Sequence[Path] = ()) -> None:
        """Say `problem`, and do `act` about it; `what` is what that does, such as "removed".

        `touches`: every file and folder that `act` changes. Raises Elsewhere, and does nothing, when one lies behind a link.
        """
        for path in touches:
            if not self.is_ours(path):
                raise Elsewhere(f"{path} lies behind a link, or not in the data folder")
        if self.dry:
            self.findings.append(Finding(problem, f"Would be {what}.", True))
            return
        try:
            act()
        except OSError as error:
            self.findings.append(Finding(problem, f"It could not be {what}: {why(error)}. Do it by hand.", False))
        else:
            self.findings.append(Finding(problem, f"{what[0].upper()}{what[1:]}.", True))

    def ask(self, problem: str, fix: str) -> None:
        """Say what only a person can mend."""
        self.findings.append(Finding(problem, fix, False))

    def remove(self, problem: str, paths: list[Path]) -> None:
        """Only what the studio itself can make again or never needs."""
        self.mend(problem, "removed", lambda: [removed(path) for path in paths], paths)

    def set_aside(self, problem: str, path: Path) -> None:
        """Move it out of the way; nothing that a person may want is deleted."""
        kept = self.studio.data.path / ASIDE / date.today().isoformat() / self.place(path)
        what = f"moved to {self.place(kept)} in the data folder"
        self.mend(problem, what, lambda: _move(path, kept), (path, kept))

    def is_ours(self, path: Path) -> bool:
        """Whether it lies in the data folder without a link on the way: what a link leads to is somebody else's, and is never
        looked through, moved, changed or deleted. The link itself is ours."""
        return is_own(self.studio.data.path, path)

    def folders_in(self, path: Path) -> list[Path]:
        """Folders directly below one of ours, links left out; none where there is no such folder, or a link in its place."""
        try:
            entries = sorted(path.iterdir()) if self.is_ours(path / "any") else []
        except OSError:
            return []
        return [found for found in entries if found.is_dir() and not found.is_symlink()]

    def attempts(self, run: RunFolder) -> list[AttemptFolder]:
        """Those that are folders of ours."""
        return [each for each in run.attempts() if self.is_ours(each.path / "any") and each.path.is_dir()]

    def place(self, path: Path) -> Path:
        """Where it lies in the data folder, as it is shown."""
        return path.relative_to(self.studio.data.path)

    def may_be_new(self, path: Path) -> bool:
        """Whether the studio may be making it right now."""
        if not self.at_work:
            return False
        try:
            return abs(time.time() - os.lstat(path).st_mtime) < SETTLED_SECONDS
        except OSError:
            return True


class Elsewhere(ValueError):
    """Something that is not ours would have been touched: a bug, stopped before it did harm."""


def removed(path: Path) -> None:
    """Raises OSError when it is still there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def named(name: str) -> str:
    return f"'{clip(name)}'"


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    free, number = to, 1
    while os.path.lexists(free):
        number += 1
        free = to.with_name(f"{to.name} ({number})")
    os.rename(path, free)
