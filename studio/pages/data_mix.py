"""Mixing data sets: choose some, give each a weight, see how many rows that makes, and make the mix."""

import gradio as gr

from studio import datasets
from studio.errors import StudioError
from studio.listing import MOST
from studio.mixes.making import make_mix, rows_of_mix
from studio.mixes.recipe import MOST_WEIGHT, Part
from studio.pages import parts, words
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.studio import Studio

PLACES = 4  # the API takes more
NONE = ""


def section(studio: Studio) -> None:
    with gr.Accordion("Mix data sets", open=False, elem_classes=["ls-fold"]):
        plain(
            '<p class="ls-sub">They become a new data set. A weight of 1 brings all rows of one once, 2 twice, and 0.5 half of '
            "them, always the same ones. Held-out rows stay held out.</p>"
        )
        chosen, weights = [], []
        for place in range(PLACES):
            with gr.Row():
                chosen.append(gr.Dropdown([], label=f"Data set {place + 1}", interactive=True, scale=3, min_width=180))
                weights.append(
                    gr.Number(
                        1, label="Weight", minimum=0.01, maximum=MOST_WEIGHT, interactive=True, scale=1, min_width=90
                    )
                )
        told = plain()
        with gr.Row(elem_classes=["ls-end"]):
            name = gr.Textbox(label="Name of the mix", max_lines=1, max_length=100, interactive=True)
            mix = gr.Button("Mix", variant="primary", elem_classes=["ls-fit"])
    goes_to = gr.Textbox(visible=False)
    inputs = [*chosen, *weights]

    def choices():
        return [gr.update(choices=options(studio))] * PLACES

    def count(*given) -> str:
        return counted(studio, given)

    def make(given_name: str, *given) -> str:
        return f"/data?id={make_mix(studio, given_name, wanted(given)).id}"

    on_load(choices, chosen)
    gr.on([*(each.input for each in inputs)], count, inputs, told, trigger_mode="always_last", **QUICK)
    made = mix.click(plainly(make), [name, *inputs], goes_to, **SLOW)
    made.success(None, goes_to, None, js=GO, api_visibility="private")


def options(studio: Studio) -> list[tuple[str, str]]:
    found = datasets.list_datasets(studio, limit=MOST).items
    return [("–", NONE), *((f"{each.name} ({words.plural(each.rows, 'row')})", each.id) for each in found)]


def wanted(given: tuple) -> list[Part]:
    """The parts that are chosen, each with its weight; a weight that is left empty is 1."""
    pairs = zip(given[:PLACES], given[PLACES:], strict=True)
    return [Part(dataset=id, weight=min(max(weight or 1, 0.01), MOST_WEIGHT)) for id, weight in pairs if id]


def counted(studio: Studio, given: tuple) -> str:
    """What the mix would have, or why it cannot be."""
    found = wanted(given)
    if not found:
        return ""
    try:
        rows = rows_of_mix(studio, found)
    except StudioError as error:
        return parts.error_banner(error)
    each = " + ".join(map(words.count, rows))
    return f'<p class="ls-sub">About {each}{" = " + words.count(sum(rows)) if len(rows) > 1 else ""} rows.</p>'
