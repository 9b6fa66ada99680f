"""How Home is drawn: from runs as runs.shown_all gives them, and from counts."""

from collections.abc import Iterable
from typing import Any

from studio.overview import Counts
from studio.pages import parts, words

Shown = dict[str, Any]


def live_card(run: Shown, speed: float | None) -> str:
    """A run that holds a device. `speed` is in tokens per second."""
    name = f'<a class="ls-name" href="/run?id={run["id"]}">{parts.text(run["name"])}</a>'
    at = f"step {words.count(run['step'])} of {words.count(run['steps'])}" if run["steps"] else "getting ready"
    figures = (
        parts.stat("Loss", words.loss(run["loss"])),
        parts.stat("Tokens a second", words.count(speed) if speed else "–"),
        parts.stat("Time left", words.duration(run["seconds_left"])),
    )
    return parts.card(
        f'<div class="ls-row">{name}{parts.status_chip(run["state"])}<span class="ls-sub ls-num end">{at}</span></div>'
        f'<div class="ls-live-bar">{parts.progress(run["progress"], "Progress of " + run["name"])}</div>'
        f'<div class="ls-live">{"".join(figures)}{parts.sparkline(run["sparkline"])}</div>'
    )


def live_cards(runs: list[Shown], speeds: dict[str, float | None]) -> str:
    cards = [live_card(run, speeds.get(run["id"])) for run in runs]
    return parts.grid(cards, min(len(cards), 2)) if cards else ""


def attention(failed: list[Shown], waiting: int, runner_alive: bool, troubles: Iterable[str] = ()) -> str:
    """What a person should look at: no runner, devices that others fill, and runs that failed."""
    found = [parts.banner("warn", trouble) for trouble in troubles]
    if not runner_alive and waiting:
        found.append(
            parts.banner(
                "warn",
                f"{words.plural(waiting, 'run')} cannot start: {parts.NO_RUNNER}",
                parts.START_RUNNER,
            )
        )
    for run in failed:
        actions = parts.button("See what happened", f"/run?id={run['id']}", small=True)
        actions += parts.button("Change and train again", f"/train?from={run['id']}", small=True)
        found.append(parts.banner("bad", f"{run['name']} failed. {run['problem'] or ''}", run["fix"] or "", actions))
    return "".join(found)


def recent(runs: list[Shown]) -> str:
    """The newest runs as a table."""
    rows = [
        (
            f'<a href="/run?id={run["id"]}">{parts.text(run["name"])}</a>'
            f'<div class="ls-sub">{parts.text(run["base_model_name"])} · {parts.text(run["dataset_name"])}</div>',
            parts.status_chip(run["state"]),
            parts.sparkline(run["sparkline"]),
            f'<span class="ls-muted">{_held_out(run)}</span>',
        )
        for run in runs
    ]
    heading = '<div class="ls-row ls-table-head"><h2>Recent runs</h2><a class="ls-link ls-sub end" href="/runs">All runs</a></div>'
    table = parts.table(("Run", "State", "Loss", "Held-out loss"), rows, "Recent runs", "phone ls-recent", ("wrap",))
    return f'<section class="ls-card flush">{heading}{table}</section>'


def _held_out(run: Shown) -> str:
    """ "2.31 → 0.79": before training and now."""
    if run["heldout_loss"] is None:
        return "–"
    if run["base_heldout_loss"] is None:
        return words.loss(run["heldout_loss"])
    return f"{words.loss(run['base_heldout_loss'])} → {words.loss(run['heldout_loss'])}"


def steps(counts: Counts, large: bool = False) -> str:
    """From idea to adapter. The first step that is still to do is the one that is offered."""
    own = f", {counts.own_datasets} of your own" if counts.own_datasets else ""
    each = (
        ("Choose a base model", f"{words.count(counts.models)} on this machine", "/models", counts.models > 0),
        (
            "Add your examples",
            f"{words.plural(counts.datasets, 'data set')} here{own}",
            "/data",
            counts.own_datasets > 0,
        ),
        ("Train an adapter", _trained(counts), "/train", counts.trained > 0),
        ("Compare with the base", "Same question, side by side", "/compare", False),
    )
    listed = "".join(
        f'<li><a href="{href}"><span class="n{" done" * done}">{parts.icon("check") if done else number}</span>'
        f'<span><b>{title}</b><span class="ls-sub">{note}</span></span></a></li>'
        for number, (title, note, href, done) in enumerate(each, 1)
    )
    begin = f'<div class="ls-row ls-begin">{_begin(counts)}</div>' if large else ""
    return parts.card(
        f'<ol class="ls-steps{" large" * large}">{listed}</ol>{begin}',
        "From idea to adapter",
        "Four steps; each keeps its place if you leave.",
    )


def _trained(counts: Counts) -> str:
    return f"{words.plural(counts.trained, 'run')} done" if counts.trained else "See memory and time before you start"


def _begin(counts: Counts) -> str:
    if not counts.models:
        return parts.button("Choose a base model", "/models", primary=True)
    return parts.button("Train your first adapter", "/train", primary=True) + parts.button(
        "Add your own examples", "/data"
    )


def headline(live: int, waiting: int, failed: int) -> str:
    """What goes on, as one line."""
    said = []
    if live:
        said.append(f"{words.plural(live, 'run')} training now.")
    if waiting:
        said.append(f"{words.count(waiting)} waiting.")
    if failed:
        said.append("One needs your attention." if failed == 1 else f"{words.count(failed)} need your attention.")
    return " ".join(said) or "Teach a model something of your own, and see the difference."
