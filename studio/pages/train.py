"""Train: choose a model, data and a recipe, see what it will cost, and start."""

import hashlib
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import base_models, datasets, plan_changes, runs
from studio.errors import NotFound, StudioError
from studio.folders import new_id
from studio.listing import MOST
from studio.memory import estimate
from studio.overview import open_runs
from studio.pages import train_form, words
from studio.pages import train_view as view
from studio.pages.data_detail import usable_models
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.pages.page import Page
from studio.pages.recipes import RECIPES
from studio.pages.shell import head
from studio.plan import DEFAULT_METHOD, read_plan
from studio.studio import Studio
from studio.versions import lineage

# Keeps the choice in the address, so that a reload and a copied link show the same.
REMEMBER = """(model, data, version) => {
  const to = new URL(location);
  to.searchParams.set('model', model || '');
  to.searchParams.set('data', data || '');
  if (version) to.searchParams.set('version', version); else to.searchParams.delete('version');
  history.replaceState(null, '', to);
}"""


@dataclass
class Side:
    """The right column: what the plan will cost, and the start."""

    cost: gr.HTML
    start: gr.Button
    queue: gr.HTML
    changed: gr.HTML
    """What is otherwise than in the run that this one is made from."""


def layout() -> tuple[train_form.PlanForm, Side]:
    head("New training run", "Sensible defaults for everything. Change only what you care about.")
    changed = plain(visible=False)
    with gr.Row(elem_classes=["ls-split"]):
        with gr.Column(scale=5, min_width=320):
            form = train_form.layout()
        with gr.Column(scale=2, min_width=300, elem_classes=["ls-sticky"]):
            cost = plain(view.waiting(), min_height=120)
            with gr.Column(elem_classes=["ls-sec"]):
                named = "after the data and the base"
                form.name = gr.Textbox(label="Name", max_lines=1, max_length=100, placeholder=named, interactive=True)
            start = gr.Button("Choose a model and data", variant="primary", size="lg", interactive=False)
            queue = plain()
    return form, Side(cost, start, queue, changed)


def build(studio: Studio) -> None:
    form, side = layout()
    visit = gr.Textbox(visible=False)  # a number of this visit: pressing Start twice makes one run
    goes_to = gr.Textbox(visible=False)
    shown = [side.cost, side.start, form.folded, form.recipe, form.model, form.data]

    def open_it(request: gr.Request):
        return opened(studio, form, request.query_params)

    def refresh(*given):
        return judged(studio, form, given)

    def new_model(*given):
        return for_model(studio, form, given)

    def follow(recipe: str, *given):
        values = train_form.recipe_values(next(one for one in RECIPES if one.title == recipe), given[2])
        updates = dict(zip(form.components, form.updates(values, targets_of(studio, given[0])), strict=True))
        return [gr.skip() if key in form.beside_recipes else update for key, update in updates.items()]

    def other_data(dataset: str):
        return versions_of(studio, dataset, None)

    def begin(visit: str, request: gr.Request, *given):
        plan = read_plan(form.values(given, targets_of(studio, given[0])))
        key = hashlib.sha256(f"{visit}\0{plan.model_dump_json()}".encode()).hexdigest()
        run = runs.queue_run(studio, plan, idempotency_key=key, parent=parent_of(studio, request))
        return f"/run?id={run.id}"

    opened_with = [*form.inputs, visit, side.queue, side.changed]
    opening = on_load(open_it, opened_with)
    opening.then(refresh, form.inputs, shown, **SLOW)
    choices = [form.model.input, form.version.input]
    busy = gr.on([form.model.input], new_model, form.inputs, [form.model, *form.components.values()], **QUICK)
    busy.then(view.counting, None, side.cost, **QUICK).then(refresh, form.inputs, shown, **SLOW)
    other = form.data.input(other_data, form.data, form.version, **QUICK).then(view.counting, None, side.cost, **QUICK)
    other.then(refresh, form.inputs, shown, **SLOW)
    other.then(None, [form.model, form.data, form.version], None, js=REMEMBER, api_visibility="private")
    form.version.input(view.counting, None, side.cost, **QUICK).then(refresh, form.inputs, shown, **SLOW)
    gr.on(choices, None, [form.model, form.data, form.version], None, js=REMEMBER, api_visibility="private")
    form.recipe.input(follow, [form.recipe, *form.inputs], list(form.components.values()), **QUICK).then(
        refresh, form.inputs, shown, **QUICK
    )
    form.method.change(form.chosen, form.method, form.switched, **QUICK)
    others = [typed(one) for one in (form.method, form.name, *form.components.values())]
    gr.on(others, refresh, form.inputs, shown, trigger_mode="always_last", **QUICK)
    side.start.click(plainly(begin), [visit, *form.inputs], goes_to, **SLOW).success(
        None, goes_to, None, js=GO, api_visibility="private"
    )


def typed(component: gr.components.Component) -> Any:
    """The event of a person's change. Gradio's text boxes tell of pasted text by `change` only."""
    return component.change if isinstance(component, gr.Textbox) else component.input


def opened(studio: Studio, form: train_form.PlanForm, asked: Any) -> list:
    """The page as its address wants it: ?model=, ?data=, ?length= of sequences, ?from= an earlier run, ?set= changes of its settings."""
    models = usable_models(studio, "text")  # which of them can write this data, the panel says
    data = datasets.list_datasets(studio, limit=MOST).items
    plan, changed = earlier_plan(studio, asked.get("from"), asked.get("set") or "")
    plan = with_length(plan, asked.get("length") or "")
    model = one_of(asked.get("model") or plan.get("base_model"), [one.id for one in models], default=True)
    dataset = one_of(asked.get("data") or plan.get("dataset"), [one.id for one in data], default=True)
    return [
        gr.update(choices=[(one.name, one.id) for one in models], value=model),
        gr.update(choices=[(one.name, one.id) for one in data], value=dataset),
        plan.get("method", {}).get("name", DEFAULT_METHOD),
        plan.get("name", ""),
        versions_of(studio, dataset, asked_version(asked, plan, dataset)),
        *form.updates(plan, targets_of(studio, model)),
        new_id(),
        ahead(studio),
        gr.update(value=view.changed_from_run(changed, asked.get("from")), visible=bool(changed)),
    ]


def asked_version(asked: Any, plan: dict[str, Any], dataset: str | None) -> int | None:
    """The version that the address names, or that an earlier run learned from, if it is one of this data set."""
    said = asked.get("version") or ""
    if said.isdecimal() and said.isascii() and len(said) < 10:
        return int(said)
    same = plan.get("dataset") == dataset and not asked.get("version")
    return plan.get("dataset_version") if same else None


def versions_of(studio: Studio, dataset: str | None, chosen: int | None) -> Any:
    """The choice of a version: the newest unless another is wanted, shown where there are several."""
    try:
        found = lineage.list_versions(studio, dataset or "", limit=MOST).items
    except StudioError:
        return gr.update(choices=[], value=None, visible=False)
    numbers = [version.number for version in found]
    value = str(chosen) if chosen in numbers and chosen != numbers[0] else ""
    choices = [(f"Version {version.number}: {version.why}", str(version.number)) for version in found]
    choices[0] = (f"Newest: {choices[0][0][0].lower()}{choices[0][0][1:]}", "")
    return gr.update(choices=choices, value=value, visible=len(found) > 1)


def earlier_plan(studio: Studio, run_id: str | None, changes: str = "") -> tuple[dict[str, Any], list[str]]:
    """(the plan of a run with these changes, the changes in words); nothing without a run."""
    if not run_id:
        return {}, []
    try:
        values = runs.clone_values(studio, run_id)
    except StudioError:
        gr.Warning("The run to start from is not there any more, so these are the defaults.")
        return {}, []
    try:
        wanted = plan_changes.from_text(changes)
        return plan_changes.changed(values, wanted), plan_changes.in_words(values, wanted)
    except StudioError as error:
        gr.Warning(f"{error.problem} The settings are those of the run.")
        return values, []


def with_length(plan: dict[str, Any], said: str) -> dict[str, Any]:
    """The plan with the sequence length that the address names, as the Data page advises one."""
    if not (said.isdecimal() and said.isascii() and len(said) < 8 and int(said) >= 8):
        return plan
    return {**plan, "training": {**plan.get("training", {}), "sequence_length": int(said)}}


def parent_of(studio: Studio, request: gr.Request) -> str | None:
    """The run that this one was made from, by the page's address."""
    try:
        return runs.get_run(studio, request.query_params.get("from") or "").id
    except NotFound:
        return None


def one_of(wanted: str | None, ids: list[str], default: bool = False) -> str | None:
    return wanted if wanted in ids else ids[0] if ids and default else None


def targets_of(studio: Studio, model_id: str | None) -> list[str]:
    """The layers of the chosen base that can get an adapter; none while it is not chosen."""
    try:
        return base_models.facts_of(base_models.ready_model(studio, model_id or "")).target_modules
    except StudioError:
        return []


def for_model(studio: Studio, form: train_form.PlanForm, given: tuple) -> list:
    """Another base has other layers: the rest of the form stays as it is."""
    targets = targets_of(studio, given[0])
    updates = [gr.skip()]
    for (part, name), value in zip(form.components, given[5:], strict=True):
        setting = form.settings[part, name]
        kept = [one for one in value or [] if one in targets] if setting.kind == "several" else None
        updates.append(gr.update(choices=targets, value=kept or targets) if setting.kind == "several" else gr.skip())
    return updates


def judged(studio: Studio, form: train_form.PlanForm, given: tuple) -> list:
    """What follows from the inputs: the cost panel, the start button, the folded part's label, the recipe, and a line on model and data."""
    plan = needs = problem = None
    model, data = given[:2]
    if model and data:
        try:
            plan = read_plan(form.values(given, targets_of(studio, model)))
            needs = estimate(studio, plan)
        except StudioError as error:
            problem = error
    if model and data:
        words_on_it, ready = view.start_words(problem, needs, given[2])
    else:
        words_on_it, ready = ("Choose data" if model else "Choose a base model"), False
    changed = form.changed(plan) if plan else 0
    return [
        view.wrong(problem) if problem else view.cost(plan, needs) if needs else view.waiting(),
        gr.update(value=words_on_it, interactive=ready),
        gr.update(label="Advanced settings" + (f" ({changed} changed)" if changed else " (all at their defaults)")),
        train_form.recipe_of(plan) if plan else gr.skip(),
        gr.update(info=line_on_model(studio, model)),
        gr.update(info=line_on_data(studio, data, model, given[4])),
    ]


def line_on_model(studio: Studio, model_id: str | None) -> str:
    try:
        return view.about_model(base_models.facts_of(base_models.ready_model(studio, model_id or "")))
    except StudioError:
        return "Add one on the Models page."


def line_on_data(studio: Studio, dataset_id: str | None, model_id: str | None, version: str | None = None) -> str:
    if not dataset_id:
        return "Bring your own on the Data page."
    try:
        found = lineage.get_version(studio, dataset_id, int(version) if version else None)
        stats = datasets.token_stats(studio, dataset_id, model_id, version=found.number) if model_id else None
        return view.about_data(found.rows, stats)
    except StudioError:
        return ""


def ahead(studio: Studio) -> str:
    live, waiting = open_runs(studio)
    if not live + waiting:
        return '<p class="ls-sub ls-center">Starts at once: nothing else is training.</p>'
    return f'<p class="ls-sub ls-center">Starts when the device is free: {words.plural(live + waiting, "run")} ahead of yours.</p>'


PAGE = Page(title="Train", path="train", build=build, icon="train", order=40)
