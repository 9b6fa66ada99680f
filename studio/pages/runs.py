"""Runs: every training, searched, filtered, sorted, and live while it is open."""

import hashlib
from html import escape
from typing import Any

import gradio as gr

from studio import runs
from studio.errors import StudioError
from studio.pages import parts, runs_view
from studio.pages.errors import plainly
from studio.pages.events import QUICK, every, on_load, plain
from studio.pages.page import Page
from studio.pages.runs_view import FILTERS, SORTS
from studio.pages.shell import head
from studio.studio import Studio

REFRESH_SECONDS = 3
PER_PAGE = 50
# The filters are in the address, so that a reload, a bookmark and the way back show the same rows.
REMEMBER = """(q, states, sort, trail) => {
  const kept = new URLSearchParams();
  if (q) kept.set('q', q);
  if (states.length) kept.set('state', states.join(','));
  if (sort !== 'Newest first') kept.set('sort', sort);
  const at = trail.at(-1);
  if (at) kept.set('cursor', at);
  history.replaceState(null, '', location.pathname + (kept.size ? '?' + kept : ''));
  return [q, states, sort, trail];
}"""
# One event for filters and page turns, so that two wishes never overtake each other: the later one is sent when the earlier is answered.
# An event that had to wait comes with the data of the one before it (Gradio 6.31), so what is wished is read off the page when it is sent.
# Other filters start from the first page. A text box tells of a change when the page itself fills it in: then nothing is other.
WISHED = f"""() => {{
  const now = new URLSearchParams(location.search), turn = window.studioTurn || 0;
  const q = document.querySelector('#ls-search textarea, #ls-search input').value;
  const states = [...document.querySelectorAll('#ls-states input:checked')].map((box) => box.name);
  const sort = document.querySelector('#ls-sort input').value || 'Newest first';
  const next = (document.querySelector('#ls-after') || {{dataset: {{}}}}).dataset.next;
  const same = (now.get('q') || '') === q && (now.get('state') || '') === states.join(',') && (now.get('sort') || 'Newest first') === sort;
  let pages = same ? window.studioPages || (now.get('cursor') ? [now.get('cursor')] : []) : [];
  if (turn < 0) pages = pages.slice(0, -1);
  if (turn > 0 && next) pages = [...pages, next];
  window.studioTurn = 0;
  window.studioPages = pages;
  return ({REMEMBER})(q, states, sort, pages);
}}"""


def build(studio: Studio) -> None:
    head("Runs", "Everything trained on this machine.", parts.button("New training run", "/train", primary=True))
    with gr.Row(elem_classes=["ls-filters", "ls-runs-filters"]):
        search = gr.Textbox(
            placeholder="Search runs, models, data",
            show_label=False,
            label="Search",
            scale=4,
            min_width=220,
            interactive=True,
            elem_id="ls-search",
        )
        states = gr.CheckboxGroup(
            list(FILTERS),
            elem_id="ls-states",
            show_label=False,
            label="States",
            scale=5,
            min_width=320,
            interactive=True,
        )
        sort = gr.Dropdown(
            list(SORTS),
            value="Newest first",
            elem_id="ls-sort",
            show_label=False,
            label="Order",
            scale=2,
            min_width=150,
            interactive=True,
        )
    rows = plain('<div class="ls-skeleton" style="height:320px" aria-busy="true"></div>')
    with gr.Row(elem_classes=["ls-act"], visible=False) as pager:
        previous = gr.Button("Previous 50", size="sm", scale=0, min_width=120, elem_id="ls-previous")
        following = gr.Button("Next 50", size="sm", scale=0, min_width=120, elem_id="ls-next")
    trail = gr.JSON([], visible=False)  # cursors of the pages up to this one; the first page needs none
    seen = gr.Textbox("", visible=False)  # what is drawn, so that a tick without news changes nothing

    filters = [search, states, sort, trail]
    shown = [rows, pager, previous, following, seen]

    def show(q: str, chosen: list[str], order: str, cursors: list[str], before: str = "") -> Any:
        html, following_cursor, whole = page_of_runs(studio, q or "", chosen or [], order, (cursors or [""])[-1])
        html += f'<i id="ls-after" data-next="{escape(following_cursor)}" hidden></i>'
        mark = hashlib.sha256(html.encode()).hexdigest()[:16]
        if mark == before:
            return gr.skip()
        more = gr.update(interactive=bool(following_cursor))
        return html, gr.update(visible=not whole), gr.update(interactive=bool(cursors)), more, mark

    def opened(request: gr.Request):
        q, chosen, order, cursors = filters_in(dict(request.query_params))
        return q, chosen, order, cursors, *show(q, chosen, order, cursors)

    def turned(q: str, chosen: list[str], order: str, cursors: list[str], *_: Any):
        return cursors, *show(q, chosen, order, cursors)

    on_load(plainly(opened), [*filters, *shown])
    gr.on(
        [search.change, states.input, sort.input, following.click, previous.click],
        plainly(turned),
        filters,
        [trail, *shown],
        js=WISHED,
        trigger_mode="always_last",
        **QUICK,
    )
    every(REFRESH_SECONDS, plainly(show), shown, [*filters, seen])


def filters_in(query: dict[str, str]) -> tuple[str, list[str], str, list[str]]:
    """(words, states, order, cursors) from the page's address; what it cannot mean is left out."""
    chosen = [name for name in query.get("state", "").split(",") if name in FILTERS]
    order = query.get("sort", "")
    return (
        query.get("q", "")[:200],
        chosen,
        order if order in SORTS else "Newest first",
        [query["cursor"]] if query.get("cursor") else [],
    )


def page_of_runs(studio: Studio, q: str, chosen: list[str], order: str, cursor: str) -> tuple[str, str, bool]:
    """(the rows drawn, the next page's cursor or "", whether these are all there are)."""
    wanted = tuple(state for name in chosen if name in FILTERS for state in FILTERS[name])
    try:
        found = runs.list_runs(
            studio, q[:200], states=wanted, sort=SORTS.get(order, "newest"), limit=PER_PAGE, cursor=cursor or None
        )
    except StudioError as error:  # an address that somebody has written by hand
        return parts.error_banner(error, parts.button("Show all runs", "/runs", small=True)), "", True
    html = (
        runs_view.table(runs.shown_all(studio, found.items))
        if found.items
        else runs_view.nothing(bool(q or wanted or cursor))
    )
    return html, found.next or "", not (found.next or cursor)


PAGE = Page(title="Runs", path="runs", build=build, icon="runs", order=50)
