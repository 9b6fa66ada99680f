"""Compare: the same question to the base and to its adapters, answered side by side."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from studio import adapters, base_models, compare
from studio.errors import Invalid, StudioError
from studio.listing import MOST
from studio.pages import compare_view, parts
from studio.pages.conversation import Column, Talk, read_talk
from studio.pages.copying import copyable
from studio.pages.errors import as_toast, plainly
from studio.pages.events import QUICK, SLOW, on_load, plain
from studio.pages.page import Page
from studio.pages.prompts import example_prompts
from studio.pages.shell import head
from studio.records import LOCAL_PERSON
from studio.studio import Studio

MOST_ADAPTERS = 3
EXAMPLES = 4
DRAW_SECONDS = 0.1  # between two drawings of growing answers
STREAMS = 8  # people who ask at the same time; the chat worker puts their questions into one batch or in a row
# The chosen models are in the address: a reload, a link and the way back show the same columns.
REMEMBER = """(model, chosen, ...rest) => {
  const kept = new URLSearchParams();
  if (model) kept.set('model', model);
  (chosen || []).slice(0, 3).forEach((id, place) => kept.set('abc'[place], id));
  history.replaceState(null, '', location.pathname + '?' + kept);
  return [model, chosen, ...rest];
}"""
REMEMBER_MODEL = f"(model, chosen, ...rest) => ({REMEMBER})(model, [], ...rest)"


def build(studio: Studio) -> None:
    head("Compare", "One question, one seed, every model at once.")
    with gr.Column(elem_classes=["ls-sec"]):
        with gr.Row(elem_classes=["ls-cmp"]):
            model = gr.Dropdown([], label="Base model", scale=3, min_width=180, interactive=True)
            chosen = gr.Dropdown(
                [],
                label="Adapters (up to 3)",
                multiselect=True,
                max_choices=MOST_ADAPTERS,
                scale=6,
                min_width=240,
                interactive=True,
            )
            temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", scale=3, min_width=150, interactive=True)
            seed = gr.Number(
                0, precision=0, minimum=0, maximum=2**31 - 1, label="Seed", scale=1, min_width=90, interactive=True
            )
        with gr.Accordion("System prompt, length and sampling", open=False):
            system = gr.Textbox(
                label="System prompt",
                lines=2,
                max_lines=8,
                placeholder="Said to every column before the conversation. Empty: none.",
                interactive=True,
            )
            with gr.Row():
                most = gr.Slider(16, 1024, 200, step=1, label="Longest answer (tokens)", interactive=True)
                top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p (with a temperature above 0)", interactive=True)
    answers = copyable('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
    news = plain(visible=False)
    with gr.Row(elem_classes=["ls-examples"]):
        examples = [gr.Button("", size="sm", visible=False, scale=0, min_width=60) for _ in range(EXAMPLES)]
    with gr.Row(elem_classes=["ls-prompt"]):
        prompt = gr.Textbox(
            show_label=False,
            label="Question",
            placeholder="Ask all columns",
            lines=1,
            max_lines=6,
            container=False,
            scale=8,
            interactive=True,
        )
        send = gr.Button("Send", variant="primary", scale=0, min_width=88)
        stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=88)
    with gr.Row(elem_classes=["ls-act"]):
        retry = gr.Button("Ask again", size="sm", scale=0, min_width=110)
        clear = gr.Button("Clear", size="sm", scale=0, min_width=90)
    with gr.Accordion("Word differences against the base", open=False):
        differences = plain(compare_view.differences([]))
    talk = gr.JSON({}, visible=False)  # what was said in every column

    drawn = [talk, answers, differences]
    sampling = [system, most, temperature, top_p, seed]
    live = [*drawn, prompt, send, stop, news]

    def opened(request: gr.Request):
        wanted = dict(request.query_params)
        base, ids = models_in(studio, wanted)
        return (*choices(studio, base, ids), *drawing(fresh(studio, base, ids)), *prompts(studio, base, ids))

    def other_model(base: str, _: Any):
        return (choices(studio, base, [])[1], *drawing(fresh(studio, base, [])), *prompts(studio, base, []))

    def other_adapters(base: str, ids: list[str], said: Any):
        return (*drawing(fresh(studio, base, ids)), *prompts(studio, base, ids), last_question(said))

    def cleared(base: str, ids: list[str]):
        return drawing(fresh(studio, base, ids))

    def stopped(said: Any):
        held = read_talk(said)
        held.end()
        return screen(held, gr.skip(), "")

    def again(said: Any):
        held = read_talk(said)
        return held.take_back(), held.model_dump()

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

    on_load(plainly(opened), [model, chosen, *drawn, *examples])
    model.input(plainly(other_model), [model, chosen], [chosen, *drawn, *examples], js=REMEMBER_MODEL, **QUICK)
    chosen.input(plainly(other_adapters), [model, chosen, talk], [*drawn, *examples, prompt], js=REMEMBER, **QUICK)
    streaming = {"concurrency_limit": STREAMS, "concurrency_id": "answers", **SLOW}
    asked = [gr.on([send.click, prompt.submit], ask, [prompt, talk, *sampling], live, **streaming)]
    asked += [
        button.click(lambda words: words, button, prompt, **QUICK).then(
            ask, [prompt, talk, *sampling], live, **streaming
        )
        for button in examples
    ]
    asked += [
        retry.click(plainly(again), talk, [prompt, talk], **QUICK).then(
            ask, [prompt, talk, *sampling], live, **streaming
        )
    ]
    stop.click(plainly(stopped), talk, live, cancels=asked, **QUICK)
    clear.click(plainly(cleared), [model, chosen], drawn, **QUICK)


async def answering(studio: Studio, question: str, held: Talk, *sampled: Any) -> AsyncIterator[str]:
    """Put the question to every column of `held` and let the answers grow there; yields what to say above them.

    Closing it ends the answers.
    """
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one, or press one of the examples.")
    held.ask(question.strip())
    request = request_of(held, *sampled)
    yield ""
    message, drawn_at = "", 0.0
    async with contextlib.aclosing(compare.stream(studio, request, LOCAL_PERSON)) as events:
        async for event in events:
            message = parts.banner("info", event["notice"]) if "notice" in event else ""
            held.hear(event)
            if time.monotonic() - drawn_at >= DRAW_SECONDS:
                drawn_at = time.monotonic()
                yield message
    held.end()


def screen(held: Talk, prompt: Any, above: str, busy: bool = False) -> tuple:
    """All that a question changes: conversation, columns, differences, prompt, its two buttons, and the banner."""
    return (*drawing(held, busy), prompt, gr.update(visible=not busy), gr.update(visible=busy), said_above(above))


def screen_kept(prompt: Any, above: str) -> tuple:
    """The same with the columns as they are."""
    return (*[gr.skip()] * 3, prompt, gr.update(visible=True), gr.update(visible=False), said_above(above))


def request_of(
    held: Talk, system: str | None, most: int, temperature: float, top_p: float, seed: int
) -> compare.CompareRequest:
    columns = [
        {"adapter": column.adapter, "messages": [message.model_dump() for message in column.messages]}
        for column in held.columns
    ]
    if not columns:
        raise Invalid("No base model is chosen.", "Choose one above.")
    values = {
        "base_model": held.base_model,
        "messages": columns[0]["messages"],
        "columns": columns,
        "system": (system or "").strip() or None,
    }
    return compare.read_request(
        values
        | {
            "max_new_tokens": int(most),
            "temperature": float(temperature),
            "top_p": float(top_p),
            "seed": int(seed or 0),
        }
    )


def models_in(studio: Studio, query: dict[str, str]) -> tuple[str, list[str]]:
    """(base model, adapters) that the page's address names; the newest adapter on its base when it names none."""
    asked = [query[name] for name in "abc" if query.get(name)]
    known = [adapter for id in asked if (adapter := _found(studio, id))]
    if known:
        return known[0].base_model, [adapter.id for adapter in known if adapter.base_model == known[0].base_model]
    base = query.get("model") or None
    newest = adapters.list_adapters(studio, base_model=base, limit=1).items
    if newest and not asked:
        return newest[0].base_model, [newest[0].id]
    return base or next((model.id for model in ready_models(studio)), ""), []


def _found(studio: Studio, id: str):
    with contextlib.suppress(StudioError):
        return adapters.get_adapter(studio, id)
    return None


def ready_models(studio: Studio) -> list:
    return [model for model in base_models.list_models(studio, limit=MOST).items if model.state == "ready"]


def choices(studio: Studio, base: str, ids: list[str]) -> tuple[Any, Any]:
    """The two lists to choose from: base models, and the adapters of this base."""
    models = [(model.name, model.id) for model in ready_models(studio)]
    of_base = adapters.list_adapters(studio, base_model=base, limit=MOST).items if base else []
    return gr.update(choices=models, value=base or None), gr.update(
        choices=[(adapter.name, adapter.id) for adapter in of_base], value=ids
    )


def fresh(studio: Studio, base: str, ids: list[str]) -> Talk:
    """An empty conversation: the base, then these adapters of it."""
    if not base:
        return Talk()
    columns = [Column(name=f"{base_models.get_model(studio, base).name} (base)")]
    columns += [Column(adapter=id, name=adapters.get_adapter(studio, id).name) for id in (ids or [])[:MOST_ADAPTERS]]
    return Talk(base_model=base, columns=columns)


def drawing(held: Talk, busy: bool = False) -> tuple[dict, str, Any]:
    """(the conversation, its columns drawn, the differences drawn); differences only when the answers are there."""
    return (
        held.model_dump(),
        compare_view.columns(held),
        gr.skip() if busy else compare_view.differences(differing(held)),
    )


def differing(held: Talk) -> list[tuple[str, list]]:
    if not held.columns or not held.columns[0].answer:
        return []
    return [
        (column.name, compare.word_differences(held.columns[0].answer, column.answer))
        for column in held.columns[1:]
        if column.answer
    ]


def said_above(html: str) -> Any:
    """A banner above the columns; no room is kept for one that says nothing."""
    return gr.update(value=html, visible=bool(html))


def prompts(studio: Studio, base: str, ids: list[str]) -> list[Any]:
    found = example_prompts(studio, base, ids, EXAMPLES)
    return [gr.update(value=words, visible=True) for words in found] + [gr.update(visible=False)] * (
        EXAMPLES - len(found)
    )


def last_question(said: Any) -> str:
    with contextlib.suppress(StudioError):
        return read_talk(said).last_question
    return ""


PAGE = Page(title="Compare", path="compare", build=build, icon="compare", order=60)
