"""One data set: how long its rows are, and exactly which tokens of each the trainer will train on, for a chosen base model."""

from dataclasses import dataclass

import gradio as gr

from studio import base_models, datasets
from studio.builtin_datasets import index
from studio.errors import StudioError
from studio.learning import Learning
from studio.length_audit import audit
from studio.listing import MOST
from studio.pages import audit_view, parts
from studio.pages import data_detail_view as view
from studio.pages.errors import plainly
from studio.pages.events import QUICK, SLOW, action, clickable, clicked, on_load, plain
from studio.pages.plots.lengths import lengths
from studio.pages.versions import rows
from studio.records import BaseModel, Dataset, DatasetVersion, ModelState
from studio.studio import Studio
from studio.versions.lineage import get_version, report_on

MOST_LENGTH = 10**7  # tokens
# Keeps the chosen base in the address.
REMEMBER = """(place, model, learned, length) => {
  const to = new URL(location);
  to.searchParams.set('model', model || '');
  history.replaceState(null, '', to);
  return [place, model, learned, length];
}"""


@dataclass
class Detail:
    """The parts of one data set's page."""

    column: gr.Column
    facts: gr.HTML
    said: gr.HTML
    model: gr.Dropdown
    learned: gr.Dropdown
    length: gr.Number
    """Tokens; 0 where it is left to the training."""
    previous: gr.Button
    place: gr.Number
    following: gr.Button
    row: gr.HTML
    lengths: gr.HTML


def section(studio: Studio) -> None:
    """The data set that the address names; hidden while it names none."""
    on = layout()

    def open_it(request: gr.Request):
        dataset, version = asked_for(studio, request), shown_version(studio, request)
        if dataset is None or version is None:
            return gr.update(visible=False), "", "", gr.update(), gr.update(), 1, ""
        usable = usable_models(studio, dataset.kind)
        report = report_on(studio, version)
        chosen = preferred(usable, request.query_params.get("model"))
        drawn = view.about(about(dataset, version), report, description_of(dataset))
        ways = ways_to_learn(dataset, report.marked_rows)
        learned = gr.update(choices=ways, value=ways[0][1], visible=len(ways) > 1)
        options = gr.update(choices=[(one.name, one.id) for one in usable], value=chosen)
        row, said = draw_row(studio, request, chosen, 1, ways[0][1]), introduced(dataset.kind)
        return gr.update(visible=True), drawn, said, options, learned, 1, row

    def measure(model_id: str | None, learned: str, length: float | None, request: gr.Request) -> str:
        return draw_lengths(studio, request, model_id, learned, length)

    def turn(place: int | None, model_id: str | None, learned: str, length: float | None, request: gr.Request) -> str:
        return draw_row(studio, request, model_id, place, learned, length)

    def move(step: int):
        def moved(place: int | None, model_id: str | None, learned: str, length: float | None, request: gr.Request):
            version = shown_version(studio, request)
            to = min(max(1, int(place or 1) + step), version.rows if version else 1)
            return to, draw_row(studio, request, model_id, to, learned, length)

        return plainly(moved)

    # Counting the tokens of a large data set takes a while the first time: everything else is there before it
    shown, how = [on.place, on.model, on.learned, on.length], [on.model, on.learned, on.length]
    opened = on_load(open_it, [on.column, on.facts, on.said, on.model, on.learned, on.place, on.row])
    opened.then(measure, how, on.lengths, **SLOW)
    chosen = on.model.input(plainly(turn), shown, on.row, js=REMEMBER, **QUICK)
    chosen.then(measure, how, on.lengths, **SLOW)
    on.learned.input(plainly(turn), shown, on.row, **QUICK).then(measure, how, on.lengths, **SLOW)
    on.length.input(plainly(turn), shown, on.row, trigger_mode="always_last", **QUICK).then(
        measure, how, on.lengths, **SLOW
    )
    on.previous.click(move(-1), shown, [on.place, on.row], **QUICK)
    on.following.click(move(1), shown, [on.place, on.row], **QUICK)
    on.place.input(plainly(turn), shown, on.row, trigger_mode="always_last", **QUICK)


def ending(studio: Studio) -> None:
    """Rename or delete the data set that the address names, below everything about it."""
    with gr.Column(visible=False) as column:
        with gr.Accordion("Rename or delete", open=False, elem_classes=["ls-fold"]):
            with gr.Row(elem_classes=["ls-end"]):
                name = gr.Textbox(label="Name", max_lines=1, max_length=100, interactive=True)
                rename = gr.Button("Rename", elem_classes=["ls-fit"])
            delete = clickable()

    def open_it(request: gr.Request):
        dataset = asked_for(studio, request)
        if dataset is None:
            return gr.update(visible=False), "", ""
        return gr.update(visible=True), dataset.name, deletion(dataset)

    def give_name(words: str, request: gr.Request) -> None:
        datasets.rename_dataset(studio, request.query_params.get("id", ""), words)

    def remove(event: gr.EventData) -> None:
        datasets.delete_dataset(studio, clicked(event)[1])

    on_load(open_it, [column, name, delete])
    renamed = rename.click(plainly(give_name), name, None, **QUICK)
    renamed.success(None, js="() => location.reload()", api_visibility="private")
    gone = delete.click(plainly(remove), None, None, **QUICK)
    gone.success(None, js="() => location.assign('/data')", api_visibility="private")


def layout() -> Detail:
    with gr.Column(visible=False) as column:
        facts = plain()
        with gr.Column(elem_classes=["ls-sec"]):
            said = plain(introduced("conversations"))
            model = gr.Dropdown([], label="Base model", info="Its chat template and its tokens.", interactive=True)
            learned = gr.Dropdown([], label="What to learn", info="As a training can choose it.", interactive=True)
            length = gr.Number(
                0, label="Sequence length", info="In tokens; 0: as a training chooses it.", precision=0, minimum=0, interactive=True
            )  # fmt: skip
            with gr.Row(elem_classes=["ls-pager"]):
                previous = gr.Button("Previous", elem_classes=["ls-fit"])
                place = gr.Number(
                    1, label="Row", show_label=False, precision=0, minimum=1, interactive=True, min_width=90
                )
                following = gr.Button("Next", elem_classes=["ls-fit"])
            row = plain()
        with gr.Column(elem_classes=["ls-sec"]):
            plain(
                '<h2 class="ls-h2">How long the rows are</h2>'
                '<p class="ls-sub">In tokens of this base model, its template included.</p>'
            )
            lengths = plain('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
    return Detail(column, facts, said, model, learned, length, previous, place, following, row, lengths)


def asked_for(studio: Studio, request: gr.Request):
    """The data set of the page's address, or None."""
    try:
        return datasets.get_dataset(studio, request.query_params.get("id") or "")
    except StudioError:
        return None


def shown_version(studio: Studio, request: gr.Request) -> DatasetVersion | None:
    """The version that the address names, or the newest."""
    try:
        return get_version(studio, request.query_params.get("id") or "", rows.asked_version(request))
    except StudioError:
        return None


def about(dataset: Dataset, version: DatasetVersion) -> dict:
    """The data set as `datasets.shown` has it, with the figures of one version."""
    figures = {name: getattr(version, name) for name in ("rows", "heldout_rows", "size_bytes", "sha256")}
    dropped = dataset.dropped_rows if version.number == 1 else 0
    return {**datasets.shown(dataset), **figures, "dropped_rows": dropped}


def deletion(dataset) -> str:
    if dataset.source == "builtin":
        return '<p class="ls-sub">It comes with the studio and stays.</p>'
    return action(
        "Delete this data set", "delete", dataset.id, confirm=f"Delete '{dataset.name}'? Its rows are gone then."
    )


def description_of(dataset) -> str:
    return descriptions().get(dataset.builtin_id or "", "")


def descriptions() -> dict[str, str]:
    """What each built-in data set is for, by its builtin_id."""
    return {entry["id"]: entry.get("description", "") for entry in index()}


def introduced(kind: str) -> str:
    legend = view.LEGEND_OF_PAIRS if kind == "preference" else view.LEGEND
    return (
        f'<h2 class="ls-h2">What the model will learn</h2><p class="ls-sub">{view.SAID[kind]} '
        f"Drawn by the function that the trainer calls.</p>{legend}"
    )


def ways_to_learn(dataset: Dataset, marked_rows: int) -> list[tuple[str, str]]:
    """(in words, as "objective/answers") what a training can learn from this data; the usual way first."""
    if dataset.kind == "text":
        return [("All of the text", "text/all")]
    if dataset.kind == "preference":
        return [("Which answer is preferred", "preference/all"), ("Only the chosen answers", "answers/all")]
    marked = [("The answers that the data marks", "answers/marked")] if marked_rows else []
    return [*marked, ("All answers", "answers/all"), ("Only the last answer", "answers/last")]


def learning(chosen: str | None) -> Learning | None:
    """The choice as it comes back from the browser; None (what is usual) for anything that is none."""
    objective, _, answers = (chosen or "").partition("/")
    known = objective in ("answers", "text", "preference") and answers in ("all", "last", "marked")
    return Learning(objective, answers) if known else None


def usable_models(studio: Studio, kind: str = "conversations") -> list[BaseModel]:
    """Ready ones that know how a conversation is written; for raw text the others too, after those."""
    ready = [model for model in base_models.list_models(studio, limit=MOST).items if model.state is ModelState.READY]
    knowing = [model for model in ready if base_models.facts_of(model).has_chat_template]
    return knowing + [model for model in ready if kind == "text" and model not in knowing]


def preferred(models: list[BaseModel], asked: str | None) -> str | None:
    """The model that was asked for, else the newest."""
    ids = [model.id for model in models]
    return asked if asked in ids else next(iter(ids), None)


def draw_row(
    studio: Studio,
    request: gr.Request,
    model_id: str | None,
    place: int | None,
    learned: str | None = None,
    length: float | None = None,
) -> str:
    version = shown_version(studio, request)
    if version is None:
        return ""
    if not model_id:
        return no_model()
    place = min(max(1, int(place or 1)), version.rows)
    try:
        chosen = learning(learned)
        found = datasets.preview(
            studio,
            version.dataset,
            model_id,
            place - 1,
            1,
            wanted_length(length),
            chosen,
            version.number,
            each_token=True,
        )
    except StudioError as error:
        return parts.error_banner(error)
    return view.token_row(found[0], place, version.rows) if found else ""


def wanted_length(said: float | None) -> int | None:
    """The length that somebody typed; None where there is none yet, or one that no training takes."""
    return int(said) if said and 8 <= said < MOST_LENGTH else None


def draw_lengths(
    studio: Studio,
    request: gr.Request,
    model_id: str | None,
    learned: str | None = None,
    length: float | None = None,
) -> str:
    version = shown_version(studio, request)
    if version is None or not model_id:
        return ""
    try:
        stats = datasets.token_stats(studio, version.dataset, model_id, learning(learned), version.number)
        facts = base_models.facts_of(base_models.ready_model(studio, model_id))
        found = audit(studio, version.dataset, model_id, wanted_length(length), learning(learned), version.number)
    except StudioError as error:
        return parts.error_banner(error)
    train = f"/train?data={version.dataset}&model={model_id}&version={version.number}&length="
    return lengths(stats, facts.context_length, found.length) + audit_view.audited(found, stats.objective, train)


def no_model() -> str:
    return parts.banner(
        "info",
        "No base model is ready.",
        "Add one on the Models page; then this shows its tokens.",
        parts.button("Models", "/models", small=True),
    )
