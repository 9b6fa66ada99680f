"""The part of the Adapters page that makes one adapter from several: which, with what weights, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from studio import adapter_jobs, adapters
from studio.errors import Invalid, StudioError
from studio.lab_settings import read_lab_settings
from studio.listing import MOST
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, on_load, plain
from studio.records import Adapter
from studio.studio import Studio

MOST_ON_PAGE = 6  # more can be combined through the API
CHOICES = {
    "exact": "Exact sum\nEach update times its weight. Nothing is lost; the ranks add up.",
    "svd": "Smaller (SVD)\nThe nearest adapter that has the rank you choose.",
    "ties": "TIES\nKeeps the largest numbers; where adapters pull apart, the majority decides.",
    "dare": "DARE\nDrops numbers at random and scales up the rest.",
}
SAY_HOW_MANY = "Choose two adapters or more"
MAKE = "Make the adapter"


@dataclass
class Combining:
    """The inputs, from top to bottom."""

    whole: gr.Column  # seen once there is something to combine
    picked: gr.Dropdown
    weights: list[gr.Slider]
    choice: gr.Radio
    rank: gr.Number
    density: gr.Slider
    seed: gr.Number
    name: gr.Textbox
    make: gr.Button
    trial: gr.Button
    said: gr.HTML


def combining(studio: Studio, refreshed: gr.HTML, draw_jobs: Callable[[], str]) -> None:
    """`refreshed` shows the jobs as `draw_jobs` draws them."""
    at = inputs()

    def opened(request: gr.Request):
        wanted = request.query_params.get("with")
        several = len(adapters.list_adapters(studio, method="lora", limit=2).items) > 1
        return [gr.update(visible=several), *chosen(studio, [wanted] if wanted else [])]

    shown = [at.picked, *at.weights, at.make, at.trial]
    on_load(plainly(opened), [at.whole, *shown])
    at.picked.input(plainly(partial(chosen, studio)), at.picked, shown, trigger_mode="always_last", **QUICK)
    at.choice.input(fitting, at.choice, [at.rank, at.density, at.seed, at.trial], **QUICK)
    given = [at.picked, at.choice, at.rank, at.density, at.seed, at.name, *at.weights]
    at.make.click(partial(asked, studio), given, at.said, **QUICK).then(draw_jobs, None, refreshed, **QUICK)
    # A button and not a link: the weights are read when it is pressed, so that one that was just typed is among them.
    to = gr.Textbox(visible=False)
    trying = at.trial.click(plainly(partial(tried, studio)), [at.picked, *at.weights], to, **QUICK)
    trying.success(None, to, js=GO, **QUICK)


def inputs() -> Combining:
    with gr.Column(elem_classes=["ls-sec"], elem_id="combine", visible=False) as whole:
        plain(
            '<h2 class="ls-h2">Combine adapters</h2><p class="ls-sub">Adapters of one base model become one new adapter, '
            "such as a tone with a skill. The ones that go in stay as they are.</p>"
        )
        picked = gr.Dropdown(
            [],
            multiselect=True,
            max_choices=MOST_ON_PAGE,
            label="Adapters",
            info="Of one base model.",
            interactive=True,
        )
        weights = [
            gr.Slider(-2, 2, 1, step=0.05, label="Weight", visible=False, interactive=True) for _ in range(MOST_ON_PAGE)
        ]
        choice = gr.Radio(
            [(words, kind) for kind, words in CHOICES.items()],
            value="exact",
            label="How to combine",
            elem_classes=["ls-cards"],
            interactive=True,
        )
        rank, density, seed = inputs_of_choices()
        name = gr.Textbox(
            label="Name", placeholder="Empty: named after what goes in", max_length=100, max_lines=1, interactive=True
        )
        with gr.Row(elem_classes=["ls-act"]):
            make = gr.Button(SAY_HOW_MANY, variant="primary", interactive=False, elem_classes=["ls-fit"])
            trial = gr.Button("Try it in Compare", interactive=False, elem_classes=["ls-fit"])
        said = plain()
    return Combining(whole, picked, weights, choice, rank, density, seed, name, make, trial, said)


def inputs_of_choices() -> tuple[gr.Number, gr.Slider, gr.Number]:
    """What only some of the choices look at."""
    with gr.Row():
        rank = gr.Number(
            0,
            label="Rank",
            info="Of the result. 0: what goes in decides.",
            precision=0,
            visible=False,
            interactive=True,
        )
        density = gr.Slider(
            0.05,
            1,
            0.5,
            step=0.05,
            label="Density",
            info="Share of the numbers that is kept.",
            visible=False,
            interactive=True,
        )
        seed = gr.Number(0, label="Seed", info="Decides what is drawn.", precision=0, visible=False, interactive=True)
    return rank, density, seed


def chosen(studio: Studio, ids: list[str] | None) -> list[Any]:
    """(the adapters to choose from, a slider for each that is chosen, the two buttons)."""
    every = adapters.list_adapters(studio, method="lora", limit=MOST).items
    known = {adapter.id: adapter for adapter in every}
    picked = [known[id] for id in ids or [] if id in known][:MOST_ON_PAGE]
    same = [adapter for adapter in every if not picked or of_one_base(adapter, picked[0])]
    picked = [adapter for adapter in picked if adapter in same]
    choices = [(f"{adapter.name} · {adapter.base_model_name}", adapter.id) for adapter in same]
    names = [f"Weight of {adapter.name}" for adapter in picked]
    sliders = [gr.update(visible=True, label=name) for name in names] + [gr.update(visible=False)] * (
        MOST_ON_PAGE - len(picked)
    )
    ready = len(picked) > 1
    button = gr.update(interactive=ready, value=MAKE if ready else SAY_HOW_MANY)
    chosen_ids = [adapter.id for adapter in picked]
    return [gr.update(choices=choices, value=chosen_ids), *sliders, button, gr.update(interactive=ready)]


def of_one_base(one: Adapter, other: Adapter) -> bool:
    return one.base_model == other.base_model or (one.model.fingerprint or "") == other.model.fingerprint


def fitting(choice: str) -> list[Any]:
    """Only what the choice needs is asked for: (rank, density, seed, the trial). Only the exact sum can be mixed live."""
    needed = (choice != "exact", choice in ("ties", "dare"), choice == "dare", choice == "exact")
    return [gr.update(visible=one) for one in needed]


def asked(studio: Studio, ids: list[str], choice: str, rank, density, seed, name: str, *weights) -> str:
    """Queue it; what to say about it."""
    wanted: dict[str, Any] = {
        "kind": "stack",
        "name": name or "",
        "parents": [{"adapter": id, "weight": weight} for id, weight in zip(ids or [], weights, strict=False)],
        "combination": choice,
    }
    if choice != "exact":
        wanted["rank"] = rank or None
    if choice in ("ties", "dare"):
        wanted["density"] = density
    if choice == "dare":
        wanted["seed"] = seed
    return queued(studio, wanted)


def tried(studio: Studio, ids: list[str] | None, *weights: float | None) -> str:
    """Address of the Compare page with this mix beside its base, before anything is made."""
    parts_of_it = [(id, weight) for id, weight in zip(ids or [], weights, strict=False) if weight]
    if len(parts_of_it) < 2:
        raise Invalid("There is nothing to mix.", "Give two adapters a weight that is not 0.")
    base = adapters.get_adapter(studio, parts_of_it[0][0]).base_model
    mix = " ".join(f"{id}*{weight:g}" for id, weight in parts_of_it)
    return "/compare?" + urlencode({"model": base, "columns": f"base,{mix}"}, safe=",*")


def queued(studio: Studio, wanted: dict[str, Any]) -> str:
    """A job from a page's inputs: that it waits now, or why not."""
    try:
        job = adapter_jobs.queue_job(studio, read_lab_settings(wanted))
    except StudioError as error:
        return parts.error_banner(error)
    return parts.banner(
        "ok", f"{job.name} is being made.", "The list of work below shows how far it is; this page may be left."
    )
