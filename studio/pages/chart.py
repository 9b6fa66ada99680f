"""Curves of a run as SVG, drawn in the browser by assets/chart.js. (gr.LinePlot redraws itself a thousand times per update.)"""

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import gradio as gr

# Constants only: Gradio evaluates a template as JavaScript, so no text of a person may ever stand in one.
TEMPLATE = '<div class="ls-chart"></div>'
DRAW = """
const show = () => window.studioChart && window.studioChart(element.querySelector('.ls-chart'), JSON.parse(props.value || 'null'));
show();
if (!window.studioChart) window.addEventListener('load', show);
watch('value', show);
"""


def chart(**options: Any) -> gr.HTML:
    """A place for curves; give it what `curves` returns. (Not a subclass: Gradio would write a .pyi file beside it at each start.)"""
    return gr.HTML(
        html_template=TEMPLATE, js_on_load=DRAW, apply_default_css=False, elem_classes=["ls-plain"], **options
    )


def line(
    name: str,
    x: Sequence[float],
    y: Sequence[float | None],
    color: int = 1,
    dots: bool = False,
    width: float = 2,
    opacity: float = 1,
) -> dict[str, Any]:
    """One curve. `color` is a series' number, 0 to 3; the base model is always 0. Missing and infinite values are left out."""
    kept = [(at, value) for at, value in zip(x, y, strict=True) if value is not None and math.isfinite(value)]
    return {
        "name": name,
        "color": f"var(--ls-s{color})",
        "x": [at for at, _ in kept],
        "y": [value for _, value in kept],
        "dots": dots,
        "width": width,
        "opacity": opacity,
    }


def curves(
    title: str, lines: Sequence[dict[str, Any]], digits: int | Literal["e"] = 2, zero: bool = False, waiting: str = ""
) -> str:
    """The value of a chart. `digits` after the point ("e": 2.0e-4), `zero` starts the axis at 0, `waiting` stands where no value is yet."""
    return json.dumps(
        {"title": title, "series": list(lines), "digits": digits, "zero": zero, "waiting": waiting}, allow_nan=False
    )
