"""How suites are drawn: the list, the prompts of one with what is checked in words, and its runs."""

from collections.abc import Iterable
from html import escape

from studio.pages import parts, words
from studio.pages.events import action
from studio.pages.suites import run_view
from studio.records import Suite, SuiteRun
from studio.suite_checks.kinds import Check, Contains, ContainsNot, IsJson, Length, Matches
from studio.suites.prompts import SuitePrompt

SOURCES = {
    "made": "written here",
    "upload": "from a file",
    "heldout": "held-out rows",
    "builtin": "comes with the studio",
}
SHOWN_PROMPTS = 200
SHOWN_LETTERS = 300


def listed(suites: Iterable[Suite], adapter: str = "") -> str:
    """All suites as a table; with an adapter, their links bring it along."""
    along = f"&amp;adapter={escape(adapter)}" if adapter else ""
    rows = [
        (
            f'<a href="/suites?id={suite.id}{along}">{parts.text(suite.name)}</a> {parts.tag(SOURCES.get(suite.source, suite.source))}'
            f'<div class="ls-sub">{parts.text(suite.about)}</div>',
            f'<span class="ls-num">{words.plural(suite.prompt_count, "prompt")}</span>',
            parts.chip("After every training", "ok")
            if suite.after_training
            else '<span class="ls-muted">When asked</span>',
            f'<span class="ls-muted">{words.ago(suite.created_at)}</span>',
        )
        for suite in suites
    ]
    if not rows:
        return parts.empty("check", "No suites yet", "Write some prompts below, or bring a file.")
    table = parts.table(
        ("Suite", "Prompts", "Answered", "Made"), rows, "Suites", "phone ls-suites", ("wrap", "", "", "")
    )
    return f'<section class="ls-card flush"><div class="ls-row ls-table-head"><h2>Suites</h2></div>{table}</section>'


def runs_of(runs: Iterable[SuiteRun], title: str = "Runs") -> str:
    """Runs with their shares; nothing where there are none."""
    rows = [
        (
            f'<a href="/answers?id={run.id}">{parts.text(run.name)}</a><div class="ls-sub">{words.ago(run.created_at)}</div>',
            run_view.chip(run),
            " ".join(_column(run, place) for place in range(len(run.columns))),
        )
        for run in runs
    ]
    if not rows:
        return ""
    table = parts.table(("Suite", "State", "Passed"), rows, title, "phone ls-suites", ("wrap", "", "wrap"))
    return f'<section class="ls-card flush"><div class="ls-row ls-table-head"><h2>{escape(title)}</h2></div>{table}</section>'


def _column(run: SuiteRun, place: int) -> str:
    told = (run.result.get("columns") or [{}] * len(run.columns))[place]
    share = f" {told['passed']} of {told['judged']}" if told.get("judged") else ""
    return f'<div>{parts.text(run.columns[place]["name"])}<span class="ls-num">{share}</span></div>'


def prompts(found: list[SuitePrompt], change: bool) -> str:
    """The prompts as a table; with `change`, each has its buttons."""
    rows = [
        (
            f'<span class="ls-mono">{parts.text(prompt.id)}</span><div class="ls-sub">{parts.text(prompt.topic)}</div>',
            _asked(prompt),
            in_words(prompt),
            _buttons(place, prompt) if change else "",
        )
        for place, prompt in enumerate(found[:SHOWN_PROMPTS])
    ]
    headings = ("Id", "Question", "A right answer", "")
    more = len(found) - SHOWN_PROMPTS
    rest = f'<p class="ls-sub ls-gap">And {words.count(more)} more.</p>' if more > 0 else ""
    table = parts.table(headings, rows, "Prompts", "phone ls-suite-prompts", ("wrap", "wrap", "wrap", "ls-right"))
    head = f'<div class="ls-row ls-table-head"><h2>{words.plural(len(found), "prompt")}</h2></div>'
    return f'<section class="ls-card flush">{head}{table}{rest}</section>'


def _asked(prompt: SuitePrompt) -> str:
    first = prompt.messages[0]
    system = f'<div class="ls-sub">System: {parts.text(_cut(first.content))}</div>' if first.role == "system" else ""
    turns = sum(message.role == "user" for message in prompt.messages)
    before = f'<div class="ls-sub">{words.plural(turns - 1, "turn")} before</div>' if turns > 1 else ""
    return f"{parts.text(_cut(prompt.question))}{system}{before}"


def in_words(prompt: SuitePrompt) -> str:
    """What is checked, one line for each check."""
    said = [check_in_words(check) for check in prompt.checks]
    if prompt.expected is not None:
        is_it = "is" if prompt.applied == [{"kind": "exact"}] else "such as"
        said.append(f"{is_it} “{_cut(prompt.expected)}”")
    return "".join(f"<div>{parts.text(line)}</div>" for line in said) or '<span class="ls-muted">not judged</span>'


def check_in_words(check: Check) -> str:
    match check:
        case Contains():
            return f"contains “{_cut(check.text)}”"
        case ContainsNot():
            return f"does not contain “{_cut(check.text)}”"
        case Matches():
            return f"matches {check.pattern}"
        case IsJson():
            return "is JSON by a schema" if check.wanted else "is valid JSON"
        case Length():
            limits = [f"at least {check.least}"] * (check.least is not None) + [f"at most {check.most}"] * (
                check.most is not None
            )
            return f"has {' and '.join(limits)} {check.unit}"
    return "is the expected answer" if check.normalised else "is exactly the expected answer"


def _buttons(place: int, prompt: SuitePrompt) -> str:
    name = f"prompt {prompt.id}"
    gone = action("Delete", "drop", str(place), confirm=f"Delete {name}?", quiet=True, label=f"Delete {name}")
    return action("Edit", "edit", str(place), label=f"Edit {name}") + gone


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + " …"
