"""Home, Models, Data and Train over a real studio with its built-in model and data: what they show and offer."""

import json
import re
from datetime import UTC, datetime

import gradio as gr
import pytest
from starlette.datastructures import QueryParams

from studio import base_models, datasets, runs
from studio.methods import METHODS
from studio.pages import data, data_detail, home, models, train, train_form
from studio.plan import read_plan
from studio.records import Run, Status
from studio.settings import StudioSettings
from studio.studio import Studio


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A studio with what comes with it."""
    opened = Studio.open(StudioSettings(data_folder=tmp_path_factory.mktemp("studio")))
    base_models.add_builtin(opened)
    datasets.add_builtins(opened)
    yield opened
    opened.database.close()


@pytest.fixture(scope="module")
def form():
    with gr.Blocks():
        made = train_form.layout()
        made.name = gr.Textbox()
    return made


class Asked:
    """A request, as far as handlers look at it."""

    def __init__(self, query: str):
        self.query_params = QueryParams(query)


def values_on(page: list) -> list:
    """What stands in the inputs of a freshly opened Train page."""
    model, dataset, method, name, *rest, _visit, _queue, _changed = page
    return [model["value"], dataset["value"], method, name, *[update["value"] for update in rest]]


def test_a_fresh_train_page_can_be_started_at_once(furnished, form):
    given = values_on(train.opened(furnished, form, QueryParams("")))
    cost, start, folded, recipe, model, dataset = train.judged(furnished, form, tuple(given))
    assert start["interactive"]
    assert start["value"] == "Start training"
    assert recipe == "Balanced"
    assert folded["label"] == "Advanced settings (all at their defaults)"
    assert "Trainable parameters" in cost
    assert "parameters" in model["info"]
    assert "rows" in dataset["info"]


def test_the_address_chooses_model_and_data(furnished, form):
    wanted = datasets.list_datasets(furnished).items[-1].id
    page = train.opened(furnished, form, QueryParams({"data": wanted, "model": "builtin"}))
    assert values_on(page)[:2] == ["builtin", wanted]


def test_an_address_with_nonsense_opens_the_page_all_the_same(furnished, form):
    page = train.opened(furnished, form, QueryParams({"data": "../x", "model": "<b>"}))
    assert values_on(page)[0] == "builtin"


@pytest.mark.parametrize(("place", "value", "words"), [(0, None, "Choose a base model"), (1, None, "Choose data")])
def test_the_start_button_names_what_is_missing(furnished, form, place, value, words):
    given = values_on(train.opened(furnished, form, QueryParams("")))
    given[place] = value
    _, start, *_ = train.judged(furnished, form, tuple(given))
    assert start == start | {"value": words, "interactive": False}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (("lora", "rank"), 100_000, "Change Rank"),
        (("lora", "targets"), [], "Change Target modules"),
        (("training", "epochs"), "many", "Change Epochs"),
        (("training", "learning_rate"), "-1", "Change Learning rate"),
        (("lora", "layers"), "7-99", "Change Layers"),
    ],
)
def test_the_start_button_names_the_setting_that_is_wrong(furnished, form, key, value, words):
    given = values_on(train.opened(furnished, form, QueryParams("")))
    given[5 + list(form.components).index(key)] = value
    cost, start, *_ = train.judged(furnished, form, tuple(given))
    assert start == start | {"value": words, "interactive": False}
    assert "ls-banner bad" in cost


def test_a_run_can_be_changed_and_trained_again(furnished, form):
    dataset = datasets.list_datasets(furnished).items[0].id
    plan = read_plan(
        {"base_model": "builtin", "dataset": dataset, "name": "First", "method": {"name": "lora", "rank": 4}}
    )
    run = runs.queue_run(furnished, plan)
    page = train.opened(furnished, form, QueryParams({"from": run.id}))
    given = values_on(page)
    assert given[5 + list(form.components).index(("lora", "rank"))] == 4
    assert train.parent_of(furnished, Asked(f"from={run.id}")) == run.id
    assert train.parent_of(furnished, Asked("from=nobody")) is None
    assert "1 run ahead of yours" in train.ahead(furnished)
    runs.cancel_run(furnished, run.id)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_any_method_opens_with_its_own_settings_and_gives_the_same_plan_again(furnished, form, method):
    dataset = datasets.list_datasets(furnished).items[0].id
    plan = read_plan({"base_model": "builtin", "dataset": dataset, "method": {"name": method}, "training": {"seed": 7}})
    run = runs.queue_run(furnished, plan)
    given = values_on(train.opened(furnished, form, QueryParams({"from": run.id})))
    assert read_plan(form.values(tuple(given), train.targets_of(furnished, "builtin"))) == plan.model_copy(
        update={"name": given[3]}
    )
    cost, start, *_ = train.judged(furnished, form, tuple(given))
    assert start["interactive"], cost
    runs.cancel_run(furnished, run.id)


def test_home_shows_what_failed_until_it_is_tried_again(furnished):
    dataset = datasets.list_datasets(furnished).items[0].id
    failed = {"base_model": "builtin", "dataset": dataset, "method": "lora", "queued_at": datetime.now(UTC)}
    with furnished.database.write() as session:
        session.add(
            Run(
                id="failed1",
                name="Too large",
                state=Status.FAILED,
                ended_at=datetime.now(UTC),
                problem="Memory ran out at step 3.",
                fix="Take less.",
                **failed,
            )
        )
    drawn = home.draw(furnished)
    assert "One needs your attention." in drawn
    assert "Memory ran out at step 3." in drawn
    assert "/train?from=failed1" in drawn
    with furnished.database.write() as session:
        session.add(Run(id="again1", name="Smaller", state=Status.SUCCEEDED, parent="failed1", **failed))
    assert "Memory ran out" not in home.draw(furnished).partition("Recent runs")[0]


def test_models_are_shown_with_what_a_person_asks_first(furnished):
    drawn = models.draw(furnished)
    assert "LoRA fits" in drawn
    assert "LlamaForCausalLM" in drawn
    assert 'href="/train?model=builtin"' in drawn
    assert 'data-act="remove"' not in drawn  # what comes with the studio stays


def test_a_model_is_refused_in_words_beside_the_form(furnished):
    said, *others = models.add_folder(furnished, "../../etc")
    assert "ls-banner bad" in said
    said, *_ = models.add_folder(furnished, "")
    assert "No folder is chosen." in said
    assert len(others) == 2


def test_data_sets_are_listed_with_what_they_are_for(furnished):
    drawn = data.draw_list(furnished)
    for dataset in datasets.list_datasets(furnished).items:
        assert f"/data?id={dataset.id}" in drawn
        assert data_detail.description_of(dataset) in drawn


def test_a_data_set_that_is_gone_is_no_dead_end(furnished):
    assert "There is no such data set" in data.draw_head(furnished, "gone", None)
    assert 'href="/data"' in data.draw_head(furnished, "gone", None)
    assert data_detail.draw_row(furnished, Asked("id=gone"), "builtin", 1) == ""


def test_any_row_can_be_seen_as_the_trainer_reads_it(furnished):
    dataset = datasets.list_datasets(furnished).items[0]
    asked = Asked(f"id={dataset.id}")
    first = data_detail.draw_row(furnished, asked, "builtin", 1)
    assert 'class="t"' in first
    assert 'class="m"' in first
    beyond = data_detail.draw_row(furnished, asked, "builtin", 10**9)
    assert f"Row {dataset.rows} of {dataset.rows}" in beyond
    assert "tokens a row" in data_detail.draw_lengths(furnished, asked, "builtin")


def brought(studio, tmp_path, rows: list[dict]):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return datasets.add_upload(studio, path, path.name)


def test_raw_text_is_shown_as_learned_from_end_to_end(furnished, tmp_path):
    dataset = brought(furnished, tmp_path, [{"text": f"The keeper counts {number} ships."} for number in range(30)])
    asked = Asked(f"id={dataset.id}")
    assert dataset.kind == "text"
    drawn = data_detail.draw_row(furnished, asked, "builtin", 1, "text/all")
    assert 'class="t"' in drawn
    assert 'class="m"' not in drawn
    assert "tokens a document" in data_detail.draw_lengths(furnished, asked, "builtin", "text/all")


def test_of_a_pair_the_chosen_and_the_rejected_answer_are_told_apart(furnished, tmp_path):
    dataset = brought(furnished, tmp_path, [{"prompt": "Hi", "chosen": "Hello!", "rejected": "No."}] * 2)
    asked = Asked(f"id={dataset.id}")
    drawn = data_detail.draw_row(furnished, asked, "builtin", 1, "preference/all")
    chosen, _, rejected = drawn.partition("Rejected")
    assert ('class="t"' in chosen, "Hello!" in chosen, 'class="r"' in chosen) == (True, True, False)
    assert ('class="r"' in rejected, "No." in rejected, 'class="t"' in rejected) == (True, True, False)
    only = data_detail.draw_row(furnished, asked, "builtin", 1, "answers/all")
    assert "No." not in only
    assert [way for _, way in data_detail.ways_to_learn(dataset, 0)] == ["preference/all", "answers/all"]


def test_the_answers_that_are_learned_can_be_chosen_in_the_preview(furnished, tmp_path):
    turns = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "First.", "weight": 1}]
    last = [{"role": "user", "content": "B?"}, {"role": "assistant", "content": "Second.", "weight": 0}]
    dataset = brought(furnished, tmp_path, [{"messages": turns + last}] * 2)
    asked = Asked(f"id={dataset.id}")

    def green(way: str) -> str:
        drawn = data_detail.draw_row(furnished, asked, "builtin", 1, way)
        return "".join(re.findall(r'class="t[ s]*" data-token="\d+" tabindex="-1">([^<]*)<', drawn))

    shown = {
        way: [word in green(way) for word in ("First", "Second")]
        for way in ("answers/all", "answers/last", "answers/marked")
    }
    assert shown == {"answers/all": [True, True], "answers/last": [False, True], "answers/marked": [True, False]}
    marked = datasets.report_of(furnished, dataset.id).marked_rows
    assert data_detail.ways_to_learn(dataset, marked)[0][1] == "answers/marked"  # as the training's "auto"
