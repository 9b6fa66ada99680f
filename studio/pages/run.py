"""Run: one training, from the queue to its adapter; live without a reload and true after one, in any number of tabs."""

from typing import Any

import gradio as gr

from studio import checkpoints, metrics, runs
from studio.doctor import reading as doctor
from studio.errors import NotFound
from studio.files import read_json
from studio.line import steering
from studio.line.order import WAITING
from studio.line.places import place_of
from studio.pages import doctor_view, method_words, parts, run_view, settings_view, verdict_view
from studio.pages.chart import chart
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.pages.suites.forgotten import forgotten, of_run
from studio.records import OPEN, TERMINAL, Run, Status, Want, utc_now
from studio.resolved_plan import ResolvedPlan
from studio.studio import Studio
from studio.training_settings import Resources
from studio.verdict.reading import step_to_take, verdict_of
from studio.verdict.step_adapters import adapter_of_step

REFRESH_SECONDS = 2
LOG_BYTES = 40_000  # of the end of the log; the whole of it is in the API
LOG_END = 8  # lines of the log that stand with a failure
FOLLOW = """
const follow = () => { const log = element.querySelector('pre'); if (log && !element.away) log.scrollTop = log.scrollHeight; };
element.addEventListener('scroll', (event) => {
  const log = event.target;
  element.away = log.scrollHeight - log.scrollTop - log.clientHeight > 40;
}, true);
follow();
watch('value', () => requestAnimationFrame(follow));
"""
CURVES = ("loss", "heldout_loss", "learning_rate", "tokens_per_second")
OF_PREFERENCES = ("accuracy", "heldout_accuracy", "margin", "heldout_margin")
ASK = {
    "cancel": ("Cancel this run? Nothing of it is kept.", "Cancel the run"),
    "over": (
        "Start over from the first step? What its checkpoints hold is given up.",
        "Start over",
    ),
    "delete": (
        "Delete this run with its log, curves and checkpoints? An adapter that it made stays.",
        "Delete the run",
    ),
}


def build(studio: Studio) -> None:
    page = _parts()
    forgotten(studio, of_run)
    actions, asking, naming, ranking = _actions(), _question(), _naming(), _ranking()
    preferences = _curves(page)
    page |= _tabs()
    goes_to = gr.Textbox("", visible=False)
    seen = gr.Textbox("", visible=False)  # what is drawn, so that a tick without news changes nothing
    timer = gr.Timer(REFRESH_SECONDS, active=False)
    outputs = [*page.values(), *actions.values(), preferences, seen, timer]

    def look(id: str, before: str = "") -> Any:
        """Everything that is drawn of the run, or nothing when it is drawn already."""
        try:
            run = runs.get_run(studio, id)
        except NotFound:
            return {page["head"]: missing(), timer: gr.Timer(active=False)}
        mark = mark_of(studio, run)
        if mark == before:
            return gr.skip()
        drawn = {page[name]: gr.update(value=html, visible=bool(html)) for name, html in draw(studio, run).items()}
        lost = checkpoints.are_lost(studio, run)
        offered = {actions[name]: gr.update(visible=visible) for name, visible in offers(run, lost).items()}
        step = step_to_take(studio, run.id)
        offered[actions["take"]] = gr.update(visible=step is not None, value=f"Make an adapter of step {step}")
        shown = {preferences: gr.update(visible=learns_preferences(studio, run))}
        return {**drawn, **offered, **shown, seen: mark, timer: gr.Timer(active=run.state in OPEN)}

    def opened(request: gr.Request):
        return look(request.query_params.get("id", ""))

    def tick(before: str, request: gr.Request):
        return look(request.query_params.get("id", ""), before)

    def act(change):
        def changed(request: gr.Request):
            id = request.query_params.get("id", "")
            change(studio, id)
            return look(id)

        return plainly(changed)

    def take(request: gr.Request):
        id = request.query_params.get("id", "")
        return f"/adapters?id={adapter_of_step(studio, id, step_to_take(studio, id) or 0).id}"

    on_load(plainly(opened), outputs)
    timer.tick(plainly(tick), seen, outputs, **QUICK)
    actions["stop"].click(act(runs.stop_run), None, outputs, **QUICK)
    actions["pause"].click(act(runs.pause_run), None, outputs, **QUICK)
    actions["take"].click(plainly(take), None, goes_to, **QUICK).success(None, goes_to, None, js=GO, **QUICK)
    actions["resume"].click(act(runs.resume_run), None, outputs, **QUICK)
    actions["first"].click(act(steering.move_first), None, outputs, **QUICK)
    actions["again"].click(
        None,
        js="() => { location.href = '/train?from=' + encodeURIComponent(new URLSearchParams(location.search).get('id')); }",
        **QUICK,
    )
    actions["link"].click(None, None, actions["link"], js=COPY_LINK, **QUICK)
    _confirmed(studio, actions, asking, outputs, look)
    _renamed(studio, actions["rename"], naming, outputs, look)
    _given_priority(studio, actions["priority"], ranking, outputs, look)


COPY_LINK = """async () => {
  try { await navigator.clipboard.writeText(location.href); return 'Copied'; }
  catch (error) { return 'Copy it from the address bar'; }
}"""


def _parts() -> dict[str, gr.HTML]:
    """What is above the actions."""
    return {
        "head": plain(head_html("Run", "…")),
        "news": plain(visible=False),
        "verdict": plain(visible=False),
        "doctor": plain(visible=False),
        "figures": plain('<div class="ls-skeleton" style="height:128px" aria-busy="true"></div>'),
    }


def _tabs() -> dict[str, gr.HTML]:
    """What stands below the curves."""
    with gr.Tabs():
        with gr.Tab("Log"):
            log = gr.HTML(elem_classes=["ls-plain"], js_on_load=FOLLOW, apply_default_css=False)
        with gr.Tab("Samples"):
            samples = plain()
        with gr.Tab("Settings used"):
            settings = plain()
        with gr.Tab("History"):
            history = plain()
    return {"log": log, "samples": samples, "settings": settings, "history": history}


def _actions() -> dict[str, gr.Button]:
    with gr.Row(elem_classes=["ls-act", "ls-run-act"]):
        return {
            "stop": gr.Button("Stop and keep the adapter", variant="stop", visible=False, scale=0, min_width=230),
            "pause": gr.Button("Pause", visible=False, scale=0, min_width=100),
            "resume": gr.Button("Resume", variant="primary", visible=False, scale=0, min_width=110),
            "first": gr.Button("First of my runs", visible=False, scale=0, min_width=150),
            "priority": gr.Button("Priority…", visible=False, scale=0, min_width=110),
            "over": gr.Button("Start over…", visible=False, scale=0, min_width=130),
            "cancel": gr.Button("Cancel…", visible=False, scale=0, min_width=110),
            "take": gr.Button("Make an adapter", variant="primary", visible=False, scale=0, min_width=270),
            "again": gr.Button("Clone", visible=False, scale=0, min_width=100),
            "rename": gr.Button("Rename", visible=False, scale=0, min_width=110),
            "delete": gr.Button("Delete…", visible=False, scale=0, min_width=110),
            "link": gr.Button("Copy link", visible=False, scale=0, min_width=120),
        }


def _question() -> dict[str, Any]:
    """The question before what cannot be undone."""
    with gr.Row(visible=False, elem_classes=["ls-ask"]) as box:
        words = plain()
        yes = gr.Button("Yes", variant="stop", size="sm", scale=0, min_width=150)
        no = gr.Button("No, leave it", size="sm", scale=0, min_width=130)
    return {"box": box, "words": words, "yes": yes, "no": no, "what": gr.Textbox("", visible=False)}


def _naming() -> dict[str, Any]:
    """Where another name is typed."""
    with gr.Row(visible=False, elem_classes=["ls-ask"]) as box:
        name = gr.Textbox(label="New name of the run", max_length=100, max_lines=1, scale=4, interactive=True)
        save = gr.Button("Save the name", variant="primary", size="sm", scale=0, min_width=130)
    return {"box": box, "name": name, "save": save}


def _ranking() -> dict[str, Any]:
    """Where another priority is chosen."""
    with gr.Row(visible=False, elem_classes=["ls-ask"]) as box:
        about = Resources.model_fields["priority"]
        priority = gr.Slider(-10, 10, 0, step=1, label=about.title, info=about.description, scale=4, interactive=True)
        save = gr.Button("Save the priority", variant="primary", size="sm", scale=0, min_width=150)
    return {"box": box, "priority": priority, "save": save}


def _curves(page: dict[str, gr.HTML]) -> gr.Row:
    """Places for the curves. Returns the row of those that only preference pairs have."""
    with gr.Column(elem_classes=["ls-sec", "ls-curve"]):
        plain(run_view.LEGEND)
        page["loss"] = chart()
    with gr.Row(elem_classes=["ls-two"], visible=False) as preferences:
        with gr.Column(elem_classes=["ls-sec", "ls-curve"]):
            plain(run_view.ACCURACY_LEGEND)
            page["accuracy"] = chart()
        with gr.Column(elem_classes=["ls-sec", "ls-curve"]):
            plain(run_view.MARGIN_LEGEND)
            page["margin"] = chart()
    with gr.Row(elem_classes=["ls-two"]):
        with gr.Column(elem_classes=["ls-sec", "ls-curve"]):
            plain('<h2 class="ls-h2">Learning rate</h2>')
            page["rate"] = chart()
        with gr.Column(elem_classes=["ls-sec", "ls-curve"]):
            plain('<h2 class="ls-h2">Tokens per second</h2>')
            page["speed"] = chart()
    return preferences


def _confirmed(studio: Studio, actions: dict[str, gr.Button], asking: dict[str, Any], outputs: list, look) -> None:
    """Cancel, start over and delete, each behind its question."""
    box = [asking["box"], asking["words"], asking["yes"], asking["what"]]

    def ask(what: str):
        question, yes = ASK[what]
        return lambda: (gr.update(visible=True), parts.banner("warn", question), yes, what)

    def sure(what: str, request: gr.Request):
        id = request.query_params.get("id", "")
        if what == "delete":
            runs.delete_run(studio, id)
        elif what == "cancel":
            runs.cancel_run(studio, id)
        elif what == "over":
            runs.resume_run(studio, id, start_over=True)
        return {**look(id), asking["box"]: gr.update(visible=False)}

    for what in ASK:
        actions[what].click(ask(what), None, box, **QUICK)
    asking["no"].click(lambda: gr.update(visible=False), None, asking["box"], **QUICK)
    asking["yes"].click(plainly(sure), asking["what"], [*outputs, asking["box"]], **QUICK)


def _renamed(studio: Studio, rename: gr.Button, naming: dict[str, Any], outputs: list, look) -> None:
    """The adapter that the run has made keeps its own name."""
    box, name = naming["box"], naming["name"]

    def begin(request: gr.Request):
        return gr.update(visible=True), runs.get_run(studio, request.query_params.get("id", "")).name

    def given(wanted: str, request: gr.Request):
        id = request.query_params.get("id", "")
        runs.rename_run(studio, id, wanted)
        return {**look(id), box: gr.update(visible=False)}

    rename.click(plainly(begin), None, [box, name], **QUICK)
    gr.on([naming["save"].click, name.submit], plainly(given), name, [*outputs, box], **QUICK)


def _given_priority(studio: Studio, button: gr.Button, ranking: dict[str, Any], outputs: list, look) -> None:
    """Of a run that waits."""
    box, priority = ranking["box"], ranking["priority"]

    def begin(request: gr.Request):
        return gr.update(visible=True), runs.get_run(studio, request.query_params.get("id", "")).priority

    def given(wanted: float, request: gr.Request):
        id = request.query_params.get("id", "")
        steering.set_priority(studio, id, int(wanted))
        return {**look(id), box: gr.update(visible=False)}

    button.click(plainly(begin), None, [box, priority], **QUICK)
    ranking["save"].click(plainly(given), priority, [*outputs, box], **QUICK)


def missing() -> str:
    crumb = '<a href="/runs">Runs</a> / not found'
    return head_html("Run", crumb_html=crumb) + parts.empty(
        "runs", "There is no such run", "It may have been deleted.", parts.button("All runs", "/runs")
    )


def mark_of(studio: Studio, run: Run) -> str:
    """Changes whenever something that is drawn of the run has changed."""
    place = run_view.stands(place_of(studio, run.id)) if run.state in WAITING else ""
    _, written = metrics.log(studio, run.id, -1)
    there = runs.runner_alive(studio)
    return f"{there}|{run.state}|{run.epoch}|{run.step}|{run.heldout_loss}|{run.name}|{place}|{written}|{len(runs.events(studio, run.id))}"


def offers(run: Run, lost_checkpoints: bool = False) -> dict[str, bool]:
    """Which actions there are in its state."""
    training = run.state in (Status.STARTING, Status.RUNNING)
    return {
        "stop": training,
        "pause": training or run.state in (Status.QUEUED, Status.RETRY_WAIT),
        "resume": run.state is Status.PAUSED,
        "first": run.state in WAITING,
        "priority": run.state in WAITING,
        "over": lost_checkpoints,
        "cancel": run.state in OPEN and run.state is not Status.CANCELLING,
        "again": True,
        "rename": True,
        "delete": run.state in TERMINAL,
        "link": True,
    }


def draw(studio: Studio, run: Run) -> dict[str, str]:
    """Every part of the page, by name."""
    shown, latest = runs.shown(studio, run), metrics.latest(studio, run.id)
    plan, values = runs.plan_of(studio, run.id), read_json(studio.data.run(run.id).resolved)
    resolved = ResolvedPlan.model_validate(values) if values else None
    objective = resolved.objective if resolved else "answers"
    series = metrics.series(studio, run.id, CURVES + OF_PREFERENCES)
    log, _ = metrics.log(studio, run.id, -LOG_BYTES)
    config, verdict = method_words.with_sizes(plan.method), verdict_of(studio, run.id)
    gained = "" if verdict else run_view.gain(run, objective, latest)
    return {
        "head": run_view.head(run, shown["base_model_name"], shown["dataset_name"], config),
        "news": run_view.failure(run, "\n".join(log.splitlines()[-LOG_END:]))
        + run_view.held_up(run)
        + run_view.unattended(run, runs.runner_alive(studio))
        + run_view.done(run, shown["adapter"], run.want is Want.STOP, gained),
        "verdict": verdict_view.card(verdict),
        "doctor": doctor_view.findings(
            doctor.findings(studio, run), run.id, running=run.state in OPEN, verdict=(verdict or {}).get("word")
        ),
        "figures": run_view.figures(
            run, latest, estimated_bytes(studio, run.id), place_of(studio, run.id), utc_now(), objective
        ),
        "loss": run_view.loss_chart(series),
        "accuracy": run_view.accuracy_chart(series),
        "margin": run_view.margin_chart(series),
        "rate": run_view.rate_chart(series),
        "speed": run_view.speed_chart(series),
        "log": run_view.log(log),
        "samples": run_view.samples(metrics.samples(studio, run.id), objective),
        "settings": settings_view.used(plan, resolved),
        "history": run_view.history(runs.events(studio, run.id)),
    }


def learns_preferences(studio: Studio, run: Run) -> bool:
    values = read_json(studio.data.run(run.id).resolved)
    return bool(values) and values.get("objective") == "preference"


def estimated_bytes(studio: Studio, id: str) -> int | None:
    """The memory that the plan was expected to take when it was queued."""
    estimate = read_json(studio.data.run(id).estimate)
    return sum(estimate["memory"].values()) if estimate else None


PAGE = Page(title="Run", path="run", build=build, icon="runs", in_navigation=False, within="runs")
