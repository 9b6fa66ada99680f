"""Curves of a run as SVG, drawn in the browser by assets/chart.js. (gr.LinePlot redraws itself a thousand times per update.)"""

import json
from typing import Any

import gradio as gr

# Constants only: Gradio evaluates a template as JavaScript, so no text of a person may ever stand in one.
TEMPLATE = '<div class="ls-chart"></div>'
DRAW = """
const show = () => window.studioChart && window.studioChart(element.querySelector('.ls-chart'), JSON.parse(props.value || 'null'));
show();
if (!window.studioChart) window.addEventListener('load', show);
watch('value', show);
"""


class Chart(gr.HTML):
    """Its value is a dict as chart.js reads it: {"title", "zero", "digits", "series": [{"name", "color", "x", "y", "dots", ...}]}."""

    def __init__(self, value: dict[str, Any] | None = None, **options: Any):
        super().__init__(value, html_template=TEMPLATE, js_on_load=DRAW, elem_classes=["ls-plain"], **options)

    def postprocess(self, value: dict[str, Any] | None) -> str | None:
        return None if value is None else json.dumps(value, allow_nan=False)

    def preprocess(self, payload: str | None) -> None:
        return None  # nothing reads a chart
