"""How one run is drawn: its figures, curves, samples, settings and history."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from studio.line.order import WAITING as LINE
from studio.line.places import Place
from studio.pages import parts, words
from studio.pages.chart import curves, line
from studio.pages.copying import copy_button
from studio.pages.shell import head_html
from studio.records import LIVE, TERMINAL, Run, RunEvent, Status
from studio.transitions import RUNNER

NOTHING_KNOWN: Mapping[str, Any] = {}
LOG_FOLLOWS = "\n\nThe end of the log:\n"  # in the event of a failure (jobs/outcome.py)
LONGEST_SMOOTHING = 12  # points that the smooth curve looks back over, at most
WAITING = {
    Status.QUEUED: "Waits for a device",
    Status.STARTING: "Starting: the model and the data are being loaded",
    Status.PAUSING: "Saving what there is, then it stops",
    Status.PAUSED: "Paused. It goes on from its last checkpoint",
    Status.RETRY_WAIT: "Starts again by itself",
    Status.CANCELLING: "Being stopped",
}


def head(run: Run, base_model: str, dataset: str, config: str) -> str:
    version = f"version {run.dataset_version} of its data"
    crumb = (
        f'<a href="/runs">Runs</a> / <span class="ls-mono">{escape(run.id)}</span> · '
        f'<a href="/data?id={escape(run.dataset)}&amp;version={run.dataset_version}">{version}</a>'
    )
    return head_html(
        run.name, f"{base_model} on {dataset}, {config}", crumb_html=crumb, chip_html=parts.status_chip(run.state)
    )


def failure(run: Run, log_end: str) -> str:
    """What went wrong, what to do, the way there, and the last lines of the log."""
    if run.state is not Status.FAILED:
        return ""
    again = parts.button("Change and train again", f"/train?from={run.id}", small=True)
    lines = (
        f'<pre class="ls-log ls-log-end" tabindex="0" aria-label="Last lines of the log">{escape(log_end)}</pre>'
        if log_end.strip()
        else ""
    )
    return (
        parts.banner("bad", run.problem or "The training failed.", run.fix or "Look at the log for the reason.", again)
        + lines
    )


def held_up(run: Run) -> str:
    """Why it paused or waits though nobody asked for it, and what to do."""
    if run.state not in (Status.PAUSED, Status.RETRY_WAIT) or not run.problem:
        return ""
    return parts.banner("warn", run.problem, run.fix or "")


def unattended(run: Run, runner_alive: bool) -> str:
    """That nobody starts it, or writes down how far it is, while no runner is there."""
    if runner_alive or run.state not in (*LINE, *LIVE):
        return ""
    if run.state in LINE:
        return parts.banner("warn", f"It cannot start: {parts.NO_RUNNER}", parts.START_RUNNER)
    return parts.banner(
        "warn",
        f"What stands here may be old: {parts.NO_RUNNER}",
        f"A training that has begun goes on by itself. {parts.START_RUNNER}",
    )


def done(run: Run, adapter_id: str | None, kept_early: bool, gained: str = "") -> str:
    """The result, handed over."""
    if run.state is not Status.SUCCEEDED or adapter_id is None:
        return ""
    actions = parts.button("Compare with the base", f"/compare?a={adapter_id}", primary=True, small=True)
    actions += parts.button("Download adapter", f"/files/adapters/{adapter_id}", small=True, download=True)
    actions += parts.button("Details", f"/adapters?id={adapter_id}", small=True)
    if run.problem:  # it diverged, and the best until then was to be kept
        return parts.banner(
            "warn", f"{run.problem} The best adapter until then is kept.", f"{run.fix or ''} {gained}", actions
        )
    title = "Stopped early, and the adapter is kept." if kept_early else "The adapter is ready."
    return parts.banner("ok", title, gained, actions)


def gain(run: Run, objective: str = "answers", latest: Mapping[str, Any] = NOTHING_KNOWN) -> str:
    """What the held-out rows say of the adapter, in one sentence; "" where nothing was measured."""
    if not (run.heldout_loss and run.base_heldout_loss):
        return ""
    if objective == "preference" and latest.get("heldout_accuracy") is not None:
        right = f"{latest['heldout_accuracy']:.0%} of the held-out pairs"
        return f"Compared with the base, it has moved towards the chosen answer in {right}."
    if objective == "text":
        before, after = perplexity(run.base_heldout_loss), perplexity(run.heldout_loss)
        return f"Its perplexity on held-out documents is {after}, and the base's was {before}."
    fallen = 1 - run.heldout_loss / run.base_heldout_loss
    way = "lower" if fallen >= 0 else "higher"
    return f"Its held-out loss is {run.heldout_loss:.3f}, {abs(fallen):.0%} {way} than the base's {run.base_heldout_loss:.3f}."


def figures(
    run: Run,
    latest: Mapping[str, Any],
    estimated_bytes: int | None,
    place: Place,
    now: datetime,
    objective: str = "answers",
) -> str:
    """The progress card: how far, how good, how fast, how much memory, how long still."""
    share = run.step / run.steps if run.steps else 0.0
    stats = (
        parts.stat("Step", words.count(run.step), _step_note(run, latest)),
        parts.stat("Training loss", words.loss(run.loss), _best(latest)),
        parts.stat(
            "Held-out loss",
            words.loss(run.heldout_loss),
            _beside_heldout(run, objective, latest),
        ),
        parts.stat(
            "Speed",
            words.count(latest.get("tokens_per_second") or 0) if latest.get("tokens_per_second") else "–",
            f"tokens per second, {latest['mfu']:.0%} of the device" if latest.get("mfu") else "tokens per second",
        ),
        parts.stat(
            "Memory",
            words.memory(latest["memory_bytes"]) if latest.get("memory_bytes") else "–",
            f"estimated {words.memory(estimated_bytes)}" if estimated_bytes else "peak",
        ),
        _time(run, place, now),
    )
    status = f'<p class="ls-sub" role="status">{escape(waits(run, place))}</p>' if run.state in WAITING else ""
    return f'<section class="ls-card ls-figures" aria-label="Progress">{parts.progress(share, "Progress")}{status}<div class="ls-grid ls-g6">{"".join(stats)}</div></section>'


def _beside_heldout(run: Run, objective: str, latest: Mapping[str, Any]) -> str:
    """What goes with the held-out loss: that of the base, and what the loss means where it can be said."""
    if run.base_heldout_loss is None or run.heldout_loss is None:
        return "not measured yet"
    if objective == "preference" and latest.get("heldout_accuracy") is not None:
        return f"{latest['heldout_accuracy']:.0%} of pairs right"
    if objective == "text":
        return f"perplexity {perplexity(run.heldout_loss)}, base {perplexity(run.base_heldout_loss)}"
    return f"base {words.loss(run.base_heldout_loss)}"


def perplexity(loss: float) -> str:
    """exp(loss): among how many equally likely tokens the model is left to guess."""
    return words.figure(math.exp(min(loss, 50)))


def waits(run: Run, place: Place) -> str:
    if run.state in LINE and (said := stands(place)):
        return f"{WAITING[run.state]}: {said}."
    return WAITING.get(run.state, "") + "."


def stands(place: Place) -> str:
    """Where it stands in the line and about when it starts, or what it is passed over for; "" where it stands in none."""
    if place.number is None:
        return ""
    return place.blocked.rstrip(".") or words.in_line(place.number, place.seconds)


def _step_note(run: Run, latest: Mapping[str, Any]) -> str:
    total = f"of {words.count(run.steps)}" if run.steps else "of how many is not known yet"
    return total + (f", epoch {latest['epoch']:.2f}" if latest.get("epoch") else "")


def _best(latest: Mapping[str, Any]) -> str:
    best = latest.get("best_loss")
    return f"best {words.loss(best)}" if best is not None else "smoothed"


def _time(run: Run, place: Place, now: datetime) -> str:
    if run.state in TERMINAL:
        took = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
        return parts.stat("Time", words.duration(took), f"ended {words.ago(run.ended_at, now)}")
    if run.state in LINE:
        starts = "start not known yet" if place.seconds is None else f"starts in about {words.duration(place.seconds)}"
        return parts.stat("In line", words.nth(place.number) if place.number else "–", starts)
    if run.state in LIVE and run.seconds_left is not None:
        ends = (now + timedelta(seconds=run.seconds_left)).astimezone()
        return parts.stat("Time left", words.duration(run.seconds_left), f"ends about {ends:%H:%M}")
    return parts.stat("Time left", "–")


def smoothed(values: Sequence[float]) -> list[float]:
    """Exponential moving average over a tenth of the points, without the pull towards 0 at its start (bias-corrected as in Adam)."""
    weight = 1 - 1 / min(max(len(values) / 10, 2), LONGEST_SMOOTHING)
    average, curve = 0.0, []
    for count, value in enumerate(values, 1):
        average = weight * average + (1 - weight) * value
        curve.append(average / (1 - weight**count))
    return curve


Series = Mapping[str, Mapping[str, list]]
NOTHING = {"x": [], "y": []}


def loss_chart(series: Series) -> str:
    loss, held = series.get("loss", NOTHING), series.get("heldout_loss", NOTHING)
    raw = line("each step", loss["x"], loss["y"], opacity=0.35, width=1)
    return curves(
        "Loss",
        [
            raw,
            line("smoothed", raw["x"], smoothed(raw["y"])),
            line("held-out", held["x"], held["y"], color=2, dots=True),
        ],
    )


def rate_chart(series: Series) -> str:
    rate = series.get("learning_rate", NOTHING)
    return curves("Learning rate", [line("learning rate", rate["x"], rate["y"], color=3)], digits="e", zero=True)


def speed_chart(series: Series) -> str:
    speed = series.get("tokens_per_second", NOTHING)
    return curves("Tokens per second", [line("tokens/s", speed["x"], speed["y"], color=2)], digits=0, zero=True)


def accuracy_chart(series: Series) -> str:
    """Share of pairs in which the chosen answer is preferred; at step 0 half, for the base is compared with itself."""
    found, held = series.get("accuracy", NOTHING), series.get("heldout_accuracy", NOTHING)
    raw = line("each step", found["x"], found["y"], opacity=0.35, width=1)
    smooth = line("smoothed", raw["x"], smoothed(raw["y"]))
    return curves("Pairs right", [raw, smooth, line("held-out", held["x"], held["y"], color=2, dots=True)], zero=True)


def margin_chart(series: Series) -> str:
    """By how much the reward of the chosen answer is above that of the rejected one."""
    found, held = series.get("margin", NOTHING), series.get("heldout_margin", NOTHING)
    raw = line("each step", found["x"], found["y"], opacity=0.35, width=1)
    smooth = line("smoothed", raw["x"], smoothed(raw["y"]))
    return curves("Margin", [raw, smooth, line("held-out", held["x"], held["y"], color=2, dots=True)])


def _legend(title: str) -> str:
    return (
        f'<h2 class="ls-h2">{title}</h2><div class="ls-key"><span style="--c:var(--ls-s1)">smoothed</span>'
        '<span style="--c:var(--ls-s2)">held-out</span></div>'
    )


ACCURACY_LEGEND = _legend("Pairs in which the chosen answer is preferred")
MARGIN_LEGEND = _legend("Margin between chosen and rejected")
LEGEND = (
    '<h2 class="ls-h2">Loss</h2><div class="ls-key"><span style="--c:color-mix(in srgb, var(--ls-s1) 35%, var(--ls-card))">each step</span>'
    '<span style="--c:var(--ls-s1)">smoothed</span><span style="--c:var(--ls-s2)">held-out (step 0 is the base)</span></div>'
)


def log(text: str) -> str:
    return f'<pre class="ls-log" tabindex="0" aria-label="Log">{escape(text) or "Nothing has been written yet."}</pre>'


def samples(found: Iterable[Mapping[str, Any]], objective: str = "answers") -> str:
    """Each pinned prompt with the base's answer (step 0) and the later ones below it."""
    how = '<p class="ls-sub ls-gap-below">The words in bold are gone on with.</p>' if objective == "text" else ""
    prompts: dict[str, list[Mapping[str, Any]]] = {}
    for sample in found:
        prompts.setdefault(str(sample["prompt"]), []).append(sample)
    if not prompts:
        return '<p class="ls-sub">At each evaluation the pinned prompts are answered. The first answers, the base\'s own, come before the first step.</p>'
    return parts.card(
        how
        + "".join(_sampled(prompt, sorted(answers, key=lambda one: one["step"])) for prompt, answers in prompts.items())
    )


def _sampled(prompt: str, answers: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<dt{' class=base' if answer['step'] == 0 else ''}>{'Base' if answer['step'] == 0 else 'Step ' + words.count(answer['step'])}</dt>"
        f"<dd>{parts.text(answer['answer']) or '(an empty answer)'}</dd>"
        for answer in answers
    )
    return f'<section class="ls-sample"><h3>{parts.text(prompt)}</h3><dl>{rows}</dl></section>'


def history(events: Iterable[RunEvent]) -> str:
    """What happened to the run, newest first."""
    rows = [_happened(event) for event in events][::-1]
    return (
        parts.card(f'<ol class="ls-events">{"".join(rows)}</ol>')
        if rows
        else '<p class="ls-sub">Nothing has happened yet.</p>'
    )


def _happened(event: RunEvent) -> str:
    moved = parts.status_chip(event.to_state) if event.from_state != event.to_state else ""
    said, _, log_end = (event.text or f"{parts.STATUS_WORDS[Status(event.to_state)][0]}.").partition(LOG_FOLLOWS)
    who = (
        ""
        if event.by == RUNNER
        else f' <span class="ls-muted">by {"you" if event.by == "local" else escape(event.by)}</span>'
    )
    when = f'<time class="ls-mono ls-muted" datetime="{event.at.isoformat()}">{event.at.astimezone():%d %b %H:%M:%S}</time>'
    return f"<li>{when}<span>{escape(said)}{who}</span>{moved}{_folded(log_end)}</li>"


def _folded(log_end: str) -> str:
    """The end of the log as it was then, out of the way until somebody wants to read it."""
    if not log_end.strip():
        return ""
    lines = f'<pre class="ls-log ls-log-end" tabindex="0" aria-label="The end of the log then">{escape(log_end)}</pre>'
    return f"<details><summary>The end of its log</summary>{lines}</details>"


COPY_LINK = copy_button("", "Copy link", small=False)
