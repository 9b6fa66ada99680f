"""Notifications: be told by webhook or e-mail that a run has ended, without keeping a page open."""

from functools import partial

import gradio as gr

from studio.errors import StudioError
from studio.notifications import channels, outbox
from studio.notifications.messages import EVENTS
from studio.pages import notifications_view as view
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import QUICK, SLOW, clickable, clicked, every, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.studio import Studio

REFRESH_SECONDS = 5
WEBHOOK, EMAIL = "Webhook", "E-mail"
KINDS = {WEBHOOK: "webhook", EMAIL: "email"}
SAVED = {words: event for event, words in EVENTS.items()}
ADDRESS = {
    WEBHOOK: ("Address", "https://example.org/hooks/lora", "The studio posts a signed message to it."),
    EMAIL: ("E-mail address", "ann@example.org", "A short message with what came of the run."),
}


def build(studio: Studio) -> None:
    head("Notifications", "Be told when a run ends, without keeping a page open.", crumb_html=view.CRUMB)
    said = plain()
    listed = clickable('<div class="ls-skeleton" style="height:120px" aria-busy="true"></div>')
    with gr.Column(elem_classes=["ls-sec"]):
        plain('<h2 class="ls-h2">Add a way to be told</h2>')
        with gr.Row(elem_classes=["ls-end"]):
            kind = gr.Radio(list(KINDS), value=WEBHOOK, label="How", scale=1, min_width=180, interactive=True)
            address = gr.Textbox(
                max_length=500, max_lines=1, scale=3, min_width=260, interactive=True, **field(WEBHOOK)
            )
        events = gr.CheckboxGroup(list(SAVED), value=list(SAVED), label="When a run is", interactive=True)
        add = gr.Button("Add", variant="primary", elem_classes=["ls-fit"])
    told = plain()

    def show():
        return view.listed(channels.list_channels(studio)), view.told(outbox.recent(studio))

    def press(event: gr.EventData):  # Gradio looks for its event by this type, and does not see it through a partial
        return act(studio, event)

    on_load(plainly(show), [listed, told])
    every(REFRESH_SECONDS, plainly(show), [listed, told])
    kind.input(lambda chosen: gr.update(**field(chosen)), kind, address, **QUICK)
    added = [said, address, listed, told]
    gr.on([add.click, address.submit], plainly(partial(add_one, studio)), [kind, address, events], added, **SLOW)
    listed.click(plainly(press), None, [said, listed, told], **SLOW)


def field(kind: str) -> dict[str, str]:
    """How the address is asked for."""
    label, placeholder, info = ADDRESS.get(kind, ADDRESS[WEBHOOK])
    return {"label": label, "placeholder": placeholder, "info": info}


def add_one(studio: Studio, kind: str, address: str, events: list[str]):
    """(what came of it, the address, the list, what was told)."""
    try:
        wanted = [SAVED[words] for words in events or [] if words in SAVED]
        channel = channels.add_channel(studio, KINDS.get(kind, ""), address or "", wanted)
    except StudioError as error:
        return parts.error_banner(error), gr.skip(), gr.skip(), gr.skip()
    return view.added(channel), "", view.listed(channels.list_channels(studio)), gr.skip()


def act(studio: Studio, event: gr.EventData):
    """What was pressed in the list: (what came of it, the list, what was told)."""
    wanted, id = clicked(event)
    try:
        said = ACTS[wanted](studio, id) if wanted in ACTS else ""
    except StudioError as error:
        said = parts.error_banner(error)
    return said, view.listed(channels.list_channels(studio)), view.told(outbox.recent(studio))


def _test(studio: Studio, id: str) -> str:
    channels.send_test(studio, id)
    return parts.banner("ok", "The test was taken.", "Runs that end from now on are told in the same way.")


def _switch(active: bool, studio: Studio, id: str) -> str:
    channels.change_channel(studio, id, active=active)
    return ""


def _renew(studio: Studio, id: str) -> str:
    return view.added(channels.renew_secret(studio, id))


def _remove(studio: Studio, id: str) -> str:
    channels.delete_channel(studio, id)
    return parts.banner("ok", "Removed.", "Nothing is told there any more.")


ACTS = {
    "test": _test,
    "on": partial(_switch, True),
    "off": partial(_switch, False),
    "secret": _renew,
    "remove": _remove,
}

PAGE = Page(title="Notifications", path="notifications", build=build, in_navigation=False, within="settings")
