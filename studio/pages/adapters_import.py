"""The part of the Adapters page that takes in an adapter that was made elsewhere."""

from functools import partial
from pathlib import Path

import gradio as gr

from studio import adapter_import, base_models
from studio.errors import Invalid, StudioError
from studio.listing import MOST
from studio.pages import parts, words
from studio.pages.data_upload import accept
from studio.pages.errors import plainly
from studio.pages.events import SLOW, on_load, plain
from studio.records import ModelState
from studio.studio import Studio

BY_SHAPE = ""


def importing(studio: Studio) -> None:
    with gr.Column(elem_classes=["ls-sec"], elem_id="import"):
        limit = words.memory(studio.settings.max_upload_mb << 20)
        plain(
            f'<h2 class="ls-h2">Import an adapter</h2><p class="ls-sub">A LoRA adapter as PEFT saves it: a zip of its folder, or adapter_config.json and '
            f"adapter_model.safetensors together, up to {limit}. What does not fit is refused with the reason.</p>"
        )
        files = gr.File(label="Adapter", file_count="multiple", elem_classes=["ls-drop"], height=190, interactive=True)
        with gr.Row(elem_classes=["ls-end"]):
            base = gr.Dropdown(
                [("The one that it fits", BY_SHAPE)], value=BY_SHAPE, label="Base model", interactive=True
            )
            name = gr.Textbox(label="Name", placeholder="Empty: its own", max_length=100, max_lines=1, interactive=True)
        take = gr.Button("Import", variant="primary", elem_classes=["ls-fit"])
        said = plain()
    on_load(partial(bases, studio), base)
    take.click(plainly(partial(taken, studio)), [files, base, name], [said, files], **SLOW)


def bases(studio: Studio):
    """The base models to choose from."""
    ready = [model for model in base_models.list_models(studio, limit=MOST).items if model.state is ModelState.READY]
    return gr.update(choices=[("The one that it fits", BY_SHAPE), *((model.name, model.id) for model in ready)])


def taken(studio: Studio, paths: list[str] | None, base: str | None, name: str | None) -> tuple:
    """(what came of it, the files that were brought). The paths come from the browser: `accept` believes only Gradio's own."""
    mine: list[tuple[str, Path]] = []
    try:
        if not paths:
            raise Invalid("No file is chosen.", "Drop a zip, or the adapter's files.")
        for path in paths:
            id, file_name = accept(studio, path)
            mine.append((file_name, studio.data.incoming / id))
        adapter = adapter_import.import_adapter(studio, mine, base or None, name)
    except StudioError as error:
        return parts.error_banner(error), None
    finally:
        for _, path in mine:
            path.unlink(missing_ok=True)
    link = parts.button("Look at it", f"/adapters?id={adapter.id}", small=True)
    note = f"It belongs to {base_models.get_model(studio, adapter.base_model).name}."
    return parts.banner("ok", f"{adapter.name} is here now.", note, link), None
