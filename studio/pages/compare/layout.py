"""The parts of the Compare page, as whatever wires them together needs them."""

from dataclasses import dataclass

import gradio as gr

from studio.pages.versions import mending


@dataclass
class Layout:
    """The parts of the page, top to bottom."""

    model: gr.Dropdown
    sampling: list[gr.components.Component]
    blind: gr.Checkbox
    who: gr.HTML
    """Who answers in which column."""
    answers: gr.HTML
    ballot: gr.HTML
    mend: mending.Dialog
    news: gr.HTML
    saved: gr.HTML
    """What became of a mix that was saved."""
    examples: list[gr.Button]
    prompt: gr.Textbox
    send: gr.Button
    stop: gr.Button
    retry: gr.Button
    clear: gr.Button
    differences: gr.HTML
    lineup: gr.JSON
    talk: gr.JSON
    """What was said in every column."""

    @property
    def drawn(self) -> list:
        return [self.talk, self.answers, self.differences, self.ballot]

    @property
    def chosen(self) -> list:
        """What an answer depends on besides how it is drawn."""
        return [self.model, self.lineup, self.blind]

    @property
    def live(self) -> list:
        """All that a question changes."""
        return [*self.drawn, self.prompt, self.send, self.stop, self.news]
