"""Models: the base models on this machine, and how to add one."""

from dataclasses import dataclass
from functools import partial

import gradio as gr

from studio import base_models
from studio.dataset_report import TokenStats
from studio.devices import DeviceFacts, planned_device
from studio.errors import Invalid, StudioError
from studio.listing import MOST
from studio.memory import estimate_from
from studio.model_facts import ModelFacts
from studio.overview import adapters_by_model
from studio.pages import models_view as view
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import QUICK, SLOW, clickable, clicked, every, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.plan import read_plan
from studio.records import ModelState
from studio.studio import Studio

REFRESH_SECONDS = 2
ORDINARY_ROWS, ORDINARY_TOKENS = 400, 512


@dataclass
class Adding:
    """The inputs of the section that adds a model."""

    said: gr.HTML
    folder: gr.Dropdown
    add_folder: gr.Button
    repo: gr.Textbox
    revision: gr.Textbox
    download: gr.Button


def build(studio: Studio) -> None:
    add_link = '<a class="ls-btn p" href="#add">Add a model</a>'
    head("Models", "Base weights on this machine. The base is never changed: adapters are stored beside it.", add_link)
    cards = clickable('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
    adding = adding_section(studio)

    def show() -> str:
        return draw(studio)

    def candidates():
        return gr.update(choices=base_models.local_candidates(studio))

    def act(event: gr.EventData) -> str:
        wanted, id = clicked(event)
        acts = {
            "remove": base_models.delete_model,
            "retry": base_models.retry_download,
            "template": give_plain_template,
        }
        if wanted in acts:
            acts[wanted](studio, id)
        return show()

    on_load(show, cards)
    on_load(candidates, adding.folder)
    every(REFRESH_SECONDS, show, cards)
    cards.click(plainly(act), None, cards, **QUICK)
    local = plainly(partial(add_folder, studio))
    adding.add_folder.click(local, adding.folder, [adding.said, cards, adding.folder], **SLOW)
    hub = plainly(partial(add_repo, studio))
    asked = [adding.download.click, adding.repo.submit]
    gr.on(asked, hub, [adding.repo, adding.revision], [adding.said, cards, adding.repo], **SLOW)


def adding_section(studio: Studio) -> Adding:
    below = studio.settings.models_root
    with gr.Column(elem_classes=["ls-sec"], elem_id="add"):
        plain(
            '<h2 class="ls-h2">Add a model</h2><p class="ls-sub">Weights as safetensors, with their tokenizer. '
            "What does not fit is refused with the reason.</p>"
        )
        said = plain()
        with gr.Tabs():
            with gr.Tab("A folder on this machine"):
                folder = gr.Dropdown(
                    [], label="Folder", info=f"Below {below}.", allow_custom_value=True, interactive=True
                )
                add_folder = gr.Button("Add this folder", variant="primary", elem_classes=["ls-fit"])
            with gr.Tab("From the Hugging Face Hub"):
                with gr.Row():
                    repo = gr.Textbox(
                        label="Name",
                        info="As its page is called.",
                        placeholder="owner/name",
                        max_lines=1,
                        interactive=True,
                    )
                    revision = gr.Textbox(
                        "main", label="Revision", info="A branch, a tag or a commit.", max_lines=1, interactive=True
                    )
                download = gr.Button("Download", variant="primary", elem_classes=["ls-fit"])
    return Adding(said, folder, add_folder, repo, revision, download)


def add_folder(studio: Studio, path: str | None) -> tuple:
    """(what to say, the cards, the choice of folders)."""
    if not (path or "").strip():
        below = studio.settings.models_root
        return refused(Invalid("No folder is chosen.", f"Put the model's folder below {below}, then choose it here."))
    try:
        model = base_models.add_local(studio, path.strip())
    except StudioError as error:
        return refused(error)
    return parts.banner("ok", f"{model.name} was added."), draw(studio), None


def add_repo(studio: Studio, repo: str | None, revision: str | None) -> tuple:
    """(what to say, the cards, the name's input)."""
    if not (repo or "").strip():
        return refused(Invalid("No name is given.", "Write it as on the Hub, such as owner/name."))
    try:
        model = base_models.add_hub(studio, repo.strip(), (revision or "").strip() or "main")
    except StudioError as error:
        return refused(error)
    note = "Its card above shows how far it has come; this page may be left."
    return parts.banner("ok", f"{model.name} is on its way.", note), draw(studio), ""


def give_plain_template(studio: Studio, id: str) -> None:
    base_models.choose_template(studio, id, "plain")


def refused(error: StudioError) -> tuple:
    """Why a model was not added, beside the form, which stays as it is."""
    return parts.error_banner(error), gr.skip(), gr.skip()


def draw(studio: Studio) -> str:
    models = base_models.list_models(studio, limit=MOST).items
    device = planned_device(studio)
    fits = {
        model.id: fit_of(base_models.facts_of(model), device) for model in models if model.state is ModelState.READY
    }
    return view.cards([base_models.shown(model) for model in models], fits, adapters_by_model(studio))


def fit_of(facts: ModelFacts, device: DeviceFacts) -> str | None:
    """Whether a training with the defaults on ordinary data would fit: "yes", "tight" or "no"."""
    length = min(ORDINARY_TOKENS, facts.context_length)
    rows = [length] * ORDINARY_ROWS
    stats = TokenStats(
        rows=len(rows), heldout_rows=0, total_tokens=sum(rows), trained_tokens=sum(rows) // 2, shortest=length, median=length, p95=length, longest=length,
        histogram=[(length, len(rows))], lengths=rows,
    )  # fmt: skip
    try:
        return estimate_from(read_plan({"base_model": "any", "dataset": "any"}), facts, stats, device).fits
    except StudioError:
        return None  # the defaults are not for it; the Train page says why


PAGE = Page(title="Models", path="models", build=build, icon="model", order=20)
