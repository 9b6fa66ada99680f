"""How a suite's run is drawn: shares by column, a table of prompts and answers, and one prompt with its answers side by side."""

from html import escape
from typing import Any
from urllib.parse import urlencode

from studio.compare import word_differences
from studio.pages import parts, words
from studio.pages.compare.view import differences
from studio.pages.events import action
from studio.paired import probability
from studio.records import JobState, SuiteRun
from studio.suites.results import FEWEST_JUDGED, Cell, Line, base_place, is_base

STATES = {
    JobState.QUEUED: ("Waiting", "idle"),
    JobState.RUNNING: ("Answering", "running"),
    JobState.DONE: ("Done", "ok"),
    JobState.FAILED: ("Failed", "bad"),
    JobState.CANCELLED: ("Cancelled", "idle"),
}
SHOWS = {
    "all": "All",
    "failures": "Only failures",
    "differ": "Only where answers differ",
    "better": "Got better",
    "worse": "Got worse",
}
PER_PAGE = 50
SHOWN_LETTERS = 160
FEW = "too few to say how sure that is"
SAYS = {"better": "better", "worse": "worse", "unclear": "no clear difference"}


def chip(run: SuiteRun) -> str:
    return (
        parts.chip("Stopping", "warn")
        if run.cancel and run.state is JobState.RUNNING
        else parts.chip(*STATES[run.state])
    )


def news(run: SuiteRun, before: int = 0) -> str:
    """How far it is, or why it failed; nothing when it is done."""
    if run.state is JobState.FAILED:
        return parts.banner("bad", run.problem or "It failed.", run.fix or "")
    answers = run.prompts * len(run.columns)
    if run.state is JobState.RUNNING:
        said = in_short(run)
        bar = parts.progress(run.answered / max(1, answers), f"Progress of {run.name}")
        return parts.card(f'<p class="ls-sub" role="status">{escape(said)}</p>{bar}')
    if run.state is JobState.QUEUED:
        place = f" {words.plural(before, 'suite')} before it." if before else ""
        return parts.banner("info", f"Waits for a device.{place}", "It stands in one line with the trainings.")
    if run.state is JobState.CANCELLED and run.answered < answers:
        return parts.banner(
            "info",
            f"Cancelled after {words.count(run.answered)} of {words.count(answers)} answers.",
            "They are kept below.",
        )
    return ""


def in_short(run: SuiteRun) -> str:
    """How far it is."""
    if run.state is JobState.QUEUED:
        return "It waits for a device."
    return f"{words.count(run.answered)} of {words.count(run.prompts * len(run.columns))} answers. {run.doing}"


def shares(run: SuiteRun, told: list[dict[str, Any]]) -> str:
    """A card for each column: what it passed, how sure that is, and how it stands against the base."""
    cards = [_share(column, told[place], place) for place, column in enumerate(run.columns)] if told else []
    return parts.grid(cards, min(len(cards), 4)) if cards else ""


def _share(column: dict[str, Any], told: dict[str, Any], place: int) -> str:
    colour = 0 if is_base(column) else place
    name = f'<header class="ls-col-h"><span class="sw" style="background:var(--ls-s{colour})"></span><b>{parts.text(column["name"])}</b></header>'
    if not told["judged"]:
        return parts.card(
            name + '<p class="ls-sub">Nothing of it was judged: its prompts have no checks and no expected answers.</p>'
        )
    share = told["passed"] / told["judged"]
    figure = f'<p class="ls-figure">{share:.0%}</p>'
    sure = f"95 % between {told['low']:.0%} and {told['high']:.0%}" if "low" in told else FEW
    said = f"{words.count(told['passed'])} of {words.count(told['judged'])} passed ({sure})"
    against = f'<p class="ls-sub">{escape(in_words(told["paired"]))}</p>' if told.get("paired") else ""
    return parts.card(f'{name}{figure}<p class="ls-sub">{escape(said)}</p>{against}')


def in_words(paired: dict[str, Any]) -> str:
    """Against the base: what was lost and gained, the difference with its interval, and the test."""
    counted = f"Against the base: lost {paired['lost']}, gained {paired['gained']}"
    if sum(paired[name] for name in ("both", "lost", "gained", "neither")) < FEWEST_JUDGED:
        return f"{counted}; {FEW}."
    points = 100 * paired["difference"]
    span = f"{100 * paired['low']:+.0f} to {100 * paired['high']:+.0f}"
    return (
        f"{counted}; {points:+.0f} points ({span}), "
        f"{probability(paired['chance'])} (McNemar exact): {SAYS[paired['says']]}."
    )


def filters(run: SuiteRun, show: str, counts: dict[str, int]) -> str:
    links = "".join(
        f'<a class="ls-btn s{" p" if name == show else ""}" href="{escape(address(run, show=name))}"'
        f'{" aria-current=true" if name == show else ""}>{title} <span class="ls-num">{words.count(counts[name])}</span></a>'
        for name, title in SHOWS.items()
        if base_place(run.columns) is not None or name in ("all", "failures", "differ")
    )
    return f'<nav class="ls-row ls-shows" aria-label="Which prompts are shown">{links}</nav>'


def address(run: SuiteRun, **more: Any) -> str:
    kept = {name: value for name, value in more.items() if value not in ("all", None, 0)}
    return f"/answers?{urlencode({'id': run.id, **kept})}"


def table(run: SuiteRun, lines: list[Line], show: str, page: int) -> str:
    """One page of the prompts that are shown."""
    if not lines:
        return parts.empty("check", "No prompt is like this", "Choose another filter above.")
    shown = lines[page * PER_PAGE : (page + 1) * PER_PAGE]
    rows = [
        (
            f'<a href="{escape(address(run, show=show, prompt=line.place + 1))}">{parts.text(_clip(line.question, 90))}</a>'
            f'<div class="ls-sub">{parts.text(" · ".join(part for part in (line.prompt["id"], line.prompt.get("topic")) if part))}</div>',
            *(_cell(cell, column["name"]) for cell, column in zip(line.cells, run.columns, strict=True)),
        )
        for line in shown
    ]
    headings = ("Prompt", *(column["name"] for column in run.columns))
    drawn = parts.table(headings, rows, "Answers", "phone ls-answers-t", ("wrap",) * len(headings))
    return f'<section class="ls-card flush">{drawn}</section>{_pager(run, len(lines), show, page)}'


def _cell(cell: Cell | None, name: str) -> str:
    if cell is None:
        return '<span class="ls-muted">–</span>'
    answer = (
        escape(cell.problem) if cell.problem else parts.text(_clip(cell.text, SHOWN_LETTERS) or "(an empty answer)")
    )
    return f'<span class="ls-only-phone ls-sub">{parts.text(name)}</span> {verdict(cell)} {answer}'


def verdict(cell: Cell) -> str:
    if cell.passed is None:
        return ""
    return parts.chip("Pass", "ok") if cell.passed else parts.chip("Fail", "bad")


def _clip(text: str, letters: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= letters else one_line[: letters - 1] + "…"


def _pager(run: SuiteRun, lines: int, show: str, page: int) -> str:
    last = (lines - 1) // PER_PAGE
    if not last:
        return ""
    before = parts.button("Previous 50", address(run, show=show, page=page - 1), small=True) if page else ""
    after = parts.button("Next 50", address(run, show=show, page=page + 1), small=True) if page < last else ""
    return f'<div class="ls-row ls-gap">{before}<span class="ls-sub">Page {page + 1} of {last + 1}</span>{after}</div>'


def one(run: SuiteRun, line: Line, lines: list[Line], show: str) -> str:
    """One prompt with every column's answer beside each other, and what each says differently from the base."""
    base = base_place(run.columns)
    cards = [
        _answer(column, cell, place) for place, (column, cell) in enumerate(zip(run.columns, line.cells, strict=True))
    ]
    asked = "".join(
        f'<div class="ls-said {escape(message["role"])}"><span>{escape(message["role"])}</span>{parts.text(message["content"])}</div>'
        for message in line.prompt["messages"]
    )
    expected = (
        f'<p class="ls-sub ls-gap">Expected: {parts.text(line.prompt["expected"])}</p>'
        if line.prompt.get("expected") is not None
        else ""
    )
    said = [
        (column["name"], word_differences(line.cells[base].text, cell.text))
        for place, (column, cell) in enumerate(zip(run.columns, line.cells, strict=True))
        if base is not None and place != base and cell and line.cells[base]
    ]
    marked = parts.card(differences(said), "Word differences against the base") if said else ""
    title = f"Prompt {line.prompt['id']}"
    question = parts.card(f'<div class="ls-conversation">{asked}</div>{expected}', title)
    answers = f'<div class="ls-answers n{len(cards)}" role="group" aria-label="Answers">{"".join(cards)}</div>'
    return f'<div class="ls-one">{_neighbours(run, line, lines, show)}{question}{answers}{marked}</div>'


def _answer(column: dict[str, Any], cell: Cell | None, place: int) -> str:
    colour = 0 if is_base(column) else place
    if cell is None:
        said, foot = '<p class="ls-muted">Not answered.</p>', ""
    else:
        text = parts.text(cell.text) if cell.text.strip() else '<span class="ls-muted">(an empty answer)</span>'
        said = f'<div class="a">{escape(cell.problem) if cell.problem else text}</div>'
        checks = "".join(
            f"<li>{'✓' if check['passed'] else '✗'} {parts.text(check['said'])}</li>" for check in cell.checks
        )
        notices = "".join(f"<li>{escape(notice)}</li>" for notice in cell.notices)
        foot = f'<ul class="ls-checks">{checks}{notices}</ul>' if checks or notices else ""
        if not cell.problem:
            foot += action("Mend", "mend", str(place), label=f"Mend the data from the answer of {column['name']}")
    return (
        f'<section class="ls-card ls-answer" aria-label="{escape(column["name"])}"><header class="ls-col-h">'
        f'<span class="sw" style="background:var(--ls-s{colour})"></span><b>{parts.text(column["name"])}</b>'
        f'<span class="r">{verdict(cell) if cell else ""}</span></header><div class="ls-said">{said}</div><div class="foot">{foot}</div></section>'
    )


def _neighbours(run: SuiteRun, line: Line, lines: list[Line], show: str) -> str:
    """The way back, and to the prompts before and after among those that are shown."""
    places = [each.place for each in lines]
    at = places.index(line.place) if line.place in places else None
    links = parts.button("All prompts", address(run, show=show, page=(at or 0) // PER_PAGE), small=True)
    for words_of, step in (("Previous", -1), ("Next", 1)):
        if at is not None and 0 <= at + step < len(places):
            links += parts.button(words_of, address(run, show=show, prompt=places[at + step] + 1), small=True)
    return f'<div class="ls-row">{links}</div>'
