"""What an adapter has forgotten, on its own page and on its training's: told by the neutral questions, or offered to be looked at."""

from collections.abc import Callable

import gradio as gr
from sqlalchemy import select

from studio import adapters
from studio.errors import NotFound
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import QUICK, action, clickable, clicked, every, on_load
from studio.pages.suites import run_view, view
from studio.records import Adapter
from studio.studio import Studio
from studio.suites import lists, runs
from studio.suites.builtin import NEUTRAL, longest_answer
from studio.suites.forgetting import Forgetting, being_looked_at, forgetting_of
from studio.suites.runs import SuiteRunRequest

REFRESH_SECONDS = 4
SHOWN_RUNS = 5
OFFER = (
    "Base and adapter answer plain questions that any chat model should; what only the base gets right is forgotten."
)


def of_run(studio: Studio, id: str) -> Adapter | None:
    """The adapter that a training has made."""
    with studio.database.read() as session:
        return session.scalar(select(Adapter).where(Adapter.run == id).order_by(Adapter.created_at).limit(1))


def of_adapter(studio: Studio, id: str) -> Adapter | None:
    try:
        return adapters.get_adapter(studio, id)
    except NotFound:
        return None


def forgotten(studio: Studio, of: Callable[[Studio, str], Adapter | None]) -> None:
    """A place that follows the adapter that the address names, by `of`."""
    place = clickable(visible=False)
    seen = gr.Textbox("", visible=False)

    def look(request: gr.Request, before: str | None = None):
        adapter = of(studio, request.query_params.get("id", ""))
        html = drawn(studio, adapter) if adapter else ""
        return (gr.skip(), gr.skip()) if html == before else (gr.update(value=html, visible=bool(html)), html)

    def tick(before: str, request: gr.Request):
        return look(request, before)

    def opened(request: gr.Request):
        return look(request)

    def act(request: gr.Request, event: gr.EventData):
        adapter = of(studio, request.query_params.get("id", ""))
        if adapter and clicked(event)[0] == "look":
            ask_neutral(studio, adapter)
        return look(request)

    on_load(plainly(opened), [place, seen])
    every(REFRESH_SECONDS, plainly(tick), [place, seen], seen)
    place.click(plainly(act), None, [place, seen], **QUICK)


def ask_neutral(studio: Studio, adapter: Adapter) -> None:
    """Have base and adapter answer the neutral questions, unless they are being asked already."""
    if being_looked_at(studio, adapter.id):
        return
    suite = lists.get_suite(studio, NEUTRAL)
    values = {"base_model": adapter.base_model, "columns": [{"adapter": None}, {"adapter": adapter.id}]}
    longest = longest_answer(suite)
    request = SuiteRunRequest.model_validate({**values, **({"max_new_tokens": longest} if longest else {})})
    runs.queue_suite_run(studio, suite.id, request, training=adapter.run)


def drawn(studio: Studio, adapter: Adapter) -> str:
    """The card, and the latest runs of any suite with this adapter."""
    found = runs.list_suite_runs(studio, adapter=adapter.id, limit=SHOWN_RUNS).items
    return f'<div class="ls-one ls-gap-below">{_card(studio, adapter)}{view.runs_of(found, "Suites it has answered")}</div>'


def _card(studio: Studio, adapter: Adapter) -> str:
    again = action("Look again", "look", adapter.id)
    more = parts.button("Run another suite", f"/suites?adapter={adapter.id}", small=True)
    if open_run := being_looked_at(studio, adapter.id):
        link = parts.button("Look at it", f"/answers?id={open_run.id}", small=True)
        return parts.banner("info", "What it has forgotten is being looked at.", run_view.in_short(open_run), link)
    if told := forgetting_of(studio, adapter.id):
        return parts.banner("warn" if told.forgot else "ok", told.title, told.sentence, _answers(told) + again + more)
    ask = action("Look", "look", adapter.id, label="Look what it has forgotten")
    return parts.banner("info", "What has it forgotten?", OFFER, ask + more)


def _answers(told: Forgetting) -> str:
    show = "&show=worse" if told.paired["lost"] else ""
    return parts.button("The answers", f"/answers?id={told.run.id}{show}", small=True)
