"""How the list of runs is drawn: a table on a desk, cards on a phone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Any

from studio.pages import method_words, parts, verdict_view, words
from studio.records import LIVE, Status

# What a person filters by, and the states behind each word.
FILTERS: dict[str, tuple[Status, ...]] = {
    "Running": LIVE,
    "Queued": (Status.QUEUED, Status.RETRY_WAIT),
    "Paused": (Status.PAUSED,),
    "Done": (Status.SUCCEEDED,),
    "Failed": (Status.FAILED,),
    "Stopped": (Status.CANCELLED,),
}
SORTS = {"Newest first": "newest", "Oldest first": "oldest", "Name": "name", "Lowest loss": "loss", "State": "state"}
WORTH_A_CHIP = ("no change", "worse", "overfitted")
Shown = Mapping[str, Any]  # a run as runs.shown_all gives it
HEADINGS = ("Run", "Status", "Model and data", "Method", "Loss", "Last", "Held-out", "Steps", "Started")
CELLS = ("wrap", "", "wrap", "", "", "ls-right ls-num", "ls-right ls-num", "", "ls-muted")


def table(found: Iterable[Shown], now: datetime | None = None) -> str:
    return parts.table(HEADINGS, [_cells(run, now) for run in found], "Runs", "phone ls-runs", CELLS)


def _cells(run: Shown, now: datetime | None) -> tuple[str, ...]:
    return (
        f'<a href="/run?id={escape(run["id"])}">{parts.text(run["name"])}</a><div class="ls-mono ls-muted">{escape(run["id"])}</div>',
        parts.status_chip(run["state"]) + judged(run.get("verdict")),
        f'{parts.text(run["base_model_name"])}<div class="ls-muted">{parts.text(run["dataset_name"])}</div>',
        parts.text(method_words.short(run["method"], run["rank"])),
        parts.sparkline(run["sparkline"], f"Loss of {run['name']}"),
        words.loss(run["loss"]),
        heldout(run["heldout_loss"], run["base_heldout_loss"]),
        steps(run),
        started(run, now),
    )


def judged(verdict: str | None) -> str:
    """The verdict below the state, where it is not the one that everybody hopes for."""
    return f'<div class="ls-judged-chip">{verdict_view.chip(verdict)}</div>' if verdict in WORTH_A_CHIP else ""


def heldout(loss: float | None, base: float | None) -> str:
    """The held-out loss, and below it where the base began."""
    if loss is None:
        return "–"
    return words.loss(loss) + (f'<div class="ls-muted">base {words.loss(base)}</div>' if base is not None else "")


def steps(run: Shown) -> str:
    """How far it is: a bar while it is under way, then the numbers alone."""
    if run["queue_position"] and not run["step"]:
        place = (
            "passed over" if run["waits_because"] else words.in_line(run["queue_position"], run["starts_in_seconds"])
        )
        return f'<span class="ls-muted" title="{escape(run["waits_because"])}">{place}</span>'
    said = f"{words.count(run['step'])} / {words.count(run['steps'])}" if run["steps"] else "–"
    if run["state"] not in LIVE:
        return f'<span class="ls-muted ls-num">{said}</span>'
    left = f" · {words.duration(run['seconds_left'])} left" if run["seconds_left"] is not None else ""
    return (
        parts.progress(run["progress"], f"Progress of {run['name']}")
        + f'<span class="ls-muted ls-num">{said}{left}</span>'
    )


def started(run: Shown, now: datetime | None = None) -> str:
    return words.ago(datetime.fromisoformat(run["started_at"]), now) if run["started_at"] else "–"


def nothing(filtered: bool) -> str:
    """What stands there without a row: no match, or nothing trained yet."""
    if filtered:
        return parts.empty(
            "search",
            "No run matches",
            "Search for another word, or show all runs.",
            parts.button("Show all runs", "/runs"),
        )
    return parts.empty(
        "runs",
        "Nothing trained yet",
        "A run takes a base model and your data, and makes an adapter of them.",
        parts.button("Train an adapter", "/train", primary=True),
    )
