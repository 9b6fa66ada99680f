"""Bringing data from the Hugging Face Hub: name it, see it come, then look at it like at a file that was dropped."""

from dataclasses import dataclass

import gradio as gr

from studio.errors import StudioError
from studio.hub_data import imports
from studio.hub_data.wanted import Wanted
from studio.pages import parts, words
from studio.pages.events import SLOW, action, clickable, every, on_load, plain
from studio.readings import Reading, list_readings
from studio.studio import Studio

REFRESH_SECONDS = 2


@dataclass
class FromHub:
    """The inputs, and below them what is on its way."""

    repo: gr.Textbox
    split: gr.Textbox
    heldout: gr.Textbox
    config: gr.Textbox
    rows: gr.Number
    revision: gr.Textbox
    begin: gr.Button
    said: gr.HTML
    coming: gr.HTML

    @property
    def asked(self) -> list:
        return [self.repo, self.revision, self.config, self.split, self.heldout, self.rows]


def layout() -> FromHub:
    with gr.Accordion("Or from the Hugging Face Hub", open=False, elem_classes=["ls-fold"]):
        repo = gr.Textbox(
            label="Name",
            info="As its page is called.",
            placeholder="owner/name",
            max_lines=1,
            max_length=300,
            interactive=True,
        )
        with gr.Row():
            split = gr.Textbox(label="Split", placeholder="train", max_lines=1, interactive=True, min_width=120)
            heldout = gr.Textbox(
                label="Held out", placeholder="no other split", max_lines=1, interactive=True, min_width=120
            )
            config = gr.Textbox(
                label="Part", placeholder="where it has several", max_lines=1, interactive=True, min_width=120
            )
        with gr.Row():
            rows = gr.Number(
                0, label="Rows at most", info="0: all of them.", precision=0, minimum=0, interactive=True, min_width=120
            )
            revision = gr.Textbox(
                "main",
                label="Revision",
                info="A branch, a tag or a commit.",
                max_lines=1,
                interactive=True,
                min_width=120,
            )
        begin = gr.Button("Fetch", variant="primary", elem_classes=["ls-fit"])
        said = plain()
    return FromHub(repo, split, heldout, config, rows, revision, begin, said, clickable())


def wire(studio: Studio, on: FromHub) -> None:
    """What begins an import and shows how far each is; the place of these listens for clicks where the upload is."""

    def begin(repo: str, revision: str, config: str, split: str, heldout: str, rows: float | None):
        try:
            if not (repo or "").strip():
                return parts.banner(
                    "warn", "No name is given.", "Write it as on the Hub, such as owner/name."
                ), gr.skip()
            most = int(rows) if rows and rows >= 1 else None
            imports.begin(
                studio, Wanted(repo=repo, revision=revision, config=config, split=split, heldout=heldout, rows=most)
            )
        except StudioError as error:
            return parts.error_banner(error), gr.skip()
        except ValueError:
            return parts.banner("bad", "A name is too long.", "Copy it from the data set's page."), gr.skip()
        return "", draw(studio)

    on_load(lambda: draw(studio), on.coming)
    every(REFRESH_SECONDS, lambda: draw(studio), on.coming)
    gr.on([on.begin.click, on.repo.submit], begin, on.asked, [on.said, on.coming], **SLOW)


def draw(studio: Studio) -> str:
    """What is being read, and below it what is fetched."""
    return "".join([*map(reading, list_readings(studio)), *map(drawn, imports.list_imports(studio))])


def reading(now: Reading) -> str:
    """A file that is being read; nothing for one that is read in a moment."""
    told = now.told
    if not told:
        return ""
    rows, share = words.count(told["rows"]), told["share"]
    so_far = f"Reading: {rows} rows" + ("" if share is None else f", {share:.0%}")
    bar = "" if share is None else parts.progress(share, f"{now.file_name} is read")
    stop = action("End it", "end-reading", now.id, label=f"End the reading of {now.file_name}")
    return _entry(f'{parts.chip(so_far, "running")}<span class="ls-sub">{parts.text(now.file_name)}</span>{stop}', bar)


def drawn(found: imports.Import) -> str:
    """One import: how far it is, or what to do."""
    name = parts.text(found.wanted.repo)
    rest = ", ".join(filter(None, (found.wanted.config, found.wanted.split)))
    head = f'<span class="ls-name">{name}</span><span class="ls-sub">{parts.text(rest)}</span>'
    remove = action(
        "End it" if found.state == "running" else "Remove", "end", found.id, label=f"Remove {found.wanted.repo}"
    )
    if found.state == "running":
        so_far = f"{words.plural(found.rows, 'row')}, {words.size(found.bytes)}" if found.rows else "Asking the Hub"
        bar = parts.progress(found.done, f"{found.wanted.repo} is fetched") if found.done is not None else ""
        return _entry(f"{parts.chip('On its way', 'running')}{head}<span class='ls-sub'>{so_far}</span>{remove}", bar)
    if found.state == "ready":
        look = action("Look at it", "look", found.id, label=f"Look at {found.wanted.repo}")
        return _entry(
            f"{parts.chip('Here', 'ok')}{head}<span class='ls-sub'>{words.plural(found.rows, 'row')}</span>{look}{remove}"
        )
    choices = "".join(action(each, "choose", f"{found.id}:{place}") for place, each in enumerate(found.choices[:30]))
    told = parts.banner("warn" if found.choices else "bad", found.problem or "", found.fix or "", choices)
    return _entry(head + remove, told)


def _entry(row: str, below: str = "") -> str:
    return f'<div class="ls-entry ls-gap"><div class="ls-row">{row}</div>{below}</div>'


def choose(studio: Studio, id: str) -> None:
    """Begin again with what was chosen: "import:place of the choice"."""
    import_id, _, place = id.partition(":")
    found = imports.get_import(studio, import_id)
    if found.field and place.isdecimal() and int(place) < len(found.choices):
        wanted = found.wanted.model_copy(update={found.field: found.choices[int(place)]})
        imports.begin(studio, wanted, found.owner)
        imports.end(studio, import_id)
