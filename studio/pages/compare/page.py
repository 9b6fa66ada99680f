"""Compare: the same question to the base and to its adapters, answered side by side, with their names or without."""

import contextlib
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import adapters
from studio.errors import StudioError
from studio.listing import MOST
from studio.pages import parts
from studio.pages.compare import hidden, view
from studio.pages.compare.address import REMEMBER, blind_in, settings_in
from studio.pages.compare.conversation import Talk, read_talk
from studio.pages.compare.prompts import example_prompts
from studio.pages.compare.talking import (
    MOST_ADAPTERS,
    answering,
    answering_again,
    differing,
    fresh,
    last_question,
    models_in,
    ready_models,
)
from studio.pages.copying import COPY
from studio.pages.errors import as_toast, plainly
from studio.pages.events import CLICKS, QUICK, SLOW, clickable, clicked, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.studio import Studio

EXAMPLES = 4
# So many people may ask at the same time; the chat worker puts their questions into one batch or in a row.
STREAMING = {"concurrency_limit": 8, "concurrency_id": "answers", **SLOW}
# Keys press the vote's buttons while the focus is on the ballot: a vote stands, and no stray key may cast it.
KEYS = """
document.addEventListener('keydown', (event) => {
  const ballot = event.target.closest && event.target.closest('.ls-votes');
  if (!ballot || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = ballot.querySelector('button[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]');
  if (button && !button.disabled) button.click();
});
"""
# Whoever has sent a question and begun no other one is led to the ballot when it opens.
TO_THE_VOTE = """() => {
  const at = document.activeElement, ballot = document.querySelector('.ls-votes'), prompt = document.querySelector('.ls-prompt');
  const waits = !at || at === document.body || (prompt.contains(at) && !prompt.querySelector('textarea').value);
  if (waits && ballot && ballot.querySelector('button:not(:disabled)')) ballot.focus({ preventScroll: true });
}"""


@dataclass
class Layout:
    """The parts of the page, top to bottom."""

    model: gr.Dropdown
    chosen: gr.Dropdown
    blind: gr.Checkbox
    sampling: list[gr.components.Component]
    answers: gr.HTML
    ballot: gr.HTML
    news: gr.HTML
    examples: list[gr.Button]
    prompt: gr.Textbox
    send: gr.Button
    stop: gr.Button
    retry: gr.Button
    edit: gr.Button
    clear: gr.Button
    differences: gr.HTML
    talk: gr.JSON
    """What was said in every column."""

    @property
    def drawn(self) -> list:
        return [self.talk, self.answers, self.differences, self.ballot]

    @property
    def models(self) -> list:
        return [self.model, self.chosen, self.blind]

    @property
    def live(self) -> list:
        """All that a question changes."""
        return [*self.drawn, self.prompt, self.send, self.stop, self.news]


def build(studio: Studio) -> None:
    more = parts.button("Suites", "/suites", small=True) + parts.button("Votes so far", "/votes", small=True)
    head("Compare", "One question, one seed, every model at once.", more)
    with gr.Column(elem_classes=["ls-sec"]):
        model, chosen, blind, sampling = settings()
    loading = '<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>'
    answers = gr.HTML(loading, elem_classes=["ls-plain"], js_on_load=COPY + CLICKS + KEYS, apply_default_css=False)
    ballot = clickable(visible=False)
    news = plain(visible=False)
    with gr.Row(elem_classes=["ls-examples"]):
        examples = [gr.Button("", size="sm", visible=False, scale=0, min_width=60) for _ in range(EXAMPLES)]
    with gr.Row(elem_classes=["ls-prompt"]):
        asked = {
            "label": "Question",
            "placeholder": "Ask all columns (Enter sends)",
            "show_label": False,
            "container": False,
        }
        prompt = gr.Textbox(lines=1, max_lines=6, scale=8, interactive=True, **asked)
        send = gr.Button("Send", variant="primary", scale=0, min_width=88)
        stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=88)
    with gr.Row(elem_classes=["ls-act"]):
        retry = gr.Button("Ask again", size="sm", scale=0, min_width=110)
        edit = gr.Button("Edit the question", size="sm", scale=0, min_width=150)
        clear = gr.Button("Clear", size="sm", scale=0, min_width=90)
    with gr.Accordion("Word differences against the base", open=False):
        differences = plain(view.differences([]))
    talk = gr.JSON({}, visible=False)
    page = Layout(
        model, chosen, blind, sampling, answers, ballot, news, examples, prompt, send, stop, retry, edit, clear, differences, talk
    )  # fmt: skip
    choosing(studio, page)
    asking(studio, page)
    voting(studio, page)


def settings() -> tuple[gr.Dropdown, gr.Dropdown, gr.Checkbox, list]:
    """(base model, adapters, blind, sampling), the rarely changed ones folded away."""
    with gr.Row(elem_classes=["ls-cmp"]):
        model = gr.Dropdown([], label="Base model", scale=3, min_width=180, interactive=True)
        several = {"multiselect": True, "max_choices": MOST_ADAPTERS}
        chosen = gr.Dropdown([], label="Adapters (up to 3)", scale=6, min_width=240, interactive=True, **several)
        temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", scale=3, min_width=150, interactive=True)
        limits = {"precision": 0, "minimum": 0, "maximum": 2**31 - 1}
        seed = gr.Number(0, label="Seed", scale=1, min_width=90, interactive=True, **limits)
        hint = {"info": "Names come after your vote", "elem_classes": ["ls-blind"]}
        blind = gr.Checkbox(False, label="Blind", scale=1, min_width=150, interactive=True, **hint)
    with gr.Accordion("System prompt, length and sampling", open=False):
        said = "Said to every column before the conversation. Empty: none."
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8, placeholder=said, interactive=True)
        with gr.Row():
            most = gr.Slider(16, 1024, 200, step=1, label="Longest answer (tokens)", interactive=True)
            top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p (with a temperature above 0)", interactive=True)
    return model, chosen, blind, [system, most, temperature, top_p, seed]


def choosing(studio: Studio, page: Layout) -> None:
    """Which models answer. Another choice starts the conversation again: answers to different questions do not compare."""

    def opened(request: gr.Request):
        query = dict(request.query_params)
        base, ids = models_in(studio, query)
        (hide, id), sampled = blind_in(query), settings_in(query)
        held = hidden.opened(studio, id, base, ids, sampled) if id else None
        held = held or begun(studio, base, ids, hide)
        return (*choices(studio, base, ids), hide, *sampled, *drawing(held), *prompts(studio, base, ids))

    def other_model(base: str, _: Any, hide: bool):
        return (choices(studio, base, [])[1], *drawing(begun(studio, base, [], hide)), *prompts(studio, base, []))

    def others(base: str, ids: list[str], hide: bool, said: Any):
        return (*drawing(begun(studio, base, ids, hide)), *prompts(studio, base, ids), last_question(said))

    def cleared(base: str, ids: list[str], hide: bool):
        return (*drawing(begun(studio, base, ids, hide)), shown_if_any(""))

    drawn = [*page.drawn, *page.examples]
    on_load(plainly(opened), [*page.models, *page.sampling, *drawn])
    page.model.input(plainly(other_model), page.models, [page.chosen, *drawn], **QUICK)
    changed = [page.chosen.input, page.blind.input]
    gr.on(changed, plainly(others), [*page.models, page.talk], [*drawn, page.prompt], **QUICK)
    page.clear.click(plainly(cleared), page.models, [*page.drawn, page.news], **QUICK)
    inputs = [*page.models, page.talk, *page.sampling]
    kept = [part.input for part in (*page.models, *page.sampling)] + [page.talk.change]
    gr.on(kept, None, inputs, None, js=REMEMBER, **QUICK)


def asking(studio: Studio, page: Layout) -> None:
    """A question to all columns at once, from the prompt, an example, or asked again; and its end before its time."""

    async def ask(question: str, said: Any, base: str, ids: list[str], hide: bool, *sampled: Any):
        held = Talk()
        try:
            held = read_talk(said)
            way = (hidden.answering, base, ids) if hide else (answering,)
            answers = way[0](studio, question, held, *way[1:], *sampled)
            async with contextlib.aclosing(answers) as messages:
                async for message in messages:
                    yield screen(held, "", message, busy=True)
            yield screen(held, "", "")
        except Exception as error:
            yield failed(held, error, question if held.give_up() else gr.skip())
            if not isinstance(error, StudioError):
                raise as_toast(error) from error

    async def ask_one(said: Any, system: str, most: int, heat: float, top_p: float, seed: int, event: gr.EventData):
        held = Talk()
        try:
            held, (_, place) = read_talk(said), clicked(event)
            sampled = (system, most, heat, top_p, seed)
            async with contextlib.aclosing(answering_again(studio, place, held, *sampled)) as messages:
                async for message in messages:
                    yield screen(held, gr.skip(), message, busy=True)
            yield screen(held, gr.skip(), message)
        except Exception as error:
            held.end()
            yield failed(held, error, gr.skip())
            if not isinstance(error, StudioError):
                raise as_toast(error) from error

    def stopped(said: Any):
        held = read_talk(said)
        held.end()
        return screen(held, gr.skip(), "")

    def again(said: Any):
        held = read_talk(said)
        return hidden.take_back(studio, held), held.model_dump()

    def edited(said: Any):
        held = read_talk(said)
        return screen(held, hidden.take_back(studio, held), "")

    inputs = [page.prompt, page.talk, *page.models, *page.sampling]
    question = {"fn": ask, "inputs": inputs, "outputs": page.live, **STREAMING}
    asked = [gr.on([page.send.click, page.prompt.submit], **question)]
    filled = [example.click(lambda words: words, example, page.prompt, **QUICK) for example in page.examples]
    asked += [event.then(**question) for event in filled]
    asked.append(page.retry.click(plainly(again), page.talk, [page.prompt, page.talk], **QUICK).then(**question))
    for event in asked:
        event.then(None, js=TO_THE_VOTE, **QUICK)
    one = {"fn": ask_one, "inputs": [page.talk, *page.sampling], "outputs": page.live, **STREAMING}
    asked.append(page.answers.click(**one))
    page.edit.click(plainly(edited), page.talk, page.live, **QUICK)
    page.stop.click(plainly(stopped), page.talk, page.live, cancels=asked, **QUICK)


def voting(studio: Studio, page: Layout) -> None:
    """The vote, and then the names."""

    def voted(said: Any, ids: list[str], event: gr.EventData):
        choice = clicked(event)[1]
        revealed = hidden.vote(studio, read_talk(said), choice, ids)
        said = view.verdict(revealed, choice, hidden.standing(studio, revealed))
        return (*drawing(revealed), shown_if_any(said))

    page.ballot.click(plainly(voted), [page.talk, page.chosen], [*page.drawn, page.news], **QUICK)


def begun(studio: Studio, base: str, ids: list[str], hide: bool) -> Talk:
    """An empty conversation with these models, their names shown or hidden."""
    return hidden.fresh(base, ids) if hide else fresh(studio, base, ids)


def failed(held: Talk, error: Exception, prompt: Any) -> tuple:
    """The screen after an error, which is told above the columns when it is one for the person."""
    told = parts.error_banner(error) if isinstance(error, StudioError) else ""
    return screen(held, prompt, told) if held.columns else screen_kept(prompt, told)


def screen(held: Talk, prompt: Any, above: str, busy: bool = False) -> tuple:
    """All that a question changes: conversation, columns, differences, prompt, its two buttons, and the banner."""
    return (*drawing(held, busy), prompt, gr.update(visible=not busy), gr.update(visible=busy), shown_if_any(above))


def screen_kept(prompt: Any, above: str) -> tuple:
    """The same with the columns as they are."""
    return (*[gr.skip()] * 4, prompt, gr.update(visible=True), gr.update(visible=False), shown_if_any(above))


def choices(studio: Studio, base: str, ids: list[str]) -> tuple[Any, Any]:
    """The two lists to choose from: base models, and the adapters of this base."""
    models = [(model.name, model.id) for model in ready_models(studio)]
    of_base = adapters.list_adapters(studio, base_model=base, limit=MOST).items if base else []
    named = [(adapter.name, adapter.id) for adapter in of_base]
    return gr.update(choices=models, value=base or None), gr.update(choices=named, value=ids)


def drawing(held: Talk, busy: bool = False) -> tuple[dict, str, Any, Any]:
    """(the conversation, its columns, the differences, the ballot); differences only when the answers are there."""
    marked = gr.skip() if busy else view.differences(differing(held), held.hidden)
    return held.model_dump(), view.columns(held), marked, shown_if_any(view.ballot(held, busy))


def shown_if_any(html: str) -> Any:
    """Something that is not always there; no room is kept for what says nothing."""
    return gr.update(value=html, visible=bool(html))


def prompts(studio: Studio, base: str, ids: list[str]) -> list[Any]:
    found = example_prompts(studio, base, ids, EXAMPLES)
    unused = [gr.update(visible=False)] * (EXAMPLES - len(found))
    return [*(gr.update(value=words, visible=True) for words in found), *unused]


PAGE = Page(title="Compare", path="compare", build=build, icon="compare", order=60)
