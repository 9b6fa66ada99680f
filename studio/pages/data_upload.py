"""Bringing a file: drop it, see what it is taken for, choose columns and what becomes of bad rows, and take it."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from studio import datasets
from studio.dataset_report import Report
from studio.errors import BadInput, NotFound, StudioError
from studio.folders import new_id
from studio.formats import FORMATS
from studio.formats.columns import PARTS
from studio.hub_data import imports
from studio.pages import data_hub, parts, words
from studio.pages import data_view as view
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, clicked, plain
from studio.readings import end_reading
from studio.studio import Studio

COLUMNS = "columns"  # the format in which the person says what each column is
OPTIONAL = "–"
KEPT_SECONDS = 6 * 3600


@dataclass
class Upload:
    """The parts of the section. The file itself waits in the incoming folder; the page only knows its id."""

    file: gr.File
    incoming: gr.Textbox
    file_name: gr.Textbox
    kind: gr.HTML
    chosen: gr.Column
    format: gr.Dropdown
    mapping: dict[str, gr.Dropdown]
    found: gr.Column
    checks: gr.HTML
    name: gr.Textbox
    drop: gr.Checkbox
    take: gr.Button
    goes_to: gr.Textbox
    hub: data_hub.FromHub

    @property
    def choices(self) -> list:
        return [self.incoming, self.file_name, self.format, *self.mapping.values()]

    @property
    def shown(self) -> list:
        """What an inspection changes."""
        return [
            self.incoming,
            self.file_name,
            self.kind,
            self.chosen,
            self.format,
            *self.mapping.values(),
            self.found,
            self.checks,
            self.name,
            self.drop,
            self.take,
        ]


def section(studio: Studio) -> None:
    upload = layout(studio)
    outputs = upload.shown

    def receive(path: str | None, earlier: str):
        if not path:
            return nothing()
        forget(studio, earlier)
        return inspect(studio, *accept(studio, path))

    def clear(earlier: str):
        forget(studio, earlier)
        return nothing()

    def again(id: str, file_name: str, format: str | None, *columns: str):
        return inspect(studio, id, file_name, format, mapping_of(format, columns))

    def take(id: str, file_name: str, format: str | None, *rest):
        *columns, name, drop = rest
        how = (name, format, mapping_of(format, columns), "drop" if drop else "refuse")
        if is_import(studio, id):
            made = imports.take(studio, id, *how)
        else:
            made = datasets.add_upload(studio, incoming_file(studio, id), file_name, *how)
            forget(studio, id)
        return f"/data?id={made.id}"

    def press(event: gr.EventData):
        act, id = clicked(event)
        if act == "look":
            return [data_hub.draw(studio), *inspect(studio, id, imports.get_import(studio, id).file_name)]
        if act == "choose":
            data_hub.choose(studio, id)
        elif act == "end":
            imports.end(studio, id)
        elif act == "end-reading":
            with suppress(NotFound):  # it has just come to its end by itself
                end_reading(studio, id)
        return [data_hub.draw(studio), *[gr.skip()] * len(outputs)]

    data_hub.wire(studio, upload.hub)
    upload.hub.coming.click(plainly(press), None, [upload.hub.coming, *outputs], **SLOW)
    arrived = upload.file.upload(
        lambda path: (view.busy(Path(path).name), gr.update(visible=False)),
        upload.file,
        [upload.kind, upload.found],
        **QUICK,
    )
    arrived.then(plainly(receive), [upload.file, upload.incoming], outputs, **SLOW)
    upload.file.clear(clear, upload.incoming, outputs, **QUICK)
    gr.on(
        [upload.format.input, *(column.input for column in upload.mapping.values())],
        plainly(again),
        upload.choices,
        outputs,
        trigger_mode="always_last",
        **SLOW,
    )
    upload.drop.input(lambda drop: gr.update(interactive=drop), upload.drop, upload.take, **QUICK)
    taken = upload.take.click(plainly(take), [*upload.choices, upload.name, upload.drop], upload.goes_to, **SLOW)
    taken.success(None, upload.goes_to, None, js=GO, api_visibility="private")


def layout(studio: Studio) -> Upload:
    with gr.Row(equal_height=True, elem_classes=["ls-pair"]):
        with gr.Column(elem_classes=["ls-sec"]):
            limit = words.memory(studio.settings.max_upload_mb << 20)
            plain(
                f'<h2 class="ls-h2">Bring your examples</h2><p class="ls-sub">Conversations, raw text or preference pairs, up to {limit}. It stays on this machine.</p>'
            )
            file = gr.File(label="Data file", elem_classes=["ls-drop"], height=190, interactive=True)
            hub = data_hub.layout()
        with gr.Column(elem_classes=["ls-sec"]):
            kind = plain(view.formats())
            with gr.Column(visible=False, elem_classes=["ls-inner"]) as chosen:
                format = gr.Dropdown(
                    [(form.title, form.name) for form in FORMATS.values()],
                    label="Format",
                    info="Change it if it was taken for the wrong one.",
                    interactive=True,
                )
                with gr.Row(elem_classes=["ls-mapping"]):
                    mapping = {
                        part: gr.Dropdown(
                            [], label=part.capitalize(), info=about, visible=False, min_width=150, interactive=True
                        )
                        for part, about in PARTS.items()
                    }
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as found:
        checks = plain()
        drop = gr.Checkbox(False, label="Leave out the bad rows", visible=False, interactive=True)
        with gr.Row(elem_classes=["ls-end"]):
            name = gr.Textbox(label="Name", max_lines=1, max_length=100, interactive=True)
            take = gr.Button("Use this data", variant="primary", elem_classes=["ls-fit"])
    hidden = [gr.Textbox(visible=False) for _ in range(3)]
    return Upload(
        file, hidden[0], hidden[1], kind, chosen, format, mapping, found, checks, name, drop, take, hidden[2], hub
    )


def accept(studio: Studio, path: str) -> tuple[str, str]:
    """(id, file name): move the file out of Gradio's folder, which it cleans, into ours.

    The path comes from the browser. Raises BadInput unless Gradio itself put the file there, into a folder of its own.
    """
    brought, incoming = Path(path), studio.data.incoming.resolve()
    if brought.is_symlink() or not brought.is_file() or brought.resolve().parent.parent != incoming:
        raise BadInput("The uploaded file is not here any more.", "Drop it again.")
    id, name = new_id(), brought.name
    os.replace(brought, studio.data.incoming / id)
    os.utime(studio.data.incoming / id)
    return id, name


def forget(studio: Studio, id: str) -> None:
    """The file that was brought before this one, and those of pages that were left long ago."""
    waiting = [path for path in studio.data.incoming.iterdir() if path.is_file() and not path.name.startswith(".")]
    for path in waiting:
        if path.name == id or path.stat().st_mtime < time.time() - KEPT_SECONDS:
            path.unlink(missing_ok=True)


def is_import(studio: Studio, id: str) -> bool:
    """Whether an id is that of rows that came from the Hub."""
    return id.isascii() and id.isalnum() and len(id) <= 64 and studio.data.data_import(id).rows.is_file()


def incoming_file(studio: Studio, id: str) -> Path:
    """The file behind an id that came back from the browser. Raises BadInput when it is not there any more."""
    path = studio.data.data_import(id).rows if is_import(studio, id) else studio.data.incoming / id
    if not (id.isascii() and id.isalnum() and path.is_file()):
        raise BadInput("The uploaded file is not here any more.", "Drop it again.")
    return path


def mapping_of(format: str | None, columns) -> dict[str, str] | None:
    if format != COLUMNS:
        return None
    return {part: column for part, column in zip(PARTS, columns, strict=True) if column and column != OPTIONAL}


def inspect(studio: Studio, id: str, file_name: str, format: str | None = None, mapping: dict[str, str] | None = None):
    """Everything that the section shows of a file."""
    try:
        path = incoming_file(studio, id)
        report = datasets.inspect_upload(studio, path, file_name, format, mapping)
        if report.needs_mapping and {"prompt", "response"} <= set(report.mapping):
            format, mapping = COLUMNS, report.mapping  # a good guess, shown as such
            report = datasets.inspect_upload(studio, path, file_name, format, mapping)
    except StudioError as error:
        return refused(id, file_name, error, format)
    return understood(id, file_name, report, format, mapping)


def understood(id: str, file_name: str, report: Report, format: str | None, mapping: dict[str, str] | None) -> list:
    own = format == COLUMNS or report.needs_mapping
    columns = [
        gr.update(
            choices=[OPTIONAL, *report.columns], value=(mapping or report.mapping).get(part, OPTIONAL), visible=own
        )
        for part in PARTS
    ]
    kind = '<h2 class="ls-h2">What it was taken for</h2>' + view.recognised(report)
    if report.needs_mapping:
        kind += f'<div class="ls-gap">{parts.banner("warn", "No format has these columns.", "Say below which column holds what.")}</div>'
    shown_format = COLUMNS if own else report.format
    return [
        id, file_name, kind, gr.update(visible=True), gr.update(value=shown_format), *columns,
        gr.update(visible=not report.needs_mapping), view.checks(report), gr.update(value=Path(file_name).stem[:100]), dropping(report), taking(report),
    ]  # fmt: skip


def dropping(report: Report):
    bad = words.plural(report.rows_bad, "row")
    return gr.update(
        visible=bool(report.rows_bad and report.rows_ready),
        value=False,
        label=f"Leave out the {bad} that cannot be used",
    )


def taking(report: Report):
    """The button names what is missing."""
    if not report.rows_ready:
        return gr.update(value="No row can be used", interactive=False)
    if report.rows_bad:
        good = "the one good row" if report.rows_ready == 1 else f"the {words.count(report.rows_ready)} good rows"
        return gr.update(value=f"Use {good}", interactive=False)
    return gr.update(
        value=f"Use {'this row' if report.rows_ready == 1 else f'these {words.count(report.rows_ready)} rows'}",
        interactive=True,
    )


def refused(id: str, file_name: str, error: StudioError, format: str | None) -> list:
    kind = (
        f'<h2 class="ls-h2">This file cannot be used</h2><p class="ls-sub">{parts.text(file_name)}</p>'
        + f'<div class="ls-gap">{parts.error_banner(error)}</div>'
    )
    # a person who chose the wrong format can choose another one
    return [
        id,
        file_name,
        kind,
        gr.update(visible=format is not None),
        gr.update(),
        *[gr.update() for _ in PARTS],
        gr.update(visible=False),
        *[gr.update()] * 4,
    ]


def nothing() -> list:
    """As before a file was brought."""
    return [
        "",
        "",
        view.formats(),
        gr.update(visible=False),
        gr.update(),
        *[gr.update(visible=False) for _ in PARTS],
        gr.update(visible=False),
        *[gr.update()] * 4,
    ]
