"""What the events of the Compare page give back to be drawn."""

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.pages import parts
from studio.pages.compare import view
from studio.pages.compare.address import address_of
from studio.pages.compare.conversation import Talk
from studio.pages.compare.lineup import LineUp
from studio.pages.compare.talking import differing


def kept(lineup: LineUp) -> dict:
    """The line-up as the page keeps it, with its part of the address."""
    return {**lineup.model_dump(exclude_none=True), "address": address_of(lineup.columns)}


def drawing(held: Talk, busy: bool = False) -> tuple[dict, str, Any, Any]:
    """(the conversation, its columns, the differences, the ballot); differences only when the answers are there."""
    marked = gr.skip() if busy else view.differences(differing(held), held.hidden)
    return held.model_dump(), view.columns(held), marked, shown_if_any(view.ballot(held, busy))


def screen(held: Talk, prompt: Any, above: str, busy: bool = False) -> tuple:
    """All that a question changes: conversation, columns, differences, ballot, prompt, its two buttons, and the banner."""
    return (*drawing(held, busy), prompt, gr.update(visible=not busy), gr.update(visible=busy), shown_if_any(above))


def failed(held: Talk, error: Exception, prompt: Any) -> tuple:
    """The screen after an error, which is told above the prompt when it is one for the person."""
    told = parts.error_banner(error) if isinstance(error, StudioError) else ""
    if held.columns:
        return screen(held, prompt, told)
    return (*[gr.skip()] * 4, prompt, gr.update(visible=True), gr.update(visible=False), shown_if_any(told))


def shown_if_any(html: str) -> Any:
    """Something that is not always there; no room is kept for what says nothing."""
    return gr.update(value=html, visible=bool(html))
