"""What of a data set on the Hub is wanted: checked before a process is started for it."""

import re

from pydantic import BaseModel, Field

from studio import hub
from studio.errors import Invalid, Unavailable, clip
from studio.studio import Studio

PART = re.compile(r"[\w][\w.\- ]{0,99}")
"""A config or a split, as the Hub lets them be called."""
HUB_OF_DATA = re.compile(r"^(?:https?://[^/]+/)?datasets/")


class Wanted(BaseModel):
    """A part of a data set on the Hub."""

    model_config = {"extra": "forbid"}

    repo: str = Field(min_length=1, max_length=300, description="As its page is called: owner/name.")
    revision: str = Field("main", max_length=100, description="A branch, a tag or a commit.")
    config: str = Field("", max_length=100, description="Which of its parts, where it has several.")
    split: str = Field("", max_length=100, description="Which of its splits; train where none is named.")
    heldout: str = Field(
        "", max_length=100, description="A split whose rows are held out: measured on, never trained on."
    )
    rows: int | None = Field(None, ge=1, le=100_000_000, description="So many rows at most, from the first on.")


def checked(studio: Studio, wanted: Wanted) -> Wanted:
    """The same with names as the Hub writes them. Raises Unavailable when the studio does not contact it, Invalid at the field."""
    if studio.settings.hub_offline:
        raise Unavailable("This studio does not contact the Hub.", "Start it without --hub-offline, or bring a file.")
    parts = {name: _part(getattr(wanted, name), name) for name in ("config", "split", "heldout")}
    if parts["heldout"] and parts["heldout"] == (parts["split"] or "train"):
        raise Invalid("The same split would be trained on and held out.", "Choose another, or none.", "heldout")
    repo = _repo(wanted.repo)
    return Wanted(repo=repo, revision=hub.check_revision(wanted.revision), rows=wanted.rows, **parts)


def _repo(text: str) -> str:
    try:
        return hub.check_repo(HUB_OF_DATA.sub("", text.strip()))
    except Invalid:
        raise Invalid(
            f"'{clip(text)}' is not the name of a data set on the Hub.",
            "Write it as on its page, such as owner/name.",
            "repo",
        ) from None


def _part(text: str, field: str) -> str:
    name = text.strip()
    if name and not PART.fullmatch(name):
        raise Invalid(f"'{clip(name)}' cannot be the name of a {field}.", "Copy it from the data set's page.", field)
    return name
