"""The versions of a data set: look at one, see what changed, train on it, bring it back, take it away as a file."""

from typing import Any

import gradio as gr
from sqlalchemy import select

from studio.listing import MOST
from studio.pages.errors import plainly
from studio.pages.events import GO, SLOW, clickable, clicked, on_load, plain
from studio.pages.versions import history_view as view
from studio.pages.versions.rows import asked_for
from studio.records import Person
from studio.studio import Studio
from studio.versions import difference, lineage, saving

SHOWN = 10


def section(studio: Studio) -> None:
    """The versions of the data set that the address names; hidden while it names none."""
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as column:
        plain(
            '<h2 class="ls-h2">Versions</h2><p class="ls-sub">A version never changes. A run names the one that it learns from.</p>'
        )
        versions = clickable()
        changes = clickable()
        goes_to = gr.Textbox(visible=False)

    def open_it(request: gr.Request):
        drawn = draw(studio, request)
        return gr.update(visible=bool(drawn)), drawn

    def press(event: gr.EventData, request: gr.Request):
        return pressed(studio, request, *clicked(event))

    on_load(open_it, [column, versions])
    for place in (versions, changes):
        place.click(plainly(press), None, [changes, goes_to], **SLOW).success(
            None, goes_to, None, js=GO, api_visibility="private"
        )


def draw(studio: Studio, request: gr.Request) -> str:
    found = asked_for(studio, request)
    if found is None:
        return ""
    dataset, shown = found
    versions = lineage.list_versions(studio, dataset.id, limit=MOST).items
    with studio.database.read() as session:
        owners = select(Person.id, Person.name).where(Person.id.in_({version.owner for version in versions}))
        people = dict(session.execute(owners).all())
    return view.history(dataset, versions, shown, people)


def pressed(studio: Studio, request: gr.Request, act: str, id: str) -> tuple[Any, str]:
    """(what is shown of a difference, address to go to)."""
    dataset = request.query_params.get("id") or ""
    numbers = [int(part) for part in id.split("-") if part.isdecimal() and part.isascii() and len(part) < 16]
    if act == "restore" and len(numbers) == 1:
        newest = lineage.get_version(studio, dataset).number
        saving.restore_version(studio, dataset, numbers[0], newest)
        return gr.skip(), f"/data?id={dataset}"
    if act == "diff" and len(numbers) == 3:
        before, after, start = numbers
        return view.difference(difference.page_of(studio, dataset, before, after, start, SHOWN)), ""
    return "", ""
