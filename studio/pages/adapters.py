"""Adapters: what the trainings have left, where each comes from, and the ways to take one along."""

from functools import partial
from typing import Any

import gradio as gr

from studio import adapters, vote_results
from studio.errors import NotFound
from studio.pages import adapters_view, method_words, parts, votes_view
from studio.pages.adapters_combine import combining
from studio.pages.adapters_extract import extracting
from studio.pages.adapters_import import importing
from studio.pages.adapters_leave import taking_away
from studio.pages.adapters_work import draw_jobs, inside, shrinking, work
from studio.pages.copying import copyable
from studio.pages.errors import plainly
from studio.pages.events import QUICK, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.pages.suites.forgotten import forgotten, of_adapter
from studio.records import Adapter
from studio.studio import Studio

PER_PAGE = 50
SUBTITLE = "Small files that change what a base model says. Take one along, or compare it with its base."
REMEMBER = """(q) => {
  if (new URLSearchParams(location.search).has('id')) return [q];
  history.replaceState(null, '', location.pathname + (q ? '?q=' + encodeURIComponent(q) : ''));
  return [q];
}"""
GO_BACK = "() => { location.href = '/adapters'; }"


def build(studio: Studio) -> None:
    top = plain(head_html("Adapters", SUBTITLE, '<a class="ls-btn" href="#import">Import an adapter</a>'))
    listed = all_of_them(studio)
    one_of_them(studio, top)
    jobs = work(studio)
    with listed:
        combining(studio, jobs, partial(draw_jobs, studio))
        importing(studio)
        extracting(studio)


def all_of_them(studio: Studio) -> gr.Column:
    """The list, while the address names no adapter."""
    with gr.Column(visible=False) as listed:
        with gr.Row(elem_classes=["ls-filters"]):
            hint = "Search adapters and base models"
            search = gr.Textbox(placeholder=hint, show_label=False, label="Search", max_lines=1, interactive=True)
        rows = plain('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
        more = gr.Button("Show more", size="sm", visible=False)
    shown = gr.Number(PER_PAGE, visible=False)  # how many rows there are room for

    def opened(request: gr.Request):
        q, listing = request.query_params.get("q", ""), not request.query_params.get("id")
        if not listing:
            return gr.update(visible=False), *[gr.skip()] * 3
        return gr.update(visible=True), q, *table_of(studio, q, PER_PAGE)

    def searched(q: str):
        return *table_of(studio, q, PER_PAGE), PER_PAGE

    def longer(q: str, count: int):
        return *table_of(studio, q, int(count) + PER_PAGE), count + PER_PAGE

    on_load(plainly(opened), [listed, search, rows, more])
    search.change(plainly(searched), search, [rows, more, shown], js=REMEMBER, trigger_mode="always_last", **QUICK)
    more.click(plainly(longer), [search, shown], [rows, more, shown], **QUICK)
    return listed


def one_of_them(studio: Studio, top: gr.HTML) -> None:
    """The adapter that the address names: its passport, its name, its end."""
    with gr.Column(visible=False) as one:
        with gr.Row(elem_classes=["ls-act", "ls-run-act"], elem_id="ls-adapter-act"):
            shrink = gr.Button("Make it smaller", scale=0, min_width=160)
            rename = gr.Button("Rename", scale=0, min_width=110)
            delete = gr.Button("Delete…", scale=0, min_width=110)
        with gr.Row(visible=False, elem_classes=["ls-ask"]) as naming:
            name = gr.Textbox(label="New name", max_length=100, max_lines=1, scale=4, interactive=True)
            save = gr.Button("Save the name", variant="primary", size="sm", scale=0, min_width=130)
        with gr.Row(visible=False, elem_classes=["ls-ask"]) as asking:
            plain(parts.banner("warn", "Delete this adapter?", "Its files are gone then. The run that made it stays."))
            yes = gr.Button("Delete the adapter", variant="stop", size="sm", scale=0, min_width=150)
            no = gr.Button("No, leave it", size="sm", scale=0, min_width=130)
        offers, rank = shrinking(studio, shrink)
        taking_away(studio)
        forgotten(studio, of_adapter)
        passport = copyable()
        inside(studio, offers, rank)

    def opened(request: gr.Request):
        if not request.query_params.get("id"):
            return [gr.skip()] * 4
        try:
            adapter = adapters.get_adapter(studio, request.query_params["id"])
        except NotFound:
            return missing(), *[gr.skip()] * 3
        return one_head(adapter), gr.update(visible=True), details_of(studio, adapter), adapter.name

    def renamed(wanted: str, request: gr.Request):
        adapter = adapters.rename_adapter(studio, request.query_params.get("id", ""), wanted)
        return one_head(adapter), details_of(studio, adapter), adapter.name, gr.update(visible=False)

    def deleted(request: gr.Request):
        adapters.delete_adapter(studio, request.query_params.get("id", ""))

    on_load(plainly(opened), [top, one, passport, name])
    rename.click(lambda: (gr.update(visible=True), gr.update(visible=False)), None, [naming, asking], **QUICK)
    gr.on([save.click, name.submit], plainly(renamed), name, [top, passport, name, naming], **QUICK)
    delete.click(lambda: (gr.update(visible=False), gr.update(visible=True)), None, [naming, asking], **QUICK)
    no.click(lambda: gr.update(visible=False), None, asking, **QUICK)
    yes.click(plainly(deleted), None, None, **QUICK).success(None, js=GO_BACK, **QUICK)


def table_of(studio: Studio, q: str, most: int) -> tuple[str, Any]:
    """(the rows drawn, the button for more)."""
    found, cursor = [], None
    while len(found) < most:
        listing = adapters.list_adapters(studio, (q or "")[:200], limit=PER_PAGE, cursor=cursor)
        found += listing.items
        cursor = listing.next
        if cursor is None:
            break
    with_passports = [(adapter, adapters.passport(studio, adapter.id)) for adapter in found]
    html = adapters_view.table(with_passports) if found else adapters_view.nothing(bool(q))
    return html, gr.update(visible=cursor is not None)


def one_head(adapter: Adapter) -> str:
    crumb = f'<a href="/adapters">Adapters</a> / <span class="ls-mono">{adapter.id}</span>'
    combine = parts.button("Combine", f"/adapters?with={adapter.id}#combine") if adapter.method == "lora" else ""
    actions = (
        combine
        + parts.button("Compare settings", f"/passports?id={adapter.id}")
        + parts.button("Compare with the base", f"/compare?a={adapter.id}", primary=True)
    )
    about = f"{method_words.short(adapter.method, adapter.rank)} on {adapter.base_model_name}"
    return head_html(adapter.name, about, actions, crumb)


def details_of(studio: Studio, adapter: Adapter) -> str:
    passport = adapters.passport(studio, adapter.id)
    base = adapters_view.part(passport, "base_model")
    on_hub = base.get("source") == "hub" and base.get("location")
    place = str(base["location"]) if on_hub else str(studio.data.base_model(adapter.base_model).model)
    code = adapters_view.loading_code(adapters.slug(adapter), place, base.get("revision") if on_hub else None, passport)
    return votes_view.note(vote_results.against_base(studio, adapter), adapter.base_model) + adapters_view.details(
        adapter, passport, code
    )


def missing() -> str:
    crumb = '<a href="/adapters">Adapters</a> / not found'
    again = parts.button("All adapters", "/adapters")
    return head_html("Adapter", crumb_html=crumb) + parts.empty(
        "adapter", "There is no such adapter", "It may have been deleted.", again
    )


PAGE = Page(title="Adapters", path="adapters", build=build, icon="adapter", order=70)
