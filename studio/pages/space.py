"""Disk space: what takes how much, and what can go with one click and a question."""

from html import escape

import gradio as gr

from studio.errors import StudioError
from studio.pages import parts, words
from studio.pages.errors import plainly
from studio.pages.events import SLOW, action, clickable, clicked, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.space.overview import SPARE, Kind, Space, free, space
from studio.studio import Studio

CRUMB = '<a href="/settings">Settings</a> / Disk space'
SPARED = {"datasets": "encoded", "checkpoints": "checkpoints"}  # a kind in the table, and what can go of it


def build(studio: Studio) -> None:
    head("Disk space", "What takes how much, and what can go.", crumb_html=CRUMB)
    said = plain()
    shown = clickable('<div class="ls-skeleton" style="height:320px" aria-busy="true"></div>')

    def press(event: gr.EventData):  # Gradio looks for its event by this type, and does not see it through a partial
        return act(studio, event)

    gr.context.Context.root_block.load(plainly(lambda: drawn(studio, space(studio))), None, shown, **SLOW)
    shown.click(plainly(press), None, [said, shown], **SLOW)


def act(studio: Studio, event: gr.EventData) -> tuple[str, str]:
    """(what came of it, the page)."""
    wanted, what = clicked(event)
    said = ""
    if wanted == "free":
        try:
            said = parts.banner("ok", f"{words.memory(free(studio, what))} are free again.")
        except StudioError as error:
            said = parts.error_banner(error)
    return said, drawn(studio, space(studio))


def drawn(studio: Studio, found: Space) -> str:
    limit = f"of {words.memory(found.limit_bytes)} allowed" if found.limit_bytes else ""
    figures = parts.stat("Free on the disk", words.memory(found.free_bytes), f"of {words.memory(found.total_bytes)}")
    figures += parts.stat("In the data folder", words.memory(found.used_bytes), limit)
    figures += parts.stat("Can go", words.memory(sum(kind.spare_bytes for kind in found.kinds)))
    rows = [_row(kind) for kind in found.kinds if kind.bytes]
    table = parts.table(("What", "Size", "Can go", ""), rows, "What takes room", cell_classes=("wrap", "ls-num", "ls-num", "ls-right"))  # fmt: skip
    return f'<div class="ls-stats">{figures}</div><div class="ls-below">{table}</div><p class="ls-sub ls-gap">{escape(_policy(studio))}</p>'


def _row(kind: Kind) -> tuple[str, str, str, str]:
    what = SPARED.get(kind.name, "")
    can_go = bool(what and kind.spare_bytes)
    button = action("Free", "free", what, SPARE[what].question, label=f"Free {kind.title.lower()}") if can_go else ""
    return (
        f'<b>{escape(kind.title)}</b><br><span class="ls-muted">{escape(kind.words)}</span>',
        escape(words.memory(kind.bytes)),
        escape(words.memory(kind.spare_bytes)) if can_go else "",
        button,
    )


def _policy(studio: Studio) -> str:
    settings = studio.settings
    days, runs = f"{settings.keep_checkpoints_days:g} days", words.plural(settings.keep_checkpoints_runs, "newest run")
    return f"By themselves, checkpoints of a run go {days} after its end; the {runs} of each person keep the best and the last."


PAGE = Page(title="Disk space", path="space", build=build, in_navigation=False, within="settings")
