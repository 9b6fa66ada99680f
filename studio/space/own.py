"""What lies in the data folder and is the studio's own. What a link leads to is somebody else's: never moved, changed or deleted."""

from collections.abc import Iterable
from pathlib import Path


def is_own(root: Path, path: Path) -> bool:
    """Whether it lies below `root` without a link on the way. A link itself is ours."""
    if root not in path.parents or ".." in path.parts:
        return False
    between = path.parents[: path.parents.index(root)]
    return not any(parent.is_symlink() for parent in between)


def own_folders(root: Path, paths: Iterable[Path]) -> list[Path]:
    """Those that are folders of ours."""
    return [path for path in paths if is_own(root, path) and path.is_dir() and not path.is_symlink()]
