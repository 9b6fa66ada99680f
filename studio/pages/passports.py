"""Passports: two to four adapters' settings and passports side by side; the address holds which, and whether only differences are shown."""

import contextlib
from functools import partial

import gradio as gr

from studio import adapters
from studio.errors import StudioError
from studio.listing import MOST
from studio.pages import parts, passports_view
from studio.pages.errors import plainly
from studio.pages.events import QUICK, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.passports import side_by_side
from studio.studio import Studio

SUBTITLE = "Where each comes from, what it learned, and by which settings."
REMEMBER = """(ids, only) => {
  const parts = [(ids || []).length ? 'id=' + ids.map(encodeURIComponent).join(',') : '', only ? 'only=1' : ''].filter(Boolean);
  history.replaceState(null, '', location.pathname + (parts.length ? '?' + parts.join('&') : ''));
  return [ids, only];
}"""


def build(studio: Studio) -> None:
    head("Compare settings", SUBTITLE, parts.button("All adapters", "/adapters"))
    picked = gr.Dropdown(
        [],
        multiselect=True,
        max_choices=side_by_side.MOST,
        label="Adapters",
        info="Choose two to four; type to search.",
        elem_id="which",
        interactive=True,
    )
    only = gr.Checkbox(False, label="Only differences", interactive=True)
    drawn = plain()

    def opened(request: gr.Request):
        ids = (request.query_params.get("id") or "").split(",")
        choices = [
            (f"{one.name} · {one.base_model_name}", one.id) for one in adapters.list_adapters(studio, limit=MOST).items
        ]
        known = {id for _, id in choices}
        for id in dict.fromkeys(ids):
            with contextlib.suppress(StudioError):  # an older one than the list holds
                if id not in known and (one := adapters.get_adapter(studio, id)):
                    choices.append((f"{one.name} · {one.base_model_name}", id))
                    known.add(id)
        wanted, fewer = [id for id in ids if id in known][: side_by_side.MOST], bool(request.query_params.get("only"))
        return gr.update(choices=choices, value=wanted), fewer, table(studio, wanted, fewer)

    on_load(plainly(opened), [picked, only, drawn])
    for given in (picked, only):
        given.input(
            plainly(partial(table, studio)), [picked, only], drawn, js=REMEMBER, trigger_mode="always_last", **QUICK
        )


def table(studio: Studio, ids: list[str] | None, only: bool) -> str:
    if len(ids or []) < side_by_side.FEWEST:
        said = "Choose one more above" if ids else "Choose two adapters or more above"
        return parts.empty("adapter", said, "Their settings and passports then stand side by side.")
    try:
        found, lines = side_by_side.side_by_side(studio, ids or [])
    except StudioError as error:
        return parts.error_banner(error)
    return passports_view.side_by_side(found, lines, bool(only))


PAGE = Page(title="Compare settings", path="passports", build=build, in_navigation=False, within="adapters")
