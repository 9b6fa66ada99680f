"""A person's draft of the next version: edits that wait on disk until they are saved, taken back, or brought over to a newer one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from studio.errors import Conflict, NotFound
from studio.records import LOCAL_PERSON, Dataset, DatasetEdit, DatasetVersion
from studio.studio import Studio
from studio.versions.difference import CHANGED, NOWHERE, difference, numbered_lines
from studio.versions.edits import Edit, gathered
from studio.versions.lineage import folder_of, get_version
from studio.versions.saving import counted_in_words, save_version

MOST = 1000
"""Edits of one draft: more are a program's work, which saves them at once."""


@dataclass(frozen=True)
class Draft:
    newest: int
    """Number of the data set's newest version."""
    version: int
    """That the edits are of."""
    kept: list[DatasetEdit]

    @property
    def edits(self) -> list[Edit]:
        return [Edit.model_validate(kept.edit) for kept in self.kept]

    @property
    def stale(self) -> bool:
        """Whether another version has been saved meanwhile."""
        return bool(self.kept) and self.version != self.newest

    def shown(self) -> dict:
        edits = [
            {"id": kept.id, **kept.edit, "why": kept.why, "note": kept.note, "at": kept.at.isoformat()}
            for kept in self.kept
        ]
        return {"newest": self.newest, "version": self.version, "stale": self.stale, "edits": edits}


def draft_of(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Draft:
    with studio.database.read() as session:
        return _draft(session, id, owner)


def _draft(session: Session, id: str, owner: str) -> Draft:
    dataset = session.get(Dataset, id)
    if dataset is None:
        raise NotFound("data set", id)
    kept = list(
        session.scalars(
            select(DatasetEdit).where(DatasetEdit.dataset == id, DatasetEdit.owner == owner).order_by(DatasetEdit.id)
        )
    )
    return Draft(dataset.version, kept[0].version if kept else dataset.version, kept)


def add_edits(
    studio: Studio, id: str, version: int, edits: Sequence[Edit], owner: str = LOCAL_PERSON, why: str = ""
) -> Draft:
    """Put edits of `version` behind those that wait. Raises Conflict when the draft or the data set is at another one,
    Invalid where an edit cannot be made."""
    with studio.database.write() as session:
        dataset = session.get(Dataset, id)
        draft = _draft(session, id, owner)
        if draft.stale:
            raise stale(draft)
        if version != draft.newest:
            raise Conflict(
                f"Version {draft.newest} of '{dataset.name}' has been saved meanwhile, and this edit is of version {version}.",
                f"Look at version {draft.newest}, and make it there.",
                "version",
            )
        if len(draft.kept) + len(edits) > MOST:
            raise Conflict(f"{MOST:,} edits wait already.", "Save them, then go on.")
        rows = session.get(DatasetVersion, (id, version)).rows
        gathered([*draft.edits, *edits], dataset.kind, rows)
        session.add_all(
            DatasetEdit(dataset=id, owner=owner, version=version, edit=edit.model_dump(exclude_none=True), why=why)
            for edit in edits
        )
        session.flush()
        return _draft(session, id, owner)


def stale(draft: Draft) -> Conflict:
    edits, them = ("edits that wait are", "them") if len(draft.kept) > 1 else ("edit that waits is", "it")
    return Conflict(
        f"Version {draft.newest} has been saved meanwhile, and the {len(draft.kept)} {edits} of version {draft.version}.",
        f"Bring {them} over to version {draft.newest}, or take {them} back.",
        "version",
    )


def take_back(studio: Studio, id: str, edit: int | None = None, owner: str = LOCAL_PERSON) -> Draft:
    """Undo the edit of this id, or the last one."""
    with studio.database.write() as session:
        draft = _draft(session, id, owner)
        found = next((kept for kept in reversed(draft.kept) if edit in (None, kept.id)), None)
        if found is None:
            raise NotFound("edit that waits", str(edit or ""))
        session.delete(found)
        session.flush()
        return _draft(session, id, owner)


def discard(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> None:
    with studio.database.write() as session:
        session.execute(delete(DatasetEdit).where(DatasetEdit.dataset == id, DatasetEdit.owner == owner))


def save_draft(studio: Studio, id: str, owner: str = LOCAL_PERSON, why: str = "") -> DatasetVersion:
    """All edits that wait, as the next version; they wait no longer. Raises what saving.save_version raises: then they wait on."""
    draft = draft_of(studio, id, owner)
    if not draft.kept:
        raise Conflict("No edit waits to be saved.", "Change, drop or add a row first.")
    if draft.stale:
        raise stale(draft)
    last = draft.kept[-1].id
    return save_version(studio, id, draft.version, draft.edits, why or reasons(draft), owner, edits_up_to=last)


def reasons(draft: Draft) -> str:
    """What the version is for: "Mended from Compare: 2 answers; 1 row dropped." """
    sources: dict[str, int] = {}
    for kept in draft.kept:
        sources[kept.why] = sources.get(kept.why, 0) + 1
    own = [edit for kept, edit in zip(draft.kept, draft.edits, strict=True) if not kept.why and edit.op != "fix"]
    if any(edit.op == "fix" for edit in draft.edits):
        return ""  # how many rows a fix mends is known when they have been rewritten, and said then
    said = [f"{why}: {count} {'answer' if count == 1 else 'answers'}" for why, count in sources.items() if why]
    return "; ".join(said + ([counted_in_words(own)] if own else [])) + "."


def bring_over(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Draft:
    """The edits that wait, as edits of the newest version. None is lost: what was done to the same row meanwhile is said beside it.

    A row that was changed meanwhile keeps the edit; of one that was dropped, a changed value becomes a new row.
    """
    draft = draft_of(studio, id, owner)
    if not draft.stale:
        return draft
    wanted = {edit.row - 1 for edit in draft.edits if edit.row}
    to = places_in(studio, id, draft.version, draft.newest, wanted)
    found = difference(studio, id, draft.version, draft.newest)
    touched = {found.before[each] for each in range(len(found)) if found.kinds[each] == CHANGED}
    with studio.database.write() as session:
        now = _draft(session, id, owner)
        if (now.newest, [kept.id for kept in now.kept]) != (draft.newest, [kept.id for kept in draft.kept]):
            raise Conflict("The data set or the edits have changed meanwhile.", "Bring them over once more.")
        for kept in now.kept:
            _move(session, kept, to, touched, draft.newest)
        session.flush()
        return _draft(session, id, owner)


def _move(session: Session, kept: DatasetEdit, to: dict[int, int], touched: set[int], newest: int) -> None:
    edit = Edit.model_validate(kept.edit)
    kept.version = newest
    if edit.row is None:
        return
    place = to.get(edit.row - 1, NOWHERE)
    if place != NOWHERE:
        if edit.row - 1 in touched:
            kept.note = f"Row {place + 1:,} was changed in version {newest} too"
        kept.edit = {**kept.edit, "row": place + 1}
    elif edit.value is None:
        session.delete(kept)  # the row is gone, as it was meant to be, or nothing is left to hold out
    else:
        kept.note = f"Row {edit.row:,} was dropped in version {newest}"
        kept.edit = {name: value for name, value in kept.edit.items() if name != "row"} | {"op": "add"}


def places_in(studio: Studio, id: str, before: int, after: int, places: set[int]) -> dict[int, int]:
    """Where rows of one version stand in another one, by their numbers; those that are not there are left out."""
    old, new = (folder_of(studio, get_version(studio, id, number)) for number in (before, after))
    numbers = {number: place for number, place, _ in numbered_lines(old) if place in places}
    return {numbers[number]: place for number, place, _ in numbered_lines(new) if number in numbers}


def waiting(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> int:
    """How many edits wait."""
    with studio.database.read() as session:
        query = select(func.count()).where(DatasetEdit.dataset == id, DatasetEdit.owner == owner)
        return session.scalar(query) or 0
