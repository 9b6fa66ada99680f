"""The part of the Adapters page in which one adapter leaves: as a zip, merged into its base, or to the Hub."""

import shutil

import gradio as gr

from studio import adapters, base_models, gguf_adapter
from studio.errors import Invalid, StudioError
from studio.pages import parts, words
from studio.pages.adapters_combine import queued
from studio.pages.errors import plainly
from studio.pages.events import QUICK, on_load, plain
from studio.studio import Studio

ABOUT = (
    '<h2 class="ls-h2">Take it away</h2><p class="ls-sub">A zip that PEFT loads, with tokenizer, model card and passport; a whole model without an '
    "adapter; or a repository on the Hub.</p>"
)


def taking_away(studio: Studio) -> None:
    with gr.Column(elem_classes=["ls-sec"], elem_id="away"):
        plain(ABOUT)
        with gr.Row(elem_classes=["ls-act"]):
            download = plain(elem_classes=["ls-fit"])
            merge = gr.Button("Merge into the base", scale=0, min_width=190)
            push = gr.Button("Push to the Hub", scale=0, min_width=170)
    merging(studio, merge)
    pushing(studio, push)

    def opened(request: gr.Request) -> str:
        id = request.query_params.get("id")
        if not id:
            return ""
        whole = parts.button("Download the zip", f"/files/adapters/{id}", primary=True, download=True)
        return whole + (f" {gguf}" if (gguf := gguf_link(studio, id)) else "")

    on_load(plainly(opened), download)


def gguf_link(studio: Studio, id: str) -> str:
    """Only where such a file was checked, and the adapter can be one."""
    try:
        gguf_adapter.gguf_chunks(studio, id)
    except StudioError:
        return ""
    return parts.button("GGUF for llama.cpp", f"/files/adapters/{id}/gguf", download=True)


def merging(studio: Studio, opens: gr.Button) -> None:
    """What `opens` shows: the base model with this adapter in its weights, as a new base model."""
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as asking:
        plain(
            '<h2 class="ls-h2">Merge into the base</h2><p class="ls-sub">A new base model with this adapter in its weights: any program loads it '
            "without PEFT, and it can be trained again. The adapter can no longer be switched off in it.</p>"
        )
        room = plain()
        name = gr.Textbox(
            label="Name",
            placeholder="Empty: named after base and adapter",
            max_length=100,
            max_lines=1,
            interactive=True,
        )
        make = gr.Button("Merge", variant="primary", elem_classes=["ls-fit"])
        said = plain()

    def opened(request: gr.Request):
        adapter = adapters.get_adapter(studio, request.query_params.get("id", ""))
        needed = base_models.facts_of(adapter.model).size_bytes
        free = shutil.disk_usage(studio.data.path).free
        words_of_room = f"Writes about {words.size(needed)}; {words.size(free)} are free on the disk."
        return gr.update(visible=True), f'<p class="ls-sub">{words_of_room}</p>'

    def asked(name: str, request: gr.Request) -> str:
        return queued(studio, {"kind": "merge", "adapter": request.query_params.get("id", ""), "name": name or ""})

    opens.click(plainly(opened), None, [asking, room], **QUICK)
    make.click(plainly(asked), name, said, **QUICK)


def pushing(studio: Studio, opens: gr.Button) -> None:
    """What `opens` shows: the adapter into a repository of the Hub, private unless said otherwise."""
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as asking:
        plain(
            '<h2 class="ls-h2">Push to the Hub</h2><p class="ls-sub">All files of the zip in one commit; the repository is made when it is not there. '
            "The token is used once and kept nowhere.</p>"
        )
        with gr.Row(elem_classes=["ls-end"]):
            repo = gr.Textbox(
                label="Repository", placeholder="owner/name", max_length=300, max_lines=1, interactive=True
            )
            token = gr.Textbox(
                label="Token with the right to write", type="password", placeholder="Empty: the studio's own HF_TOKEN", max_length=1000, max_lines=1,
                interactive=True,
            )  # fmt: skip
        private = gr.Checkbox(True, label="Private: only you and your organisation see it", interactive=True)
        send = gr.Button("Push", variant="primary", elem_classes=["ls-fit"])
        said = plain()

    def asked(repo: str, token: str, private: bool, request: gr.Request) -> tuple[str, str]:
        if not (repo or "").strip():
            raise Invalid("No repository is named.", "Write it as owner/name.")
        id = request.query_params.get("id", "")
        wanted = {
            "kind": "push",
            "adapter": id,
            "repo": repo,
            "private": bool(private),
            "token": (token or "").strip() or None,
        }
        return queued(studio, wanted), ""

    opens.click(lambda: gr.update(visible=True), None, asking, **QUICK)
    send.click(plainly(asked), [repo, token, private], [said, token], **QUICK)
