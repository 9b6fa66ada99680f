"""Home: what trains now, what needs attention, and the way from an idea to an adapter."""

from studio import metrics, overview, runs
from studio.line.shown import devices_shown
from studio.pages import home_view as view
from studio.pages import parts
from studio.pages.events import every, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.records import LIVE
from studio.studio import Studio

REFRESH_SECONDS = 2
RECENT = 6


def build(studio: Studio) -> None:
    page = plain(loading())

    def show() -> str:
        return draw(studio)

    on_load(show, page)
    every(REFRESH_SECONDS, show, page)


def loading() -> str:
    return head_html("Home") + '<div class="ls-skeleton" style="height:360px" aria-busy="true"></div>'


def draw(studio: Studio) -> str:
    """The whole page; a few queries."""
    live = runs.shown_all(studio, runs.list_runs(studio, states=LIVE, sort="oldest", limit=8).items)
    newest = runs.shown_all(studio, runs.list_runs(studio, limit=RECENT).items)
    failed = runs.shown_all(studio, overview.failures(studio))
    _, waiting = overview.open_runs(studio)
    has = overview.counts(studio)
    speeds = {run["id"]: metrics.latest(studio, run["id"]).get("tokens_per_second") for run in live}
    actions = parts.button("Add data", "/data") + parts.button("New training run", "/train", primary=True)
    head = head_html("Home", view.headline(len(live), waiting, len(failed)), actions)
    troubles = [device["trouble"] for device in devices_shown(studio) if device["trouble"]]
    sections = [view.live_cards(live, speeds), view.attention(failed, waiting, runs.runner_alive(studio), troubles)]
    if newest:
        sections.append(f'<div class="ls-grid ls-g21">{view.recent(newest)}{view.steps(has)}</div>')
    else:
        sections.append(view.steps(has, large=True))
    return head + '<div class="ls-grid ls-below">' + "".join(section for section in sections if section) + "</div>"


PAGE = Page(title="Home", path="", build=build, icon="home", order=10)
