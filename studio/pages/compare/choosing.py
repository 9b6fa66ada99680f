"""Which models answer on the Compare page. Other ones start the conversation again: answers to different questions do not compare."""

from typing import Any

import gradio as gr

from studio.pages import parts
from studio.pages.compare import hidden, lineup_view, stored
from studio.pages.compare.address import REMEMBER, blind_in, settings_in, talk_in
from studio.pages.compare.conversation import Talk, read_talk
from studio.pages.compare.layout import Layout
from studio.pages.compare.lineup import (
    BASE,
    LineUp,
    arranged,
    column_of,
    offers_of,
    read_lineup,
    said_in,
)
from studio.pages.compare.prompts import example_prompts
from studio.pages.compare.screen import drawing, kept, shown_if_any
from studio.pages.compare.talking import fresh, last_question, models_in, ready_models, reweigh
from studio.pages.errors import as_toast, plainly
from studio.pages.events import QUICK, on_load
from studio.studio import Studio

# An event that had to wait for the one before it comes with that one's data (Gradio 6.31): what counts is read when it is sent.
AS_IT_IS_NOW = "(talk, lineup, _) => [talk, lineup, window.studioCompare.said()]"


def wire(studio: Studio, page: Layout) -> None:
    opening(studio, page)
    beginning_anew(studio, page)
    going_on(studio, page)
    inputs = [*page.chosen, page.talk, *page.sampling]
    changes = [part.input for part in (page.model, page.blind, *page.sampling)]
    gr.on([*changes, page.talk.change, page.lineup.change], None, inputs, None, js=REMEMBER, **QUICK)


def opening(studio: Studio, page: Layout) -> None:
    """The page as its address wants it, with the conversation that stood there."""

    def opened(request: gr.Request):
        query = dict(request.query_params)
        base, lineup, lost = models_in(studio, query)
        (hide, id), sampled = blind_in(query), settings_in(query)
        held, said = begun(studio, base, lineup, hide), left_out(lost)
        if hide:
            held = (hidden.opened(studio, id, base, lineup, sampled) if id else None) or held
        elif ids := talk_in(query):
            held, problem = stored.opened(studio, ids, held, lineup, int(sampled[-1]))
            said += problem
        bases = gr.update(choices=[(model.name, model.id) for model in ready_models(studio)], value=base or None)
        return bases, hide, *sampled, *anew(studio, page, held, base, lineup, hide, said)

    on_load(plainly(opened), [page.model, page.blind, *page.sampling, *anew_at(page)])


def beginning_anew(studio: Studio, page: Layout) -> None:
    """What ends a conversation: another base model, other columns, names hidden or shown; the question stays in the prompt."""

    def begin(base: str, lineup: LineUp, hide: bool):
        return anew(studio, page, begun(studio, base, lineup, hide), base, lineup, hide)

    def other_model(base: str, hide: bool):
        newest = [id for id, _ in offers_of(studio, base).adapters[:1]]
        return begin(base, LineUp(columns=[column_of(who) for who in (BASE, *newest)]), hide)

    def arrange(base: str, hide: bool, said: Any, event: gr.EventData):
        told = event._data if isinstance(event._data, dict) else {}
        lineup = said_in(told.get("columns"))
        offers = offers_of(studio, base, lineup.columns)
        lineup = arranged(lineup, str(told.get("act")), int(told.get("place") or 0), str(told.get("value", "")), offers)
        return *begin(base, lineup, hide), last_question(said)

    def hide_names(base: str, hide: bool, lineup: Any, said: Any):
        return *begin(base, read_lineup(lineup), hide), last_question(said)

    def cleared(base: str, lineup: Any, hide: bool):
        return *drawing(begun(studio, base, read_lineup(lineup), hide)), shown_if_any("")

    drawn, models = anew_at(page), [page.model, page.blind]
    page.model.input(plainly(other_model), models, drawn, **QUICK)
    each = {"trigger_mode": "multiple", **QUICK}
    page.who.select(plainly(arrange), [*models, page.talk], [*drawn, page.prompt], **each)
    hiding = [*models, page.lineup, page.talk]
    page.blind.input(plainly(hide_names), hiding, [*drawn, page.prompt], **QUICK)
    page.clear.click(plainly(cleared), page.chosen, [*page.drawn, page.news], **QUICK)


def going_on(studio: Studio, page: Layout) -> None:
    """Weights of a mix and what a column has of its own change while the conversation goes on."""

    async def adjusted(said: Any, before: Any, columns: Any):
        try:
            lineup = said_in(columns)
            await reweigh(studio, read_talk(said), read_lineup(before), lineup)
            return kept(lineup)
        except Exception as error:
            raise as_toast(error) from error

    latest = {"trigger_mode": "always_last", "js": AS_IT_IS_NOW, **QUICK}
    page.who.input(adjusted, [page.talk, page.lineup, page.lineup], page.lineup, **latest)


def anew_at(page: Layout) -> list:
    """Where `anew` is drawn."""
    return [page.lineup, page.who, *page.drawn, page.news, *page.examples]


def anew(
    studio: Studio, page: Layout, held: Talk, base: str, lineup: LineUp, hide: bool, said: str = ""
) -> tuple:  # fmt: skip
    """This conversation with these models: the line-up, the columns, what is said above the prompt, and questions to try."""
    examples = prompts(studio, base, lineup, len(page.examples))
    return *chosen(studio, base, lineup, hide), *drawing(held), shown_if_any(said), *examples


def begun(studio: Studio, base: str, lineup: LineUp, hide: bool) -> Talk:
    """An empty conversation with these models, their names shown or hidden."""
    return hidden.fresh(lineup) if hide else fresh(base, lineup, offers_of(studio, base, lineup.columns))


def chosen(studio: Studio, base: str, lineup: LineUp, hide: bool) -> tuple[dict, str]:
    """The line-up, as it is kept and as it is drawn."""
    return kept(lineup), lineup_view.drawn(lineup, offers_of(studio, base, lineup.columns), hide)


def left_out(count: int) -> str:
    """What to say when the address names somebody who cannot answer."""
    words = "They may have been deleted, belong to another base model, or be a checkpoint that its run no longer keeps."
    title = f"{count} of the columns in this address cannot answer and {'is' if count == 1 else 'are'} left out."
    return parts.banner("warn", title, words) if count else ""


def prompts(studio: Studio, base: str, lineup: LineUp, most: int) -> list[Any]:
    ids = [
        id for column in lineup.columns for id in (column.adapter, *(part.adapter for part in column.mix or ())) if id
    ]
    found = example_prompts(studio, base, ids, most)
    unused = [gr.update(visible=False)] * (most - len(found))
    return [*(gr.update(value=words, visible=True) for words in found), *unused]
