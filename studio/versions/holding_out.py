"""Hold out rows by share or by count, chosen by their content: a data set that grows keeps the rows that it is measured on."""

from studio.errors import Conflict, Invalid
from studio.heldout import content_hash
from studio.records import LOCAL_PERSON, DatasetVersion
from studio.rows import iter_training_rows
from studio.studio import Studio
from studio.versions.edits import MOST_EDITS, Edit
from studio.versions.lineage import folder_of, get_version
from studio.versions.saving import save_version


def hold_out(
    studio: Studio,
    id: str,
    parent: int,
    share: float | None = None,
    count: int | None = None,
    owner: str = LOCAL_PERSON,
) -> DatasetVersion:
    """The next version, with so many of its rows held out. Raises Invalid for an amount that leaves nothing, Conflict when none changes.

    By share, a row is held out where the hash of its content lies below it, whatever other rows there are. By count, those that
    are held out already stay so, and the others with the lowest hashes join them.
    """
    old = get_version(studio, id, parent)
    if (share is None) == (count is None):
        raise Invalid("Say how many rows to hold out, by share or by count.", "Give one of the two.", "share")
    if share is not None and not 0 < share < 1:
        raise Invalid(f"A share of {share:g} is not between 0 and 1.", "Choose 0.05 for one row of twenty.", "share")
    if count is not None and not 0 < count < old.rows:
        raise Invalid(f"{count:,} of {old.rows:,} rows cannot be held out.", "Leave at least one to train on.", "count")
    wanted = _by_share(studio, old, share) if share is not None else _by_count(studio, old, count or 0)
    if len(wanted) == old.rows:
        raise Invalid("No row would be left to train on.", "Hold out fewer.", "share")
    edits = [
        Edit(op="change", row=place + 1, heldout=place in wanted)
        for place, row in enumerate(iter_training_rows(folder_of(studio, old)))
        if (place in wanted) != row["heldout"]
    ]
    if not edits:
        raise Conflict("Exactly these rows are held out already.", "There is nothing to save.")
    if len(edits) > MOST_EDITS:
        raise Invalid(
            f"{len(edits):,} rows are more than {MOST_EDITS:,}.", "Hold out fewer.", "share" if share else "count"
        )
    how = f"{share:.4g} of the rows" if share is not None else f"{count:,} {'row' if count == 1 else 'rows'}"
    return save_version(studio, id, parent, edits, f"{how} held out, chosen by content.", owner)


def _by_share(studio: Studio, old: DatasetVersion, share: float) -> set[int]:
    rows = enumerate(iter_training_rows(folder_of(studio, old)))
    return {place for place, row in rows if content_hash(row) < share * 2.0**64}


def _by_count(studio: Studio, old: DatasetVersion, count: int) -> set[int]:
    rows = enumerate(iter_training_rows(folder_of(studio, old)))
    ordered = sorted((not row["heldout"], content_hash(row), place) for place, row in rows)
    return {place for _, _, place in ordered[:count]}
