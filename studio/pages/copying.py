"""Buttons that copy: an answer, a link, a piece of code."""

from html import escape

import gradio as gr

# A constant, as every script of a component: it reads the text from an attribute and never runs it.
COPY = """
element.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]');
  if (!button) return;
  const words = button.textContent, text = button.dataset.copy || location.href;
  try { await navigator.clipboard.writeText(text); button.textContent = 'Copied'; }
  catch (error) { button.textContent = 'Press Ctrl-C'; getSelection().selectAllChildren(button); }
  setTimeout(() => { button.textContent = words; }, 1500);
});
"""


def copyable(html: str = "", **options) -> gr.HTML:
    """A place for drawn HTML whose copy buttons work."""
    classes = ["ls-plain", *options.pop("elem_classes", [])]
    return gr.HTML(html, elem_classes=classes, js_on_load=COPY, apply_default_css=False, **options)


def copy_button(text: str = "", words: str = "Copy", small: bool = True) -> str:
    """A button that copies `text`; the page's address when there is none."""
    return f'<button type="button" class="ls-btn{" s" * small}" data-copy="{escape(text)}">{escape(words)}</button>'
