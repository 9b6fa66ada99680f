"""How the versions of a data set are drawn: one line each, and row by row what changed between two."""

from collections.abc import Sequence
from html import escape
from typing import Any

from studio.pages import data_view, parts, words
from studio.pages.events import action
from studio.records import Dataset, DatasetVersion
from studio.versions.exporting import ways_for

KINDS = {"added": ("Added", "ok"), "removed": ("Dropped", "bad"), "changed": ("Changed", "warn")}


def history(dataset: Dataset, versions: Sequence[DatasetVersion], shown: int, people: dict[str, str]) -> str:
    """Newest first; each can be looked at, trained on, compared with the one before and brought back."""
    rows = [_version(dataset, version, shown, people) for version in versions]
    headings = ["Version", "Why", "Rows", "Made", ""]
    table = parts.table(headings, rows, "Versions of this data set", cell_classes=("", "wrap", "", "", "ls-act-cell"))
    return f"{table}{downloads(dataset, shown)}"


def _version(dataset: Dataset, version: DatasetVersion, shown: int, people: dict[str, str]) -> tuple[str, ...]:
    number = version.number
    chip = parts.chip("Newest", "ok") if number == dataset.version else ""
    chip += parts.chip("Shown", "idle") if number == shown and number != dataset.version else ""
    counts = ((version.added, "+"), (version.removed, "−"), (version.changed, "~"))
    changes = " ".join(f"{sign}{words.count(count)}" for count, sign in counts if count)
    who = people.get(version.owner, version.owner)
    actions = parts.button(
        "Train", f"/train?data={dataset.id}&version={number}", small=True, label=f"Train on version {number}"
    )
    if version.parent:
        actions += action("Changes", "diff", f"{version.parent}-{number}-0", label=f"Changes of version {number}")
    if number != dataset.version:
        asked = (
            f"Make version {dataset.version + 1} with the rows of version {number}? Version {dataset.version} stays."
        )
        actions += action("Restore", "restore", str(number), confirm=asked, label=f"Restore version {number}")
    return (
        f'<a href="/data?id={escape(dataset.id)}&amp;version={number}">Version {number}</a> {chip}',
        parts.text(version.why),
        f'{words.count(version.rows)}<div class="ls-muted">{escape(changes)}</div>',
        f'{escape(words.ago(version.created_at))}<div class="ls-muted">{parts.text(who)} · <span class="ls-mono">{version.sha256[:8]}</span></div>',
        actions,
    )


def downloads(dataset: Dataset, version: int) -> str:
    """Links to the version as a file, one for each format that its kind is written in."""
    at = f"/api/v1/datasets/{dataset.id}/versions/{version}/export?format="
    links = "".join(
        parts.button(title, f"{at}{name}", small=True, download=True, label=f"Download version {version} as {title}")
        for name, title in ways_for(dataset.kind).items()
    )
    return f'<div class="ls-row ls-gap"><span class="ls-sub">Download version {version} as</span>{links}</div>'


def difference(page: dict[str, Any]) -> str:
    """One page of the rows that differ, and the way to the next."""
    before, after = page["before"], page["after"]
    counts = "".join(
        parts.chip(f"{words.count(page[kind])} {name.lower()}", colour)
        for kind, (name, colour) in KINDS.items()
        if page[kind]
    )
    head = f'<h3 class="ls-h2">From version {before} to version {after}</h3><div class="ls-row">{counts or "No row differs."}</div>'
    drawn = "".join(_difference(item) for item in page["items"])
    onward = action("Next changes", "diff", f"{before}-{after}-{page['next']}") if page["next"] else ""
    return f'{head}<div class="ls-rows ls-gap">{drawn}</div><div class="ls-row ls-gap">{onward}{action("Close", "close", "")}</div>'


def _difference(item: dict[str, Any]) -> str:
    name, colour = KINDS[item["kind"]]
    places = [f"row {words.count(item[side])}" for side in ("row_before", "row_after") if item[side]]
    where = places[0] if len(set(places)) == 1 else " → ".join(places)
    if item["words"] is not None:
        body = f'<p class="ls-diff">{marked(item["words"])}</p>'
    else:
        body = data_view.example(item["before"] or item["after"])
    return (
        f'<article class="ls-entry" aria-label="{name} {where}"><header class="ls-row">{parts.chip(name, colour)}'
        f'<span class="ls-name ls-num">{where.capitalize()}</span></header>{body}</article>'
    )


MOST_LETTERS = 6000  # of one row's differences on the page


def marked(pieces: Sequence[tuple[str, str]]) -> str:
    """Runs of text, the added and removed ones marked; long ones that are the same in both are cut in their middle."""
    drawn, left = [], MOST_LETTERS
    for kind, text in pieces:
        text = text if kind != "same" or len(text) < 600 else f"{text[:280]} … {text[-280:]}"
        if len(text) > left:
            drawn.append('<span class="ls-muted"> … (the rest is not shown)</span>')
            break
        left -= len(text)
        tag = {"added": "ins", "removed": "del"}.get(kind)
        drawn.append(f"<{tag}>{escape(text)}</{tag}>" if tag else escape(text))
    return "".join(drawn)
