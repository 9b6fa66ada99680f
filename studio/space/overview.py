"""The data folder by kind: how much each takes, what of it may go, and letting that go when a person says so."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from studio.errors import Invalid, clip
from studio.folders import DatasetFolder
from studio.records import LIVE, LOCAL_PERSON, Run
from studio.space import retention, usage
from studio.space.own import own_folders
from studio.studio import Studio


@dataclass(frozen=True)
class Kind:
    """One kind of what the studio keeps. `bytes` is what it takes, `spare_bytes` what can go of it."""

    name: str
    title: str
    words: str
    bytes: int
    spare_bytes: int = 0


@dataclass(frozen=True)
class Space:
    total_bytes: int  # of the disk
    free_bytes: int
    used_bytes: int  # by the data folder
    limit_bytes: int | None  # of the data folder
    kinds: list[Kind]


PLACES = (
    ("adapters", "Adapters", "Trained and imported; delete one on its page."),
    ("datasets", "Data sets", "With rows encoded for training, which are made again when a run needs them."),
    ("base_models", "Base models", "Downloaded and prepared; delete one on its page."),
    ("models", "Local models", "Put there by you; the studio never touches them."),
    ("chat", "Copies for Compare", "Checkpoints that were asked on Compare; at most 16 are kept."),
    ("imports", "Rows from the Hub, on their way or waiting", "Take or remove them on the Data page; they go after seven days."),
    ("incoming", "Uploads on their way in", "Emptied when the studio starts."),
    ("set-aside", "Set aside by the doctor", "Look through it, and delete by hand what you do not need."),
    ("logs", "Logs", "Of the web app and the runner; old ones go by themselves."),
)  # fmt: skip


def space(studio: Studio) -> Space:
    """Looks through the whole data folder: seconds for a large one."""
    disk, tally, root = shutil.disk_usage(studio.data.path), usage.Tally(), studio.data.path
    sizes = {name: tally.of(root / name) for name, _, _ in PLACES if not (root / name).is_symlink()}
    checkpoints = sum(tally.of(path) for path in _all_checkpoints(studio))
    runs, rest = tally.of(root / "runs"), tally.of(root)
    spares = {name: kind.spare(studio) for name, kind in SPARE.items()}
    kinds = [
        Kind("checkpoints", "Checkpoints of runs", SPARE["checkpoints"].words, checkpoints, spares["checkpoints"]),
        Kind("runs", "Runs", "Plans, curves, samples and logs; delete a run on its page.", runs),
        *(Kind(name, title, words, sizes[name], spares["encoded"] if name == "datasets" else 0) for name, title, words in PLACES if sizes.get(name)),
        Kind("other", "Database and the rest", "Records of everything in the studio.", rest),
    ]  # fmt: skip
    limit = studio.settings.max_data_gb
    used = sum(kind.bytes for kind in kinds)
    kinds.sort(key=lambda kind: -kind.bytes)
    return Space(disk.total, disk.free, used, None if limit is None else int(limit * 2**30), kinds)


def free(studio: Studio, what: str, by: str = LOCAL_PERSON) -> int:
    """Let go what can go of one kind. Returns the bytes that came free. Raises Invalid for a kind of which nothing ever can."""
    if what not in SPARE:
        raise Invalid(
            f"Of '{clip(what, 40)}' nothing can be freed here.", f"Choose one of: {', '.join(SPARE)}.", "what"
        )
    freed = SPARE[what].free(studio, by)
    usage.forget(studio)
    return freed


def _all_checkpoints(studio: Studio) -> list[Path]:
    return own_folders(studio.data.path, studio.data.path.glob("runs/*/attempt-*/checkpoints"))


def _spare_checkpoints(studio: Studio) -> int:
    return sum(each.bytes for each in retention.spare(studio, at_once=True))


def _free_checkpoints(studio: Studio, by: str) -> int:
    return retention.let_go(studio, retention.spare(studio, at_once=True), by)


def _encodings(studio: Studio) -> list[Path]:
    """Of data sets that no run learns from now."""
    with studio.database.read() as session:
        busy = set(session.scalars(select(Run.dataset).where(Run.state.in_(LIVE))))
    root = studio.data.path
    folders = own_folders(
        root, (path for pattern in ("datasets/*", "datasets/*/versions/*") for path in root.glob(pattern))
    )
    idle = [folder for folder in folders if not busy & set(folder.relative_to(root).parts)]
    return own_folders(root, (path for folder in idle for path in DatasetFolder(folder).encodings()))


def _spare_encodings(studio: Studio) -> int:
    return sum(usage.freed_by(path) for path in _encodings(studio))


def _free_encodings(studio: Studio, by: str) -> int:
    found = _encodings(studio)
    freed = sum(usage.freed_by(path) for path in found)
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return freed


@dataclass(frozen=True)
class Freed:
    """One kind of which something can go: how much, letting it go, and what that means in words."""

    spare: Callable[[Studio], int]
    free: Callable[[Studio, str], int]
    words: str
    question: str


SPARE = {
    "checkpoints": Freed(
        _spare_checkpoints,
        _free_checkpoints,
        "Of ended runs they only serve Compare and adapters of other steps; runs that are open keep theirs.",
        "Checkpoints of ended runs are deleted for good, but for the best and last of the newest runs and those in comparisons. Adapters stay. Go on?",
    ),
    "encoded": Freed(
        _spare_encodings,
        _free_encodings,
        "Rows encoded for training; made again when a run needs them.",
        "Rows encoded for training are deleted; the next run on the same data takes a little longer to start. Go on?",
    ),
}
