"""How the pages' events are wired: quick ones answer at once, none shows Gradio's own progress, none is an API."""

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

# For handlers of less than about 100 ms: no queue, so one request each.
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# For work that takes longer: through the queue, where the page shows what goes on by itself.
SLOW: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# For an event without a handler in Python: goes to the address in its input. After the event, so that Gradio has closed its stream.
GO = "(to) => { if (to) setTimeout(() => location.assign(to), 50) }"


def on_load(handler: Callable, outputs: Any, inputs: Any = None) -> Any:
    """Run `handler` when the page that is being built is opened, with its address in `request.query_params`."""
    return gr.context.Context.root_block.load(handler, inputs, outputs, **QUICK)


def every(seconds: float, handler: Callable, outputs: Any, inputs: Any = None, active: bool = True) -> gr.Timer:
    """Run `handler` again and again while the page is open."""
    timer = gr.Timer(seconds, active=active)
    timer.tick(handler, inputs, outputs, **QUICK)
    return timer


def plain(html: str = "", **options: Any) -> gr.HTML:
    """A place for drawn HTML, without Gradio's frame around it. Its listener for clicks is left out."""
    classes = ["ls-plain", *options.pop("elem_classes", [])]
    return gr.HTML(html, elem_classes=classes, js_on_load=None, apply_default_css=False, **options)


# A constant: hands the clicked button's act and id to the listener; a button may name another event than click, for work that
# must not wait for the end of a click's. Whoever listens checks them again.
CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button || button.disabled) return;
  if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
  trigger(button.dataset.on || 'click', { act: button.dataset.act, id: button.dataset.id });
});
"""


def clickable(html: str = "", **options: Any) -> gr.HTML:
    """A place for drawn HTML whose `action` buttons call its click listener; there, `clicked(event)` says which it was."""
    classes = ["ls-plain", *options.pop("elem_classes", [])]
    return gr.HTML(html, elem_classes=classes, js_on_load=CLICKS, apply_default_css=False, **options)


def action(
    words: str,
    act: str,
    id: str,
    confirm: str = "",
    quiet: bool = False,
    label: str = "",
    on: str = "",
    skipped: bool = False,
) -> str:
    """A button inside a clickable place. `confirm` is asked first; a quiet one looks like a link.

    `on` names the event that it triggers instead of click; a skipped one is not reached by Tab, where it stands there twice.
    """
    more = f' data-confirm="{escape(confirm)}"' if confirm else ""
    more += f' aria-label="{escape(label)}"' if label else ""
    more += f' data-on="{escape(on)}"' if on else ""
    more += ' tabindex="-1"' if skipped else ""
    look = "ls-quiet" if quiet else "ls-btn s"
    return f'<button type="button" class="{look}" data-act="{escape(act)}" data-id="{escape(id)}"{more}>{escape(words)}</button>'


def clicked(event: gr.EventData) -> tuple[str, str]:
    """(act, id) of the button that was pressed, as the browser says."""
    said = event._data if isinstance(event._data, dict) else {}
    return str(said.get("act", "")), str(said.get("id", ""))
