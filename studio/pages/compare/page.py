"""Compare: the same question to a base model, its adapters, checkpoints and mixes, answered side by side, with their names or without."""

from typing import Any

import gradio as gr

from studio.pages import parts
from studio.pages.compare import asking, choosing, mixing, view
from studio.pages.compare.layout import Layout
from studio.pages.copying import COPY
from studio.pages.events import CLICKS, clickable, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.pages.versions import mending
from studio.studio import Studio

EXAMPLES = 4
# assets/compare.js may come after this part of the page has been drawn.
LINE_UP = """
const begin = () => window.studioCompare.lineUp(element, trigger);
if (window.studioCompare) begin(); else window.addEventListener('load', begin);
"""
KEYS = """
const listen = () => window.studioCompare.keys();
if (window.studioCompare) listen(); else window.addEventListener('load', listen);
"""
SKELETON = '<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>'


def build(studio: Studio) -> None:
    more = parts.button("Suites", "/suites", small=True) + parts.button("Votes so far", "/votes", small=True)
    head("Compare", "One question, one seed, every model at once.", more)
    with gr.Column(elem_classes=["ls-sec"]):
        model, sampling, blind, who = settings()
    saved = clickable(visible=False)
    answers = gr.HTML(SKELETON, elem_classes=["ls-plain"], js_on_load=COPY + CLICKS + KEYS, apply_default_css=False)
    ballot = clickable(visible=False)
    mend = mending.dialog(studio)
    with gr.Row(elem_classes=["ls-examples"]):
        examples = [gr.Button("", size="sm", visible=False, scale=0, min_width=60) for _ in range(EXAMPLES)]
    with gr.Column(elem_classes=["ls-dock"]):  # stays in sight together: what is said of a question, and the question
        news = clickable(visible=False)
        with gr.Row(elem_classes=["ls-prompt"]):
            asked = {"label": "Question", "placeholder": "Ask all columns (Enter sends)", "show_label": False}
            prompt = gr.Textbox(lines=1, max_lines=6, scale=8, interactive=True, container=False, **asked)
            send = gr.Button("Send", variant="primary", scale=0, min_width=88)
            stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=88, elem_classes=["ls-stop"])
    with gr.Row(elem_classes=["ls-act"]):
        retry = gr.Button("Ask again", size="sm", scale=0, min_width=110)
        clear = gr.Button("Clear", size="sm", scale=0, min_width=90)
        plain(view.keys(), elem_classes=["ls-keys-at"])
    with gr.Accordion("Word differences", open=False):
        differences = plain(view.differences([]))
    lineup, talk = gr.JSON({}, visible=False), gr.JSON({}, visible=False)
    page = Layout(
        model, sampling, blind, who, answers, ballot, mend, news, saved, examples, prompt, send, stop, retry, clear, differences, lineup, talk
    )  # fmt: skip
    choosing.wire(studio, page)
    mixing.wire(studio, page)
    asking.wire(studio, page)


def settings() -> tuple[gr.Dropdown, list, gr.Checkbox, gr.HTML]:
    """(base model, sampling, blind, line-up), the rarely changed ones folded away."""
    with gr.Row(elem_classes=["ls-cmp"]):
        model = gr.Dropdown([], label="Base model", scale=6, min_width=180, interactive=True)
        temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", scale=4, min_width=150, interactive=True)
        limits: dict[str, Any] = {"precision": 0, "minimum": 0, "maximum": 2**31 - 1}
        seed = gr.Number(0, label="Seed", scale=1, min_width=90, interactive=True, **limits)
        hint = {"info": "Names come after your vote", "elem_classes": ["ls-blind"]}
        blind = gr.Checkbox(False, label="Blind", scale=1, min_width=150, interactive=True, **hint)
    who = gr.HTML(
        '<div class="ls-skeleton" style="height:92px"></div>', elem_classes=["ls-plain"], js_on_load=LINE_UP, apply_default_css=False
    )  # fmt: skip
    with gr.Accordion("For all columns: system prompt, length, top-p", open=False):
        said = "Said to every column before the conversation. Empty: none."
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8, placeholder=said, interactive=True)
        with gr.Row():
            most = gr.Slider(16, 1024, 200, step=1, label="Longest answer (tokens)", interactive=True)
            top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p (with a temperature above 0)", interactive=True)
    return model, [system, most, temperature, top_p, seed], blind, who


PAGE = Page(title="Compare", path="compare", build=build, icon="compare", order=60)
