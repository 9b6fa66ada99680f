"""How findings are drawn: a line for each kind with its fix, and the rows of the one that is open."""

from html import escape
from typing import Any

from studio.pages import data_view, parts, words
from studio.pages.events import action
from studio.pages.versions import rows_view
from studio.row_checks.kinds import CHECKS
from studio.versions.checking import Checked
from studio.versions.drafts import Draft
from studio.versions.edits import LEFT_OUT

TITLES = {
    LEFT_OUT: (
        "Rows that were left out",
        "They could not be used: nothing of them is learned.",
        "Put their messages in order and bring back those that can be used then",
    )
} | {name: (check.title, check.harm, check.fix) for name, check in CHECKS.items()}
SECOND = " and ".join(("near duplicates", "languages"))


def fixes_of(draft: Draft) -> dict[tuple[str, int | None], int]:
    """(kind, row or None for all) → id of the edit that waits."""
    return {
        (edit.check or "", edit.row): kept.id
        for kept, edit in zip(draft.kept, draft.edits, strict=True)
        if edit.op == "fix"
    }


def section(state: Checked, draft: Draft, editable: bool, opened: str, start: int, page: dict[str, Any] | None) -> str:
    fixes = fixes_of(draft) if editable else {}
    drawn = rows_view.waiting(draft) if fixes else ""
    drawn += _state(state)
    kinds = [_kind(name, count, fixes, editable, opened) for name, count in state.counts.items() if name in TITLES]
    if kinds:
        table = parts.table(
            ("Rows", "Finding", "Fix", ""),
            kinds,
            "Kinds of findings",
            "phone ls-kinds",
            ("ls-num", "wrap", "wrap ls-muted", "ls-act-cell"),
        )
        every = action("Fix all of them", "all", "") if editable and len(kinds) > 1 and _some_left(state, fixes) else ""
        drawn += f'{table}<div class="ls-row ls-gap">{every}</div>'
    elif state.found:
        drawn += '<p class="ls-sub ls-gap">Nothing was found.</p>'
    return drawn + (_rows(opened, start, page, fixes, editable) if page else "")


def _some_left(state: Checked, fixes: dict) -> bool:
    return any((name, None) not in fixes for name in state.counts)


def _state(state: Checked) -> str:
    """How far the checks are."""
    if state.running:
        share = state.progress or 0.0
        said = "Comparing" if share >= 1 else f"Looking closer for {SECOND}"
        return (
            f'<div class="ls-gap-below" role="status"><div class="ls-row">{parts.chip(said, "running")}'
            f'<span class="ls-sub">{share:.0%} of the rows</span></div>{parts.progress(share, said)}</div>'
        )
    failed = parts.banner("bad", state.failed, state.fix) if state.failed else ""
    if state.found is None:
        return failed + parts.banner("info", "These rows have not been checked.", "", action("Check them", "look", ""))
    if not state.found.second_pass:
        return failed + parts.banner(
            "info",
            f"{words.plural(state.found.rows, 'row')} checked.",
            f"A second pass looks for {SECOND}; it takes a few times as long as reading the file.",
            action("Look closer", "look", ""),
        )
    return failed + f'<p class="ls-sub ls-gap-below">{words.plural(state.found.rows, "row")} checked, closely.</p>'


def _kind(name: str, count: int, fixes: dict, editable: bool, opened: str) -> tuple[str, ...]:
    title, harm, fix = TITLES[name]
    waiting = fixes.get((name, None))
    if waiting:
        fixing = parts.chip("Waits to be saved", "warn") + action("Undo", "undo", str(waiting), label=f"Undo: {title}")
    else:
        fixing = action("Fix all", "fix", f"{name}-0", label=f"Fix all: {title}") if editable else ""
    show = action("Close", "show", "", label=f"Close: {title}") if opened == name else ""
    show = show or action("Show rows", "show", f"{name}-0", label=f"Show rows: {title}")
    return (
        words.count(count),
        f'<b>{escape(title)}</b><div class="ls-sub">{escape(harm)}</div>',
        escape(fix),
        f'<span class="ls-row">{show}{fixing}</span>',
    )


def _rows(check: str, start: int, page: dict[str, Any], fixes: dict, editable: bool) -> str:
    draw = _left_out if check == LEFT_OUT else _found
    drawn = "".join(draw(item, check, fixes, editable) for item in page["items"])
    onward = action("From the first", "show", f"{check}-0") if start else ""
    if page["next"] is not None:
        onward += action("Next rows", "show", f"{check}-{page['next']}", label="Next rows with this finding")
    if check != LEFT_OUT:
        onward += action("Search and edit them", "rows", check, label=f"Search and edit in Rows: {TITLES[check][0]}")
    head = f'<h3 class="ls-side">{escape(TITLES[check][0])}</h3>'
    return f'{head}<div class="ls-rows">{drawn}</div><div class="ls-row ls-gap">{onward}</div>'


def _found(item: dict[str, Any], check: str, fixes: dict, editable: bool) -> str:
    title = f"Row {words.count(item['row'])}"
    waiting = fixes.get((check, item["row"])) or fixes.get((check, None))
    if waiting:
        fixing = parts.chip("Waits to be saved", "warn") + action("Undo", "undo", str(waiting))
    else:
        fixing = (
            action("Fix this row", "fix", f"{check}-{item['row']}", label=f"Fix {title.lower()}") if editable else ""
        )
    return (
        f'<article class="ls-entry" aria-label="{title}: {escape(TITLES[check][0])}"><header class="ls-row"><span class="ls-name ls-num">{title}</span>'
        f'{parts.chip("Found", "warn")}<span class="ls-sub">{parts.text(item["found"])}</span><span class="ls-row ls-end">{fixing}</span></header>'
        f"{data_view.example(item['value'] or {})}</article>"
    )


def _left_out(item: dict[str, Any], check: str, fixes: dict, editable: bool) -> str:
    place = "" if item["line"] is None else f" (line {words.count(item['line'])})"
    value = "The row could not be read." if item["value"] is None else str(item["value"])
    return (
        f'<article class="ls-entry" aria-label="Row {item["row"]} was left out"><header class="ls-row"><span class="ls-name ls-num">Row {words.count(item["row"])}{place}</span>'
        f'{parts.chip("Left out", "bad")}<span class="ls-sub">{parts.text(item["problem"])} {parts.text(item["fix"])}</span></header>'
        f'<div class="ls-conversation"><div class="ls-said">{parts.text(value[: data_view.EXAMPLE_LETTERS])}</div></div></article>'
    )
