"""Errors that a person reads: what happened, and what to do next.

    StudioError            shown exactly as written, on the page, in the API and in result.json
    ├── Invalid      422   a setting or a request is wrong; `field` names it
    ├── NotFound     404   no such thing, or not yours (both answer alike)
    ├── Conflict     409   right request, wrong moment: the state of the thing forbids it
    ├── TooLarge     413   an upload or a body above its limit
    ├── TooMany      429   a limit on open runs or streams is reached
    ├── Unavailable  503   a part that is needed is not running
    ├── DiskFull     507   the disk with the data folder has no room left
    ├── BadInput     400   an uploaded file, row, model or adapter cannot be used
    └── DoesNotFit   400   the plan needs more memory than the device has

Anything else that is raised is a bug and keeps its traceback in the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class StudioError(Exception):
    """Shown to the person exactly as written.

    `problem` says what happened, with the row, file or number; `fix` says what to do next; `field` is the dotted
    name of the setting at fault ("method.rank"), when there is one.
    """

    status = 400

    def __init__(self, problem: str, fix: str, field: str | None = None):
        super().__init__(f"{problem} {fix}")
        self.problem, self.fix, self.field = problem, fix, field

    def as_dict(self) -> dict:
        return {"problem": self.problem, "fix": self.fix, "field": self.field}


class Invalid(StudioError):
    status = 422


class NotFound(StudioError):
    status = 404

    def __init__(self, kind: str, id: str):
        super().__init__(f"There is no {kind} with the id '{clip(id)}'.", f"Look it up in the list of {kind}s.")


class Conflict(StudioError):
    status = 409


class TooLarge(StudioError):
    status = 413


class TooMany(StudioError):
    status = 429


class Unavailable(StudioError):
    status = 503


class DiskFull(StudioError):
    status = 507

    def __init__(self):
        super().__init__(
            "The disk with the data folder is full: nothing was changed.", "Make room on that disk, and try again."
        )


class BadInput(StudioError):
    status = 400


class DoesNotFit(StudioError):
    status = 400

    def __init__(self, needs_gib: float, free_gib: float):
        super().__init__(
            f"This run needs about {needs_gib:.1f} GiB of memory and {free_gib:.1f} GiB is free.",
            "Choose a smaller batch or shorter sequences, or wait for the run on that device to end.",
        )


@contextmanager
def at_field(name: str) -> Iterator[None]:
    """What goes wrong herein is about this setting of the request, where the error names none itself."""
    try:
        yield
    except StudioError as error:
        error.field = error.field or name
        raise


def clip(text: object, length: int = 80) -> str:
    """Somebody's text, short enough and printable enough to stand inside a sentence."""
    shown = "".join(c if c.isprintable() else "�" for c in str(text))
    return shown if len(shown) <= length else shown[: length - 1] + "…"
