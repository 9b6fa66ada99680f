"""Votes: what blind comparisons have shown so far, per base model, and the way from votes to a data set."""

from typing import Any

import gradio as gr

from studio import base_models, datasets, vote_pairs, vote_results, votes
from studio.listing import MOST
from studio.pages import votes_view
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head
from studio.studio import Studio

EVERYBODY = ""
NEW = "A new data set"
MAKE, ADD = "Make a data set from these votes", "Add these votes to the data set"
REMEMBER = """(model, by) => {
  const kept = new URLSearchParams(model ? { model } : {});
  if (by) kept.set('by', by);
  history.replaceState(null, '', location.pathname + '?' + kept);
  return [model, by];
}"""


def build(studio: Studio) -> None:
    head("Votes", "What people found better before they knew who wrote it.")
    with gr.Row(elem_classes=["ls-filters", "ls-voters"], visible=False) as filters:
        model = gr.Dropdown([], label="Base model", min_width=200, interactive=True)
        by = gr.Dropdown(
            [("Everybody", EVERYBODY)], value=EVERYBODY, label="Whose votes", min_width=200, interactive=True
        )
    found = plain('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
    with gr.Row(elem_classes=["ls-act", "ls-end"], visible=False) as learning:
        into = gr.Dropdown([], label="Into", scale=0, min_width=300, visible=False, interactive=True)
        make = gr.Button(MAKE, variant="primary", scale=0, min_width=270)
    to = gr.Textbox(visible=False)

    def opened(request: gr.Request):
        voted = votes.voted_models(studio)
        asked = request.query_params.get("model", "")
        base = asked if asked in voted else next(iter(voted), "")
        names = [(name, id) for id, name in known_names(studio, voted)]
        choice = gr.update(choices=names, value=base or None)
        filled = shown(studio, base, request.query_params.get("by", EVERYBODY))
        return gr.update(visible=bool(voted)), choice, pair_sets(studio), *filled

    def made(base: str, dataset: str | None):
        if dataset:
            return f"/data?id={vote_pairs.add_to_dataset(studio, base or '', dataset).dataset}"
        return f"/data?id={vote_pairs.make_dataset(studio, base or '').id}"

    screen = [by, found, learning]
    on_load(plainly(opened), [filters, model, into, *screen])
    changed = {"inputs": [model, by], "outputs": screen, "js": REMEMBER, **QUICK}
    gr.on([model.input, by.input], plainly(lambda base, who: shown(studio, base, who)), **changed)
    into.input(lambda dataset: ADD if dataset else MAKE, into, make, **QUICK)
    make.click(plainly(made), [model, into], to, **SLOW).success(None, to, js=GO, **QUICK)


def pair_sets(studio: Studio) -> Any:
    """Where the pairs of the votes may go: a new data set, or a version of one that holds pairs."""
    found = [one for one in datasets.list_datasets(studio, limit=MOST).items if one.kind == "preference"]
    choices = [(NEW, ""), *((f"{one.name}, as version {one.version + 1}", one.id) for one in found)]
    return gr.update(choices=choices, value="", visible=bool(found))


def known_names(studio: Studio, ids: list[str]) -> list[tuple[str, str]]:
    return [(id, base_models.get_model(studio, id).name) for id in ids]


def shown(studio: Studio, base: str, by: str | None) -> tuple[Any, str, Any]:
    """(whose votes can be chosen, the results, whether there is something to learn from)."""
    if not base:
        return gr.skip(), votes_view.nothing(), gr.update(visible=False)
    everybody = vote_results.results(studio, base)
    results = vote_results.results(studio, base, by=by) if by in everybody.people else everybody
    pairs = vote_pairs.preference_pairs(studio, base)
    people = [("Everybody", EVERYBODY), *((name, id) for id, name in everybody.people.items())]
    who = gr.update(choices=people, value=by if by in everybody.people else EVERYBODY, visible=len(people) > 2)
    return who, votes_view.drawn(results, pairs), gr.update(visible=bool(pairs.rows))


PAGE = Page(title="Votes", path="votes", build=build, in_navigation=False, within="compare")
