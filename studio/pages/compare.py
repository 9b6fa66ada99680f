"""Compare: the same question to the base and to its adapters, answered side by side."""

import contextlib
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import adapters
from studio.errors import StudioError
from studio.listing import MOST
from studio.pages import compare_view, parts
from studio.pages.compare_talk import MOST_ADAPTERS, answering, differing, fresh, last_question, models_in, ready_models
from studio.pages.conversation import Talk, read_talk
from studio.pages.copying import copyable
from studio.pages.errors import as_toast, plainly
from studio.pages.events import QUICK, SLOW, on_load, plain
from studio.pages.page import Page
from studio.pages.prompts import example_prompts
from studio.pages.shell import head
from studio.studio import Studio

EXAMPLES = 4
# So many people may ask at the same time; the chat worker puts their questions into one batch or in a row.
STREAMING = {"concurrency_limit": 8, "concurrency_id": "answers", **SLOW}
# The chosen models are in the address: a reload, a link and the way back show the same columns.
REMEMBER = """(model, chosen, ...rest) => {
  const kept = new URLSearchParams();
  if (model) kept.set('model', model);
  (chosen || []).slice(0, 3).forEach((id, place) => kept.set('abc'[place], id));
  history.replaceState(null, '', location.pathname + '?' + kept);
  return [model, chosen, ...rest];
}"""
REMEMBER_MODEL = f"(model, chosen, ...rest) => ({REMEMBER})(model, [], ...rest)"


@dataclass
class Layout:
    """The parts of the page, top to bottom."""

    model: gr.Dropdown
    chosen: gr.Dropdown
    sampling: list[gr.components.Component]
    answers: gr.HTML
    news: gr.HTML
    examples: list[gr.Button]
    prompt: gr.Textbox
    send: gr.Button
    stop: gr.Button
    retry: gr.Button
    clear: gr.Button
    differences: gr.HTML
    talk: gr.JSON
    """What was said in every column."""

    @property
    def drawn(self) -> list:
        return [self.talk, self.answers, self.differences]

    @property
    def live(self) -> list:
        """All that a question changes."""
        return [*self.drawn, self.prompt, self.send, self.stop, self.news]


def build(studio: Studio) -> None:
    head("Compare", "One question, one seed, every model at once.")
    with gr.Column(elem_classes=["ls-sec"]):
        model, chosen, sampling = settings()
    answers = copyable('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
    news = plain(visible=False)
    with gr.Row(elem_classes=["ls-examples"]):
        examples = [gr.Button("", size="sm", visible=False, scale=0, min_width=60) for _ in range(EXAMPLES)]
    with gr.Row(elem_classes=["ls-prompt"]):
        asked = {"label": "Question", "placeholder": "Ask all columns", "show_label": False, "container": False}
        prompt = gr.Textbox(lines=1, max_lines=6, scale=8, interactive=True, **asked)
        send = gr.Button("Send", variant="primary", scale=0, min_width=88)
        stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=88)
    with gr.Row(elem_classes=["ls-act"]):
        retry = gr.Button("Ask again", size="sm", scale=0, min_width=110)
        clear = gr.Button("Clear", size="sm", scale=0, min_width=90)
    with gr.Accordion("Word differences against the base", open=False):
        differences = plain(compare_view.differences([]))
    talk = gr.JSON({}, visible=False)
    page = Layout(model, chosen, sampling, answers, news, examples, prompt, send, stop, retry, clear, differences, talk)
    choosing(studio, page)
    asking(studio, page)


def settings() -> tuple[gr.Dropdown, gr.Dropdown, list]:
    """(base model, adapters, sampling), the rarely changed ones folded away."""
    with gr.Row(elem_classes=["ls-cmp"]):
        model = gr.Dropdown([], label="Base model", scale=3, min_width=180, interactive=True)
        several = {"multiselect": True, "max_choices": MOST_ADAPTERS}
        chosen = gr.Dropdown([], label="Adapters (up to 3)", scale=6, min_width=240, interactive=True, **several)
        temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", scale=3, min_width=150, interactive=True)
        limits = {"precision": 0, "minimum": 0, "maximum": 2**31 - 1}
        seed = gr.Number(0, label="Seed", scale=1, min_width=90, interactive=True, **limits)
    with gr.Accordion("System prompt, length and sampling", open=False):
        said = "Said to every column before the conversation. Empty: none."
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8, placeholder=said, interactive=True)
        with gr.Row():
            most = gr.Slider(16, 1024, 200, step=1, label="Longest answer (tokens)", interactive=True)
            top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p (with a temperature above 0)", interactive=True)
    return model, chosen, [system, most, temperature, top_p, seed]


def choosing(studio: Studio, page: Layout) -> None:
    """Which models answer. Another choice starts the conversation again: answers to different questions do not compare."""

    def opened(request: gr.Request):
        base, ids = models_in(studio, dict(request.query_params))
        return (*choices(studio, base, ids), *drawing(fresh(studio, base, ids)), *prompts(studio, base, ids))

    def other_model(base: str, _: Any):
        return (choices(studio, base, [])[1], *drawing(fresh(studio, base, [])), *prompts(studio, base, []))

    def other_adapters(base: str, ids: list[str], said: Any):
        return (*drawing(fresh(studio, base, ids)), *prompts(studio, base, ids), last_question(said))

    def cleared(base: str, ids: list[str]):
        return drawing(fresh(studio, base, ids))

    both, drawn = [page.model, page.chosen], [*page.drawn, *page.examples]
    on_load(plainly(opened), [*both, *drawn])
    page.model.input(plainly(other_model), both, [page.chosen, *drawn], js=REMEMBER_MODEL, **QUICK)
    page.chosen.input(plainly(other_adapters), [*both, page.talk], [*drawn, page.prompt], js=REMEMBER, **QUICK)
    page.clear.click(plainly(cleared), both, page.drawn, **QUICK)


def asking(studio: Studio, page: Layout) -> None:
    """A question to all columns at once, from the prompt, an example, or asked again; and its end before its time."""

    async def ask(question: str, said: Any, *sampled: Any):
        held = Talk()
        try:
            held = read_talk(said)
            async with contextlib.aclosing(answering(studio, question, held, *sampled)) as messages:
                async for message in messages:
                    yield screen(held, "", message, busy=True)
            yield screen(held, "", "")
        except Exception as error:
            left = question if held.give_up() else gr.skip()
            told = parts.error_banner(error) if isinstance(error, StudioError) else ""
            yield screen(held, left, told) if held.columns else screen_kept(left, told)
            if not told:
                raise as_toast(error) from error

    def stopped(said: Any):
        held = read_talk(said)
        held.end()
        return screen(held, gr.skip(), "")

    def again(said: Any):
        held = read_talk(said)
        return held.take_back(), held.model_dump()

    question = {"fn": ask, "inputs": [page.prompt, page.talk, *page.sampling], "outputs": page.live, **STREAMING}
    asked = [gr.on([page.send.click, page.prompt.submit], **question)]
    filled = [example.click(lambda words: words, example, page.prompt, **QUICK) for example in page.examples]
    asked += [event.then(**question) for event in filled]
    asked.append(page.retry.click(plainly(again), page.talk, [page.prompt, page.talk], **QUICK).then(**question))
    page.stop.click(plainly(stopped), page.talk, page.live, cancels=asked, **QUICK)


def screen(held: Talk, prompt: Any, above: str, busy: bool = False) -> tuple:
    """All that a question changes: conversation, columns, differences, prompt, its two buttons, and the banner."""
    return (*drawing(held, busy), prompt, gr.update(visible=not busy), gr.update(visible=busy), said_above(above))


def screen_kept(prompt: Any, above: str) -> tuple:
    """The same with the columns as they are."""
    return (*[gr.skip()] * 3, prompt, gr.update(visible=True), gr.update(visible=False), said_above(above))


def choices(studio: Studio, base: str, ids: list[str]) -> tuple[Any, Any]:
    """The two lists to choose from: base models, and the adapters of this base."""
    models = [(model.name, model.id) for model in ready_models(studio)]
    of_base = adapters.list_adapters(studio, base_model=base, limit=MOST).items if base else []
    named = [(adapter.name, adapter.id) for adapter in of_base]
    return gr.update(choices=models, value=base or None), gr.update(choices=named, value=ids)


def drawing(held: Talk, busy: bool = False) -> tuple[dict, str, Any]:
    """(the conversation, its columns drawn, the differences drawn); differences only when the answers are there."""
    marked = gr.skip() if busy else compare_view.differences(differing(held))
    return held.model_dump(), compare_view.columns(held), marked


def said_above(html: str) -> Any:
    """A banner above the columns; no room is kept for one that says nothing."""
    return gr.update(value=html, visible=bool(html))


def prompts(studio: Studio, base: str, ids: list[str]) -> list[Any]:
    found = example_prompts(studio, base, ids, EXAMPLES)
    unused = [gr.update(visible=False)] * (EXAMPLES - len(found))
    return [*(gr.update(value=words, visible=True) for words in found), *unused]


PAGE = Page(title="Compare", path="compare", build=build, icon="compare", order=60)
