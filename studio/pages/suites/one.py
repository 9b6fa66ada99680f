"""One suite, the one that the address names: who shall answer it, its prompts to be changed, its runs, its end."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import adapters
from studio.compare_request import MOST_COLUMNS, MOST_MIXED, read_request
from studio.errors import Invalid, NotFound
from studio.pages import parts, words
from studio.pages.compare.lineup import BASE, column_of, offers_of
from studio.pages.compare.talking import ready_models
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, clickable, clicked, on_load, plain
from studio.pages.shell import head_html
from studio.pages.suites import view
from studio.pages.suites.prompt_form import PromptForm, filled, form, loses, read
from studio.records import Suite
from studio.studio import Studio
from studio.suites import lists, runs
from studio.suites.prompts import SuitePrompt
from studio.suites.runs import SuiteRunRequest

GO_BACK = "() => { location.href = '/suites'; }"
LOSES = "This prompt has checks that the form does not show, such as a second pattern. Saving it here takes them away."


@dataclass
class Layout:
    """The parts, top to bottom."""

    whole: gr.Column
    model: gr.Dropdown
    chosen: gr.Dropdown
    mixed: gr.Dropdown
    weights: gr.Textbox
    sampling: list[Any]
    run: gr.Button
    after: gr.Checkbox
    done: gr.HTML
    prompts: gr.HTML
    add: gr.Button
    editing: gr.Column
    warning: gr.HTML
    form: PromptForm
    save: gr.Button
    leave: gr.Button
    name: gr.Textbox
    rename: gr.Button
    copy: gr.Button
    delete: gr.HTML


def one_suite(studio: Studio) -> None:
    page = layout()

    def opened(request: gr.Request):
        try:
            suite = lists.get_suite(studio, request.query_params.get("id", ""))
        except NotFound:
            return [gr.skip()] * 10
        base, asked = asked_for(studio, request)
        own = suite.source != "builtin"
        found = runs.list_suite_runs(studio, suite=suite.id).items
        return (
            gr.update(visible=True), *choices(studio, base, asked), suite.after_training, view.runs_of(found), drawn(suite),
            gr.update(visible=own), gr.update(value=suite.name), deletion(suite),
        )  # fmt: skip

    shown = [
        page.whole,
        page.model,
        page.chosen,
        page.mixed,
        page.after,
        page.done,
        page.prompts,
        page.add,
        page.name,
        page.delete,
    ]
    on_load(plainly(opened), shown)
    others = [page.chosen, page.mixed]
    page.model.input(plainly(lambda base: choices(studio, base, [])[1:]), page.model, others, **QUICK)
    running(studio, page)
    changing(studio, page)
    keeping(studio, page)


def running(studio: Studio, page: Layout) -> None:
    """Have it answered."""
    to = gr.Textbox(visible=False)

    def asked(
        base: str | None, who: list[str], mixed: list[str], weights: str, most: int, heat: float, top_p: float, seed: int,
        request: gr.Request,
    ):  # fmt: skip
        if not base:
            raise Invalid("No base model is chosen.", "Choose one.", "base_model")
        words_of = [BASE, *(who or []), *([mix_of(mixed, weights)] if mixed else [])]
        values = {
            "base_model": base, "columns": [column_of(each).model_dump(exclude_none=True) for each in words_of],
            "max_new_tokens": int(most), "temperature": float(heat), "top_p": float(top_p), "seed": int(seed or 0),
        }  # fmt: skip
        wanted = read_request(values, SuiteRunRequest)
        return f"/answers?id={runs.queue_suite_run(studio, request.query_params.get('id', ''), wanted).id}"

    given = [page.model, page.chosen, page.mixed, page.weights, *page.sampling]
    page.run.click(plainly(asked), given, to, **QUICK).success(None, to, js=GO, **QUICK)


def changing(studio: Studio, page: Layout) -> None:
    """Its prompts: add, edit, delete."""

    def listed(suite: Suite):
        return drawn(suite), gr.update(visible=False), ""

    def act(request: gr.Request, event: gr.EventData):
        what, id = clicked(event)
        suite = lists.get_suite(studio, request.query_params.get("id", ""))
        found = lists.prompts_of(suite)
        place = int(id) if id.isdigit() and int(id) < len(found) else -1
        if what == "drop" and place >= 0:
            kept = [*found[:place], *found[place + 1 :]]
            suite = lists.change_suite(studio, suite.id, prompts=as_values(kept))
            return *listed(suite), *[gr.skip()] * len(page.form.inputs)
        if what == "edit" and place >= 0:
            said = parts.banner("warn", LOSES) if loses(found[place]) else ""
            return gr.skip(), gr.update(visible=True), said, *filled(found[place], place)
        return [gr.skip()] * (3 + len(page.form.inputs))

    def saved(place: float, *given: Any, request: gr.Request):
        suite = lists.get_suite(studio, request.query_params.get("id", ""))
        found, at = lists.prompts_of(suite), int(place)
        before = found[at] if 0 <= at < len(found) else None
        prompt = read(before, *given)
        changed = [*found[:at], prompt, *found[at + 1 :]] if before else [*found, prompt]
        return listed(lists.change_suite(studio, suite.id, prompts=as_values(changed)))

    out = [page.prompts, page.editing, page.warning]
    page.prompts.click(plainly(act), None, [*out, *page.form.inputs], **QUICK)
    page.add.click(
        lambda: (gr.update(visible=True), "", *filled(None, -1)),
        None,
        [page.editing, page.warning, *page.form.inputs],
        **QUICK,
    )

    def save(request: gr.Request, *given: Any):
        return saved(*given, request=request)

    page.save.click(plainly(save), page.form.inputs, out, **QUICK)
    page.leave.click(lambda: gr.update(visible=False), None, page.editing, **QUICK)


def keeping(studio: Studio, page: Layout) -> None:
    """Its name, whether it is answered after each training, a copy, its end."""
    to = gr.Textbox(visible=False)

    def of(request: gr.Request) -> str:
        return request.query_params.get("id", "")

    def renamed(name: str, request: gr.Request):
        lists.change_suite(studio, of(request), name=name)

    def after(wanted: bool, request: gr.Request):
        lists.change_suite(studio, of(request), after_training=bool(wanted))

    def copied(request: gr.Request):
        return f"/suites?id={lists.copy_suite(studio, of(request)).id}"

    def deleted(request: gr.Request):
        lists.delete_suite(studio, of(request))

    page.after.input(plainly(after), page.after, None, **QUICK)
    page.rename.click(plainly(renamed), page.name, None, **QUICK).success(None, js="() => location.reload()", **QUICK)
    page.copy.click(plainly(copied), None, to, **QUICK).success(None, to, js=GO, **QUICK)
    page.delete.click(plainly(deleted), None, None, **QUICK).success(None, js=GO_BACK, **QUICK)


def layout() -> Layout:
    with gr.Column(visible=False) as whole:
        with gr.Column(elem_classes=["ls-sec"]):
            plain(
                '<h2 class="ls-h2">Who answers</h2><p class="ls-sub">The base always does, so that there is something to compare with.</p>'
            )
            with gr.Row(elem_classes=["ls-cmp"]):
                model = gr.Dropdown([], label="Base model", scale=3, min_width=180, interactive=True)
                several = {"multiselect": True, "interactive": True}
                chosen = gr.Dropdown(
                    [],
                    label="Adapters and checkpoints (up to 3)",
                    scale=6,
                    min_width=240,
                    max_choices=MOST_COLUMNS - 1,
                    **several,
                )
            with gr.Accordion("A mix of adapters as well", open=False), gr.Row(elem_classes=["ls-cmp"]):
                mixed = gr.Dropdown([], label="Mix of", scale=6, min_width=240, max_choices=MOST_MIXED, **several)
                said = "In the same order, such as 0.7, -0.3. Empty: each 1."
                weights = gr.Textbox(label="Weights", info=said, max_lines=1, scale=3, min_width=180, interactive=True)
            with gr.Accordion("Length and sampling", open=False):
                sampling = sampling_inputs()
            run = gr.Button("Answer the suite", variant="primary", elem_classes=["ls-fit"])
            said = "Every finished training is checked against its base by itself."
            after = gr.Checkbox(False, label="After every training", info=said, interactive=True)
        done = plain()
        prompts = clickable()
        add = gr.Button("Add a prompt", size="sm", scale=0, min_width=140, elem_classes=["ls-fit"])
        with gr.Column(visible=False, elem_classes=["ls-sec"], elem_id="prompt") as editing:
            plain('<h2 class="ls-h2">One prompt</h2>')
            warning = plain()
            inputs = form()
            with gr.Row(elem_classes=["ls-act"]):
                save = gr.Button("Save the prompt", variant="primary", scale=0, min_width=150)
                leave = gr.Button("Leave it", scale=0, min_width=110)
        with gr.Accordion("Rename, copy or delete", open=False, elem_classes=["ls-fold"]):
            with gr.Row(elem_classes=["ls-end"]):
                name = gr.Textbox(label="Name", max_lines=1, max_length=100, interactive=True)
                rename = gr.Button("Rename", elem_classes=["ls-fit"])
                copy = gr.Button("Make a copy", elem_classes=["ls-fit"])
            delete = clickable()
    return Layout(
        whole, model, chosen, mixed, weights, sampling, run, after, done, prompts, add, editing, warning, inputs, save, leave, name, rename, copy, delete
    )  # fmt: skip


def sampling_inputs() -> list[Any]:
    """Longest answer, temperature, top-p, seed."""
    with gr.Row():
        most = gr.Slider(16, 1024, 200, step=1, label="Longest answer (tokens)", interactive=True)
        heat = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", interactive=True)
    with gr.Row():
        top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p (with a temperature above 0)", interactive=True)
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, interactive=True)
    return [most, heat, top_p, seed]


def one_head(suite: Suite) -> str:
    crumb = f'<a href="/suites">Suites</a> / <span class="ls-mono">{suite.id}</span>'
    about = (
        f"{words.plural(suite.prompt_count, 'prompt')}, {view.SOURCES.get(suite.source, suite.source)}. {suite.about}"
    )
    return head_html(suite.name, about, "", crumb)


def asked_for(studio: Studio, request: gr.Request) -> tuple[str, list[str]]:
    """(base model, adapters) from the address: those of the adapter that one came from, else the newest base."""
    try:
        adapter = adapters.get_adapter(studio, request.query_params.get("adapter", ""))
        return adapter.base_model, [adapter.id]
    except NotFound:
        models = ready_models(studio)
        return (models[0].id if models else ""), []


def choices(studio: Studio, base: str | None, ids: list[str]) -> tuple[Any, Any, Any]:
    """What to choose from: base models; the adapters and checkpoints of this base; those of them that can be mixed."""
    models = [(model.name, model.id) for model in ready_models(studio)]
    offers = offers_of(studio, base or "", [column_of(id) for id in ids])
    named = [(name, id) for id, name in offers.adapters]
    named += [(f"{name}, step {step}", f"{id}@{step}") for id, name, steps in offers.checkpoints for step in steps]
    mixable = [(name, id) for id, name in offers.mixable]
    return (
        gr.update(choices=models, value=base or None),
        gr.update(choices=named, value=ids),
        gr.update(choices=mixable, value=[]),
    )


def mix_of(ids: list[str], weights: str) -> str:
    """A mix as lineup.py writes it. Raises Invalid where the weights are not as many."""
    given = (weights or "").replace(",", " ").split() or ["1"] * len(ids)
    if len(ids) < 2:
        raise Invalid("A mix takes two adapters or more.", "Choose another one, or none.", "mix")
    if len(given) != len(ids):
        raise Invalid(f"{len(ids)} adapters are mixed and {len(given)} weights given.", "Give one for each.", "weights")
    return " ".join(f"{id}*{weight}" for id, weight in zip(ids, given, strict=True))


def as_values(prompts: list[SuitePrompt]) -> list[dict[str, Any]]:
    return [prompt.model_dump(mode="json") for prompt in prompts]


def drawn(suite: Suite) -> str:
    return view.prompts(lists.prompts_of(suite), change=suite.source != "builtin")


def deletion(suite: Suite) -> str:
    if suite.source == "builtin":
        return '<p class="ls-sub">It comes with the studio and stays.</p>'
    return view.action("Delete this suite", "delete", suite.id, confirm=f"Delete '{suite.name}'? Its runs stay.")
