"""The part of the Adapters page that takes in an adapter that was made elsewhere."""

from functools import partial
from pathlib import Path

import gradio as gr

from studio import adapter_import, base_models
from studio.errors import Invalid, StudioError
from studio.listing import MOST
from studio.pages import parts, words
from studio.pages.adapters_combine import queued
from studio.pages.data_upload import accept
from studio.pages.errors import plainly
from studio.pages.events import SLOW, on_load, plain
from studio.records import Adapter, ModelState
from studio.studio import Studio

BY_SHAPE = ""


def importing(studio: Studio) -> None:
    with gr.Column(elem_classes=["ls-sec"], elem_id="import"):
        limit = words.memory(studio.settings.max_upload_mb << 20)
        plain(
            '<h2 class="ls-h2">Import an adapter</h2><p class="ls-sub">One that PEFT has saved, of any method that can be trained here. It is matched '
            "to its base model by names and shapes; what does not fit is refused with the reason.</p>"
        )
        with gr.Tabs():
            with gr.Tab("Files"):
                label = f"A zip of its folder, or adapter_config.json and adapter_model.safetensors, up to {limit}"
                files = gr.File(
                    label=label, file_count="multiple", elem_classes=["ls-drop"], height=190, interactive=True
                )
            with gr.Tab("A folder on this machine"):
                below = f"Below {studio.settings.models_root}."
                folder = gr.Dropdown([], label="Folder", info=below, allow_custom_value=True, interactive=True)
            with gr.Tab("From the Hugging Face Hub"):
                with gr.Row():
                    repo = gr.Textbox(
                        label="Name",
                        info="As its page is called.",
                        placeholder="owner/name",
                        max_length=300,
                        max_lines=1,
                        interactive=True,
                    )
                    revision = gr.Textbox(
                        "main",
                        label="Revision",
                        info="A branch, a tag or a commit.",
                        max_length=100,
                        max_lines=1,
                        interactive=True,
                    )
        with gr.Row(elem_classes=["ls-end"]):
            base = gr.Dropdown(
                [("The one that it fits", BY_SHAPE)], value=BY_SHAPE, label="Base model", interactive=True
            )
            name = gr.Textbox(label="Name", placeholder="Empty: its own", max_length=100, max_lines=1, interactive=True)
        take = gr.Button("Import", variant="primary", elem_classes=["ls-fit"])
        said = plain()
    on_load(partial(bases, studio), [base, folder])
    given = [files, folder, repo, revision, base, name]
    take.click(plainly(partial(taken, studio)), given, [said, files, folder, repo], **SLOW)


def bases(studio: Studio):
    """(the base models, the folders to choose from)."""
    ready = [model for model in base_models.list_models(studio, limit=MOST).items if model.state is ModelState.READY]
    models = [("The one that it fits", BY_SHAPE), *((model.name, model.id) for model in ready)]
    return gr.update(choices=models), gr.update(choices=base_models.local_candidates(studio, "adapter_config.json"))


def taken(
    studio: Studio, paths: list[str] | None, folder: str | None, repo: str | None, revision: str | None, base: str | None, name: str | None
) -> tuple:  # fmt: skip
    """(what came of it, the files, the folder, the name on the Hub). Files come before a folder, and that before the Hub."""
    try:
        if paths:
            adapter = of_files(studio, paths, base or None, name)
        elif (folder or "").strip():
            adapter = adapter_import.import_folder(studio, folder.strip(), base or None, name)
        elif (repo or "").strip():
            wanted = {
                "kind": "fetch",
                "repo": repo,
                "revision": revision or "main",
                "base_model": base or None,
                "name": name or "",
            }
            return queued(studio, wanted), None, None, ""
        else:
            raise Invalid(
                "Nothing is chosen.", "Drop a zip or the adapter's files, choose a folder, or name one on the Hub."
            )
    except StudioError as error:
        return parts.error_banner(error), None, gr.skip(), gr.skip()
    link = parts.button("Look at it", f"/adapters?id={adapter.id}", small=True)
    note = f"It belongs to {base_models.get_model(studio, adapter.base_model).name}."
    return parts.banner("ok", f"{adapter.name} is here now.", note, link), None, None, ""


def of_files(studio: Studio, paths: list[str], base: str | None, name: str | None) -> Adapter:
    """The paths come from the browser: `accept` believes only Gradio's own."""
    mine: list[tuple[str, Path]] = []
    try:
        for path in paths:
            id, file_name = accept(studio, path)
            mine.append((file_name, studio.data.incoming / id))
        return adapter_import.import_adapter(studio, mine, base, name)
    finally:
        for _, path in mine:
            path.unlink(missing_ok=True)
