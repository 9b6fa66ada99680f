"""How passports are drawn: one table for several adapters, and what is told of one that was brought."""

from collections.abc import Mapping
from html import escape
from typing import Any

from studio.errors import clip
from studio.pages import method_words, parts, words
from studio.passports.side_by_side import SECTIONS, Line
from studio.records import Adapter

MOST_LETTERS = 300  # of one value
DATES = ("created_at", "at")


def side_by_side(found: list[Adapter], lines: list[Line], only: bool) -> str:
    """One table: a row for each setting, a column for each adapter; what differs is marked."""
    shown = [line for line in lines if line.differs or not only]
    same = sum(not line.differs for line in lines)
    count = f"{words.plural(len(lines) - same, 'setting')} differ, {same} are the same."
    if not shown:
        return parts.empty("check", "No difference", "Their settings and passports are the same.")
    head = "".join(
        f'<th scope="col"><a href="/adapters?id={escape(one.id)}">{parts.text(one.name)}</a></th>' for one in found
    )
    body = "".join(section(key, [line for line in shown if line.section == key], len(found)) for key in SECTIONS)
    return (
        f'<p class="ls-sub" role="status">{escape(count)}</p><div class="ls-tw" tabindex="0" role="region" aria-label="Settings side by side">'
        f'<table class="ls-t ls-sides"><thead><tr><th scope="col">Setting</th>{head}</tr></thead>{body}</table></div>'
    )


def section(key: str, lines: list[Line], columns: int) -> str:
    if not lines:
        return ""
    title = f'<tr class="ls-section"><th scope="rowgroup" colspan="{columns + 1}">{escape(SECTIONS[key])}</th></tr>'
    return f"<tbody>{title}{''.join(map(row, lines))}</tbody>"


def row(line: Line) -> str:
    cells = "".join(f'<td class="wrap ls-num">{value_of(line.name, value)}</td>' for value in line.values)
    mark = ' class="ls-differs"' if line.differs else ""
    return f'<tr{mark}><th scope="row">{escape(clip(line.name.replace("_", " "), 60))}</th>{cells}</tr>'


def value_of(name: str, value: Any) -> str:
    if value is None:
        return '<span class="ls-muted">–</span>'
    last = name.rpartition(".")[2]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return (
            words.size(value) if last.endswith("_bytes") else f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
        )
    if isinstance(value, list):
        return escape(clip(", ".join(map(str, value)), MOST_LETTERS))
    if last in DATES:
        return escape(str(value)[:16].replace("T", " "))
    if last in ("sha256", "fingerprint", "adapter_sha256"):
        return f'<span class="ls-mono" title="{escape(str(value)[:64])}">{escape(str(value)[:16])}</span>'
    return escape(clip(value, MOST_LETTERS))


def brought(passport: Mapping[str, Any]) -> str:
    """The card of an adapter that was made elsewhere: what was proved, and what is only told."""
    imported = passport.get("imported")
    if not isinstance(imported, Mapping):
        return ""
    settings = imported.get("settings")
    told = settings if isinstance(settings, Mapping) else {}
    pairs = [
        ("Brought", str(imported.get("at") or "")[:10]),
        ("From", imported.get("repo") or imported.get("folder")),
        ("Revision", imported.get("revision")),
        ("Its settings name the base", imported.get("base_named")),
        ("Method", method_words.title(str(imported.get("method") or ""))),
        ("Matched by names and shapes", imported.get("matched")),
        *((str(key).replace("_", " "), plain(value)) for key, value in told.items()),
    ]
    has = "dataset" in passport or "parents" in passport
    note = (
        "Base and weights were checked against their fingerprints. Data, settings and results below are as its passport tells them."
        if has
        else "It came without a passport: what it learned from, and how well, is not known here."
    )
    return parts.card(
        parts.facts([(name, clip(value, MOST_LETTERS)) for name, value in pairs if value]),
        "Brought from elsewhere",
        note,
    )


def plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return "yes" if value is True else str(value)
