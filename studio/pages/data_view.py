"""How data is drawn: the list of data sets, and what was found in a file that is being brought."""

from collections.abc import Sequence
from html import escape
from typing import Any

from studio.dataset_report import Finding, Report
from studio.formats import FORMATS, KINDS
from studio.pages import parts, words

Shown = dict[str, Any]  # a data set as datasets.shown gives it

EXAMPLE_LETTERS = 600


def listed(datasets: list[Shown], descriptions: dict[str, str]) -> str:
    """All data sets as a table; `descriptions` tells what a built-in one is for, by its builtin_id."""
    if not datasets:
        return parts.empty("data", "No data yet", "Bring a file above.")
    table = parts.table(
        ("Data set", "Rows", "Kind", "Size", ""),
        [_row(dataset, descriptions.get(dataset["builtin_id"] or "", "")) for dataset in datasets],
        "Data sets",
        "phone ls-datasets",
        ("wrap", "", "", "", "ls-right"),
    )
    return f'<section class="ls-card flush"><div class="ls-row ls-table-head"><h2>Your data sets</h2></div>{table}</section>'


def _row(dataset: Shown, description: str) -> tuple[str, ...]:
    about = description or f"{dataset['file_name']}, added {dataset['created_at'][:10]}"
    built_in = " " + parts.tag("comes with the studio") if dataset["source"] == "builtin" else ""
    held_out = (
        f'<div class="ls-sub">{words.count(dataset["heldout_rows"])} held out</div>' if dataset["heldout_rows"] else ""
    )
    return (
        f'<a href="/data?id={dataset["id"]}">{parts.text(dataset["name"])}</a>{built_in}<div class="ls-sub">{parts.text(about)}</div>',
        f'<span class="ls-num">{words.plural(dataset["rows"], "row")}</span>{held_out}',
        f'<span class="ls-muted">{_kind(dataset)}</span>',
        f'<span class="ls-muted">{words.size(dataset["size_bytes"])}</span>',
        parts.button("Train", f"/train?data={dataset['id']}", small=True, label=f"Train on {dataset['name']}"),
    )


def _kind(dataset: Shown) -> str:
    """The kind of data, and below it the format it came in where that says more."""
    kind, form = dataset["kind_title"], dataset["format_title"]
    return escape(kind) if kind == form else f"{escape(kind)}<br>{escape(form)}"


def formats() -> str:
    """What may be brought, before a file is there."""
    shown = "".join(_formats_of(kind, title) for kind, title in KINDS.items())
    return (
        '<h2 class="ls-h2">What a row may look like</h2><p class="ls-sub">As JSON, JSON Lines, CSV, Parquet, Arrow or plain text, compressed too. '
        f"It is recognised by its content.</p>{shown}"
    )


KIND_SAID = {
    "conversations": "teach how to answer",
    "text": "teaches a subject or a style; .txt and .md too",
    "preference": "teach which of two answers is better",
}


def _formats_of(kind: str, title: str) -> str:
    """One kind of data with the formats it comes in; all but conversations folded to the first."""
    forms = [form for form in FORMATS.values() if form.kind == kind]
    items = "".join(f"<li><b>{escape(form.title)}</b><code>{escape(form.example)}</code></li>" for form in forms)
    opened = " open" if kind == "conversations" else ""
    return (
        f'<details class="ls-more ls-gap"{opened}><summary><b>{title}</b> {KIND_SAID[kind]}</summary>'
        f'<ul class="ls-formats">{items}</ul></details>'
    )


def busy(file_name: str) -> str:
    return f'<div class="ls-row" role="status" aria-busy="true">{parts.chip("Reading", "running")}<span class="ls-sub">{parts.text(file_name)}</span></div>'


def _format_chip(report: Report) -> str:
    return "" if report.format_title == KINDS[report.kind] else parts.chip(report.format_title, "ok")


def recognised(report: Report) -> str:
    """What the file is taken for."""
    kind = (
        parts.chip(KINDS[report.kind], "ok") + _format_chip(report)
        if report.format_title and not report.needs_mapping
        else parts.chip("Not recognised", "warn")
    )
    details = [report.file_name, words.plural(report.rows_total, "row"), words.size(report.upload_bytes)]
    if report.encoding and report.encoding != "utf-8":
        details.append(report.encoding)
    if report.packed:
        details.append(report.packed)
    reason = f'<p class="ls-sub ls-gap">{parts.text(report.reason)}</p>' if report.reason else ""
    return f'<div class="ls-row">{kind}<span class="ls-sub">{parts.text(" · ".join(details))}</span></div>{reason}'


def counts(report: Report) -> str:
    """Ready, to look at, and unusable rows as chips."""
    chips = [parts.chip(f"{words.count(report.rows_ready)} ready", "ok" if report.rows_ready else "idle")]
    if report.rows_warned:
        chips.append(parts.chip(f"{words.count(report.rows_warned)} to look at", "warn"))
    if report.rows_bad:
        chips.append(parts.chip(f"{words.count(report.rows_bad)} cannot be used", "bad"))
    if report.heldout_rows:
        chips.append(parts.chip(f"{words.count(report.heldout_rows)} held out", "idle"))
    return f'<div class="ls-row"><h2 class="ls-h2">Checks</h2>{"".join(chips)}</div>'


def checks(report: Report) -> str:
    """Counts, findings and the first rows as they were understood."""
    return counts(report) + _unused(report) + findings(report) + examples(report)


def _unused(report: Report) -> str:
    if not report.unused_columns:
        return ""
    named = ", ".join(report.unused_columns[:8]) + (" and more" if len(report.unused_columns) > 8 else "")
    return f'<p class="ls-sub ls-gap">Not used: {parts.text(named)}.</p>'


def findings(report: Report) -> str:
    """The rows that are unusable or worth a look, each with what to do."""
    if not report.findings:
        return '<p class="ls-sub ls-gap">Every row can be used.</p>'
    table = findings_table(report.findings)
    rest = report.findings_total - len(report.findings)
    more = f'<p class="ls-sub ls-gap">And {words.count(rest)} more.</p>' if rest > 0 else ""
    return f"{table}{more}"


def findings_table(findings: Sequence[Finding]) -> str:
    table = parts.table(
        ("Where", "Finding", "What to do"),
        [_finding(found) for found in findings],
        "Findings",
        "phone ls-findings",
        ("", "wrap", "wrap ls-muted"),
    )
    return f'<div class="ls-gap">{table}</div>'


def _finding(found: Finding) -> tuple[str, ...]:
    chip = parts.chip("Cannot be used", "bad") if found.severity == "bad" else parts.chip("Look at it", "warn")
    return (
        f'<span class="ls-num">{escape(found.where)}</span>',
        f"{chip} {parts.text(found.problem)}",
        parts.text(found.fix),
    )


def examples(report: Report) -> str:
    if not report.examples:
        return ""
    shown = "".join(example(row) for row in report.examples)
    what = {"conversations": "conversations", "text": "documents", "preference": "pairs"}[report.kind]
    opened = " open" if report.format == "columns" else ""  # what a person maps is seen as it is mapped
    return f'<details class="ls-more ls-gap"{opened}><summary>The first rows as {what}</summary><div class="ls-grid ls-g3 ls-gap">{shown}</div></details>'


def example(example: dict[str, Any]) -> str:
    """A row as a person reads it, long texts cut."""
    if "text" in example:
        return f'<div class="ls-conversation"><div class="ls-said">{parts.text(_cut(example["text"]))}</div></div>'
    pair = [{**message, "role": side} for side in ("chosen", "rejected") for message in example.get(side, [])]
    return conversation([*example.get("messages", []), *pair])


def conversation(messages: list[dict[str, str]]) -> str:
    said = "".join(
        f'<div class="ls-said {escape(message["role"])}"><span>{escape(message["role"])}</span>{parts.text(_cut(message["content"]))}</div>'
        for message in messages
    )
    return f'<div class="ls-conversation">{said}</div>'


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_LETTERS else text[:EXAMPLE_LETTERS] + " …"
