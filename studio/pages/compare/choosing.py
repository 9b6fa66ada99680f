"""Which models answer on the Compare page. Other ones start the conversation again: answers to different questions do not compare."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.pages import parts
from studio.pages.compare import hidden, lineup_view
from studio.pages.compare.address import REMEMBER, blind_in, settings_in
from studio.pages.compare.conversation import Talk, read_talk
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

if TYPE_CHECKING:
    from studio.pages.compare.page import Layout

# An event that had to wait for the one before it comes with that one's data (Gradio 6.31): what counts is read when it is sent.
AS_IT_IS_NOW = "(talk, lineup, _) => [talk, lineup, window.studioCompare.said()]"


def wire(studio: Studio, page: "Layout") -> None:
    def opened(request: gr.Request):
        query = dict(request.query_params)
        base, lineup, lost = models_in(studio, query)
        (hide, id), sampled = blind_in(query), settings_in(query)
        held = hidden.opened(studio, id, base, lineup, sampled) if id else None
        held = held or begun(studio, base, lineup, hide)
        bases = gr.update(choices=[(model.name, model.id) for model in ready_models(studio)], value=base or None)
        return (
            bases,
            hide,
            *sampled,
            *chosen(studio, base, lineup, hide),
            *drawing(held),
            left_out(lost),
            *examples(base, lineup),
        )

    def examples(base: str, lineup: LineUp) -> list:
        return prompts(studio, base, lineup, len(page.examples))

    def anew(base: str, lineup: LineUp, hide: bool):
        drawn = drawing(begun(studio, base, lineup, hide))
        return *chosen(studio, base, lineup, hide), *drawn, shown_if_any(""), *examples(base, lineup)

    def other_model(base: str, hide: bool):
        newest = [id for id, _ in offers_of(studio, base).adapters[:1]]
        return anew(base, LineUp(columns=[column_of(who) for who in (BASE, *newest)]), hide)

    def arrange(base: str, hide: bool, said: Any, event: gr.EventData):
        told = event._data if isinstance(event._data, dict) else {}
        lineup = said_in(told.get("columns"))
        offers = offers_of(studio, base, lineup.columns)
        lineup = arranged(lineup, str(told.get("act")), int(told.get("place") or 0), str(told.get("value", "")), offers)
        return *anew(base, lineup, hide), last_question(said)

    def hide_names(base: str, hide: bool, lineup: Any, said: Any):
        return *anew(base, read_lineup(lineup), hide), last_question(said)

    async def adjusted(said: Any, before: Any, columns: Any):
        try:
            lineup = said_in(columns)
            await reweigh(studio, read_talk(said), read_lineup(before), lineup)
            return kept(lineup)
        except Exception as error:
            raise as_toast(error) from error

    def cleared(base: str, lineup: Any, hide: bool):
        return *drawing(begun(studio, base, read_lineup(lineup), hide)), shown_if_any("")

    who = [page.lineup, page.who]
    anew_at = [*who, *page.drawn, page.news, *page.examples]
    on_load(plainly(opened), [page.model, page.blind, *page.sampling, *anew_at])
    page.model.input(plainly(other_model), [page.model, page.blind], anew_at, **QUICK)
    each = {"trigger_mode": "multiple", **QUICK}
    page.who.select(plainly(arrange), [page.model, page.blind, page.talk], [*anew_at, page.prompt], **each)
    latest = {"trigger_mode": "always_last", "js": AS_IT_IS_NOW, **QUICK}
    page.who.input(adjusted, [page.talk, page.lineup, page.lineup], page.lineup, **latest)
    hiding = [page.model, page.blind, page.lineup, page.talk]
    page.blind.input(plainly(hide_names), hiding, [*anew_at, page.prompt], **QUICK)
    page.clear.click(plainly(cleared), page.chosen, [*page.drawn, page.news], **QUICK)
    inputs = [*page.chosen, page.talk, *page.sampling]
    changes = [part.input for part in (page.model, page.blind, *page.sampling)]
    gr.on([*changes, page.talk.change, page.lineup.change], None, inputs, None, js=REMEMBER, **QUICK)


def begun(studio: Studio, base: str, lineup: LineUp, hide: bool) -> Talk:
    """An empty conversation with these models, their names shown or hidden."""
    return hidden.fresh(lineup) if hide else fresh(base, lineup, offers_of(studio, base, lineup.columns))


def chosen(studio: Studio, base: str, lineup: LineUp, hide: bool) -> tuple[dict, str]:
    """The line-up, as it is kept and as it is drawn."""
    return kept(lineup), lineup_view.drawn(lineup, offers_of(studio, base, lineup.columns), hide)


def left_out(count: int) -> Any:
    """What to say when the address names somebody who cannot answer."""
    words = "They may have been deleted, belong to another base model, or be a checkpoint that its run no longer keeps."
    title = f"{count} of the columns in this address cannot answer and {'is' if count == 1 else 'are'} left out."
    return shown_if_any(parts.banner("warn", title, words) if count else "")


def prompts(studio: Studio, base: str, lineup: LineUp, most: int) -> list[Any]:
    ids = [
        id for column in lineup.columns for id in (column.adapter, *(part.adapter for part in column.mix or ())) if id
    ]
    found = example_prompts(studio, base, ids, most)
    unused = [gr.update(visible=False)] * (most - len(found))
    return [*(gr.update(value=words, visible=True) for words in found), *unused]
