"""How the rows of a version are drawn: each with its texts, what an edit makes of it, and what can be done to it."""

from dataclasses import dataclass, field
from html import escape

from studio.formats import Kind
from studio.learning import Row
from studio.pages import data_view, parts, words
from studio.pages.events import action
from studio.pages.versions import forms
from studio.records import DatasetEdit
from studio.row_checks.mending import mended
from studio.versions.drafts import Draft
from studio.versions.edits import Edit, fields_of
from studio.versions.rewriting import found_of
from studio.versions.searching import FoundRows

NEW = "new"  # id of a form for a row that is added


@dataclass
class Drafted:
    """What the edits that wait make of one row."""

    edits: list[int] = field(default_factory=list)
    """Their ids."""
    row: Row | None = None
    heldout: bool | None = None
    dropped: bool = False
    fixes: list[str] = field(default_factory=list)
    """Checks whose fix waits for this row."""
    note: str = ""


def by_row(draft: Draft, kind: Kind) -> tuple[dict[int, Drafted], list[tuple[DatasetEdit, Drafted]]]:
    """(place of a row → what becomes of it, rows that are added)."""
    found: dict[int, Drafted] = {}
    new: list[tuple[DatasetEdit, Drafted]] = []
    for kept, edit in zip(draft.kept, draft.edits, strict=True):
        if edit.op == "fix":
            if edit.row is not None:
                drafted = found.setdefault(edit.row - 1, Drafted())
                drafted.edits.append(kept.id)
                drafted.fixes.append(edit.check or "")
        elif edit.row is None:
            new.append((kept, _take(Drafted(), kept, edit, kind)))
        else:
            _take(found.setdefault(edit.row - 1, Drafted()), kept, edit, kind)
    return found, new


def _take(drafted: Drafted, kept: DatasetEdit, edit: Edit, kind: Kind) -> Drafted:
    drafted.edits.append(kept.id)
    drafted.dropped = edit.op == "drop"
    drafted.note = kept.note or drafted.note
    if edit.value is not None:
        drafted.row = fields_of(edit.value, kind)
    if edit.heldout is not None:
        drafted.heldout = edit.heldout
    return drafted


def waiting(draft: Draft) -> str:
    """The edits that wait, and what can be done with them together."""
    if not draft.kept:
        return ""
    count = words.plural(len(draft.kept), "edit")
    if draft.stale:
        actions = action(f"Bring them over to version {draft.newest}", "bring", "")
        actions += action("Take all back", "discard", "", confirm=f"Take {count} back? They are gone then.")
        said = f"Version {draft.newest} has been saved meanwhile. Nothing is lost: they can be brought over to it."
        return parts.banner(
            "warn", f"{count} of version {draft.version} {'waits' if len(draft.kept) == 1 else 'wait'}.", said, actions
        )
    save = (
        '<input class="ls-why" data-why maxlength="200" placeholder="What for? (counted otherwise)" aria-label="What the version is for">'
        f'<button type="button" class="ls-btn s p" data-act="save" data-id="">Save as version {draft.newest + 1}</button>'
    )
    undo = action("Undo the last", "undo", "")
    undo += action("Take all back", "discard", "", confirm=f"Take {count} back? They are gone then.", quiet=True)
    return (
        f'<div class="ls-banner info ls-waits" role="status"><span><b>{count} {"wait" if len(draft.kept) > 1 else "waits"} to be saved.</b> '
        f'Until then version {draft.newest} stays the newest.</span><span class="ls-row">{save}{undo}</span></div>'
    )


def listed(found: FoundRows, draft: Draft, kind: Kind, rows: int, start: int, editing: str, editable: bool) -> str:
    """The rows that were found, drafted ones as they will be, and the way to the next ones."""
    drafted, new = by_row(draft, kind) if editable and not draft.stale else ({}, [])
    drawn = waiting(draft) if editable else ""
    if editable and editing == NEW:
        drawn += forms.form(NEW, "A new row", forms.EMPTY[kind], False)
    drawn += "".join(_added(kept, one, editing) for kept, one in new)
    drawn += "".join(
        _row(place, row, drafted.get(place, Drafted()), editing, editable and not draft.stale)
        for place, row in found.items
    )
    if not found.items:
        to = f"rows {words.count(start + 1)} to {words.count(found.searched)}"
        drawn += f'<p class="ls-sub ls-gap">No such row in {to} of {words.count(rows)}.</p>'
    return f'<div class="ls-rows">{drawn}</div>{_onward(found, start, editable, draft)}'


def _onward(found: FoundRows, start: int, editable: bool, draft: Draft) -> str:
    drawn = action("From the first", "go", "0") if start else ""
    if found.next is not None:
        drawn += action("Next rows" if found.items else "Search on", "go", str(found.next))
    if editable and not draft.stale:
        drawn += action("Add a row", "edit", NEW)
    return f'<div class="ls-row ls-gap">{drawn}</div>'


def _row(place: int, row: Row, drafted: Drafted, editing: str, editable: bool) -> str:
    id, now = str(place + 1), _fixed(drafted, drafted.row or row)
    heldout = row["heldout"] if drafted.heldout is None else drafted.heldout
    title = f"Row {words.count(place + 1)}"
    if editable and editing == id:
        return forms.form(id, title, now, heldout)
    number = f'<span class="ls-muted">number {words.count(row["row"])}</span>' if row["row"] != place + 1 else ""
    chips = parts.chip("Held out", "idle") if heldout else ""
    if drafted.dropped:
        chips += parts.chip("Will be dropped", "bad")
    elif drafted.edits:
        chips += parts.chip("Changed, not saved", "warn")
    if drafted.note:
        chips += parts.chip(drafted.note, "warn")
    actions = _actions(id, title, heldout, drafted) if editable else ""
    gone = " gone" if drafted.dropped else ""
    return (
        f'<article class="ls-entry{gone}" aria-label="{title}"><header class="ls-row"><span class="ls-name ls-num">{title}</span>{number}{chips}'
        f'<span class="ls-row ls-end">{actions}</span></header>{data_view.example(now)}</article>'
    )


def _fixed(drafted: Drafted, row: Row) -> Row:
    """The row as the fixes that wait for it make it."""
    for check in drafted.fixes:
        made = mended(found_of(row), check)
        if made is None:
            drafted.dropped = True
            return row
        row = {**row, **made.fields}
    return row


def _actions(id: str, title: str, heldout: bool, drafted: Drafted) -> str:
    undo = (
        action("Undo", "undo", str(drafted.edits[-1]), label=f"Undo the edit of {title.lower()}")
        if drafted.edits
        else ""
    )
    if drafted.dropped:
        return undo
    hold = ("Train on it", "train") if heldout else ("Hold out", "hold")
    return (
        undo
        + action("Edit", "edit", id, label=f"Edit {title.lower()}")
        + action(*hold, id, label=f"{hold[0]}: {title.lower()}")
        + action("Drop", "drop", id, label=f"Drop {title.lower()}")
    )


def _added(kept: DatasetEdit, drafted: Drafted, editing: str) -> str:
    chips = parts.chip("New, not saved", "warn") + (parts.chip("Held out", "idle") if drafted.heldout else "")
    chips += parts.chip(kept.note, "warn") if kept.note else ""
    chips += f'<span class="ls-muted">{escape(kept.why)}</span>' if kept.why else ""
    undo = action("Undo", "undo", str(kept.id), label="Undo this new row")
    return (
        f'<article class="ls-entry" aria-label="A new row"><header class="ls-row"><span class="ls-name">New row</span>{chips}'
        f'<span class="ls-row ls-end">{undo}</span></header>{data_view.example(drafted.row or {})}</article>'
    )


def read_only(version: int, newest: int, dataset: str) -> str:
    """Said above the rows of an older version."""
    return parts.banner(
        "info",
        f"This is version {version} of {newest}.",
        "It stays as it is; edits are made on the newest.",
        parts.button(f"Go to version {newest}", f"/data?id={dataset}", small=True),
    )
