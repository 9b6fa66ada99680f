"""The part of the Adapters page that makes an adapter of what a full fine-tune changed in its base."""

from functools import partial
from typing import Any

import gradio as gr

from studio import base_models
from studio.listing import MOST
from studio.pages import words
from studio.pages.adapters_combine import queued
from studio.pages.errors import plainly
from studio.pages.events import QUICK, on_load, plain
from studio.records import ModelState
from studio.studio import Studio

ABOUT = (
    '<h2 class="ls-h2">Extract from a fine-tuned model</h2><p class="ls-sub">Two models of one shape, a base and a full fine-tune of it: what was '
    "changed becomes a LoRA adapter, as near as its rank allows. What is lost is measured, module by module.</p>"
)


def extracting(studio: Studio) -> None:
    with gr.Column(elem_classes=["ls-sec"], elem_id="extract", visible=False) as whole:
        plain(ABOUT)
        with gr.Row():
            base = gr.Dropdown([], label="Base model", info="What the fine-tune began from.", interactive=True)
            tuned = gr.Dropdown([], label="Fine-tuned model", info="Every weight of it may differ.", interactive=True)
        with gr.Row():
            rank = gr.Number(16, label="Rank", info="Of each layer's update, at most.", precision=0, interactive=True)
            energy = gr.Slider(
                50, 100, 100, step=0.5, label="Energy to keep, %", info="Below 100 each layer gets the smallest rank that keeps so much.", interactive=True
            )  # fmt: skip
        others = gr.Checkbox(
            False, label="Keep embeddings, norms and bias terms that differ", info="They make the adapter large.", interactive=True
        )  # fmt: skip
        name = gr.Textbox(
            label="Name", placeholder="Empty: named after both", max_length=100, max_lines=1, interactive=True
        )
        make = gr.Button("Extract the adapter", variant="primary", elem_classes=["ls-fit"])
        said = plain()
    on_load(partial(pairs, studio), [whole, base, tuned])
    make.click(plainly(partial(asked, studio)), [base, tuned, rank, energy, others, name], said, **QUICK)


def pairs(studio: Studio) -> list[Any]:
    """(the section, seen where two models could be a pair; the models to choose from, twice)."""
    ready = [model for model in base_models.list_models(studio, limit=MOST).items if model.state is ModelState.READY]
    kinds = [base_models.facts_of(model).architecture for model in ready]
    choices = [(f"{model.name} · {words.short_count(model.parameters)}", model.id) for model in ready]
    known = gr.update(choices=choices, value=None)
    return [gr.update(visible=len(set(kinds)) < len(kinds)), known, known]


def asked(studio: Studio, base: str | None, tuned: str | None, rank, energy, others: bool, name: str | None) -> str:
    """Queue it; what to say about it."""
    wanted = {
        "kind": "extract", "name": name or "", "base_model": base or "", "tuned": tuned or "", "rank": rank or 16,
        "energy": energy / 100 if energy < 100 else None, "keep_others": bool(others),
    }  # fmt: skip
    return queued(studio, wanted)
