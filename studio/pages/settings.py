"""Settings: the way to what is set once and then left alone, each with how it stands now."""

import shutil
from html import escape

from studio.notifications import channels
from studio.pages import parts, words
from studio.pages.events import on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.studio import Studio


def build(studio: Studio) -> None:
    page = plain(head_html("Settings") + '<div class="ls-skeleton" style="height:160px" aria-busy="true"></div>')
    on_load(lambda: drawn(studio), page)


def drawn(studio: Studio) -> str:
    cards = parts.grid([notifications(studio), disk(studio)], 2)
    return head_html("Settings", "What is set once and then left alone.") + f'<div class="ls-below">{cards}</div>'


def notifications(studio: Studio) -> str:
    active = sum(channel.active for channel in channels.list_channels(studio))
    said = f"You are told in {words.plural(active, 'way')}." if active else "Nobody is told yet that a run has ended."
    return card("Notifications", said, "/notifications", "Set up notifications")


def disk(studio: Studio) -> str:
    found = shutil.disk_usage(studio.data.path)
    said = f"{words.memory(found.free)} of {words.memory(found.total)} are free on the disk with the data folder."
    return card("Disk space", said, "/space", "See what takes room")


def card(title: str, said: str, href: str, act: str) -> str:
    return (
        f'<section class="ls-card"><h2>{escape(title)}</h2><p class="ls-sub">{escape(said)}</p>'
        f'<div class="ls-row ls-gap">{parts.button(act, href)}</div></section>'
    )


PAGE = Page(title="Settings", path="settings", build=build, icon="settings", order=90)
