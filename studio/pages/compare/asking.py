"""Questions on the Compare page: to all columns at once, again, otherwise, to one alone; their end before their time; and the vote."""

import contextlib
from typing import Any

import gradio as gr

from studio.errors import Invalid, StudioError
from studio.pages import parts
from studio.pages.compare import hidden, view
from studio.pages.compare.conversation import Talk, read_talk
from studio.pages.compare.layout import Layout
from studio.pages.compare.lineup import LineUp, read_lineup
from studio.pages.compare.screen import drawing, failed, screen, shown_if_any
from studio.pages.compare.talking import answering, answering_again, stop_one
from studio.pages.errors import as_toast, plainly
from studio.pages.events import QUICK, SLOW, action, clicked
from studio.pages.versions import mending
from studio.studio import Studio

# So many people may ask at the same time; the chat worker puts their questions into one batch or in a row.
STREAMING = {"concurrency_limit": 8, "concurrency_id": "answers", **SLOW}
# Whoever has sent a question and begun no other one is led to the ballot when it opens.
TO_THE_VOTE = """() => {
  const at = document.activeElement, ballot = document.querySelector('.ls-votes'), prompt = document.querySelector('.ls-prompt');
  const waits = !at || at === document.body || (prompt.contains(at) && !prompt.querySelector('textarea').value);
  if (waits && ballot && ballot.querySelector('button:not(:disabled)')) ballot.focus({ preventScroll: true });
}"""
TO_THE_PROMPT = "() => setTimeout(() => { const at = document.querySelector('.ls-prompt textarea'); at.focus(); at.setSelectionRange(at.value.length, at.value.length); }, 50)"


def wire(studio: Studio, page: Layout) -> None:
    async def ask(question: str, said: Any, base: str, lineup: Any, hide: bool, *sampled: Any):
        held = Talk()
        try:
            held, lined = read_talk(said), read_lineup(lineup)
            if hide:
                answers = hidden.answering(studio, question, held, lined, base, *sampled)
            else:
                answers = answering(studio, question, held, lined, *sampled)
            message = ""
            async with contextlib.aclosing(answers) as messages:
                async for message in messages:
                    yield screen(held, "", message, busy=True)
            yield screen(held, "", message)
        except Exception as error:
            yield failed(held, error, question if held.give_up() else gr.skip())
            if not isinstance(error, StudioError):
                raise as_toast(error) from error

    async def ask_one(
        said: Any, lineup: Any, system: str, most: int, heat: float, top_p: float, seed: int, event: gr.EventData
    ):
        held = Talk()
        try:
            held, (_, place) = read_talk(said), clicked(event)
            sampled = (system, most, heat, top_p, seed)
            async with contextlib.aclosing(
                answering_again(studio, place, held, read_lineup(lineup), *sampled)
            ) as messages:
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

    inputs = [page.prompt, page.talk, *page.chosen, *page.sampling]
    question = {"fn": ask, "inputs": inputs, "outputs": page.live, **STREAMING}
    asked = [gr.on([page.send.click, page.prompt.submit], **question)]
    filled = [example.click(lambda words: words, example, page.prompt, **QUICK) for example in page.examples]
    asked += [event.then(**question) for event in filled]
    asked.append(page.retry.click(plainly(again), page.talk, [page.prompt, page.talk], **QUICK).then(**question))
    for event in asked:
        event.then(None, js=TO_THE_VOTE, **QUICK)
    one = {"fn": ask_one, "inputs": [page.talk, page.lineup, *page.sampling], "outputs": page.live, **STREAMING}
    asked.append(page.answers.click(**one))
    page.stop.click(plainly(stopped), page.talk, page.live, cancels=asked, **QUICK)
    changing(studio, page)
    voting(studio, page)


def changing(studio: Studio, page: Layout) -> None:
    """One answer that is stopped, a question that is asked otherwise, and an answer that is mended."""

    async def stopped_one(said: Any, event: gr.EventData):
        try:
            await stop_one(studio, read_talk(said), clicked(event)[1])
        except Exception as error:
            raise as_toast(error) from error

    def edited(said: Any, event: gr.EventData):
        held, (_, number) = read_talk(said), clicked(event)
        held.editing = int(number) if number.isdecimal() else -1
        question = held.question(held.editing)
        return held.model_dump(), question, shown_if_any(editing(held))

    def mended(said: Any, system: str | None, lineup: Any, event: gr.EventData):
        place = clicked(event)[1]
        return to_mend(
            studio, read_talk(said), read_lineup(lineup), system or "", int(place) if place.isdecimal() else -1
        )

    def as_it_was(said: Any):
        held = read_talk(said)
        held.editing = None
        return held.model_dump(), "", shown_if_any("")

    page.answers.input(stopped_one, page.talk, None, trigger_mode="multiple", **QUICK)
    prompting = [page.talk, page.prompt, page.news]
    page.answers.edit(plainly(edited), page.talk, prompting, **QUICK).success(None, js=TO_THE_PROMPT, **QUICK)
    mending_of = [page.talk, page.sampling[0], page.lineup]
    page.answers.select(plainly(mended), mending_of, page.mend.outputs, **QUICK).success(
        None, js=mending.FOCUS, **QUICK
    )
    page.news.click(plainly(as_it_was), page.talk, prompting, **QUICK).success(None, js=TO_THE_PROMPT, **QUICK)


def to_mend(studio: Studio, held: Talk, lineup: LineUp, system: str, place: int) -> list:
    """The dialog in which the last answer of the column at this place is mended."""
    column = held.columns[place] if 0 <= place < len(held.columns) else None
    if column is None or not column.answer or held.hidden:
        raise Invalid("This column has no answer yet.", "Ask a question first.")
    own = lineup.columns[place].system if not held.blind and place < len(lineup.columns) else None
    told = (system if own is None else own).strip()
    messages = [message.model_dump() for message in column.messages[:-1]]
    adapter = column.who if view.kind_of(column.who) == "adapter" else None
    return mending.opened(studio, [{"role": "system", "content": told}] * bool(told) + messages, column.answer, adapter)


def editing(held: Talk) -> str:
    """What is about to happen to the conversation, and the way back."""
    after = held.questions - (held.editing or 0) - 1
    gone = (
        " Its answers, and what was asked after it, are then replaced." if after else " Its answers are then replaced."
    )
    keep = action("Leave it as it was", "keep", "")
    return parts.banner(
        "info", f"You are editing question {(held.editing or 0) + 1}.", f"Send it to ask it anew.{gone}", keep
    )


def voting(studio: Studio, page: Layout) -> None:
    """The vote, and then the names."""

    def voted(said: Any, lineup: Any, event: gr.EventData):
        choice = clicked(event)[1]
        revealed = hidden.vote(studio, read_talk(said), choice, read_lineup(lineup))
        said = view.verdict(revealed, choice, hidden.standing(studio, revealed))
        return (*drawing(revealed), shown_if_any(said))

    page.ballot.click(plainly(voted), [page.talk, page.lineup], [*page.drawn, page.news], **QUICK)
