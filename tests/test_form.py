"""The Train page's form: every setting has its input, and what a person enters becomes the plan that they mean."""

import gradio as gr
import pytest

from studio.errors import Invalid
from studio.methods import METHODS
from studio.pages import form, train_form
from studio.pages.recipes import RECIPES
from studio.plan import TrainingPlan, read_plan
from studio.training_settings import Resources, TrainingSettings

PLAN = {"base_model": "m", "dataset": "d"}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_setting_of_a_method_is_on_its_form(method):
    with gr.Blocks():
        assert set(form.inputs_for(method.settings)) == set(method.settings.model_fields) - {"name"}


@pytest.mark.parametrize("declared", [TrainingSettings, Resources], ids=["training", "resources"])
def test_every_setting_with_a_choice_is_on_the_form(declared):
    with gr.Blocks():
        assert set(form.inputs_for(declared)) == set(declared.model_fields)


def test_an_input_says_what_the_setting_says():
    with gr.Blocks():
        rank = form.inputs_for(METHODS["lora"].settings)["rank"]
    declared = METHODS["lora"].settings.model_fields["rank"]
    assert (rank.label, rank.info, rank.value) == (declared.title, declared.description, declared.default)


@pytest.mark.parametrize("declared", [TrainingSettings, Resources, *(method.settings for method in METHODS.values())])
def test_an_untouched_form_is_the_defaults(declared):
    targets = ["q_proj", "v_proj"]
    for setting in form.settings_of(declared).values():
        there_and_back = form.from_input(setting, form.to_input(setting, setting.default, targets), targets)
        assert there_and_back == setting.default, setting.name


def test_numbers_may_be_written_as_people_write_them():
    rate = form.settings_of(TrainingSettings)["learning_rate"]
    assert form.from_input(rate, " 2e-4 ") == 2e-4
    assert form.from_input(rate, "") == "auto"
    assert form.from_input(rate, "AUTO") == "auto"


def test_what_is_no_number_is_told_by_the_settings_title():
    with pytest.raises(Invalid, match="Learning rate cannot be 'fast'") as caught:
        form.from_input(form.settings_of(TrainingSettings)["learning_rate"], "fast", part="training")
    assert caught.value.field == "training.learning_rate"


def test_all_layers_chosen_one_by_one_mean_all_linear_layers():
    targets = form.settings_of(METHODS["lora"].settings)["targets"]
    assert form.from_input(targets, ["v_proj", "q_proj"], ["q_proj", "v_proj"]) == "all-linear"
    assert form.from_input(targets, ["q_proj"], ["q_proj", "v_proj"]) == ["q_proj"]
    assert form.from_input(targets, [], []) == []


RANKS = form.settings_of(METHODS["lora"].settings)["rank_pattern"]


def test_ranks_of_single_modules_are_written_one_per_line():
    written = " q_proj = 8\n\nlayers.0.mlp.up_proj=4 "
    assert form.from_input(RANKS, written) == {"q_proj": 8, "layers.0.mlp.up_proj": 4}
    assert form.to_input(RANKS, {"q_proj": 8, "up_proj": 4}) == "q_proj = 8\nup_proj = 4"
    assert form.from_input(RANKS, None) == {}


@pytest.mark.parametrize("written", ["q_proj", "q_proj = many", "= 8", "q_proj: 8", "q_proj = 8\nq_proj = 9"])
def test_a_line_that_is_no_name_and_number_is_told(written):
    with pytest.raises(Invalid, match="Rank of single modules: '") as caught:
        form.from_input(RANKS, written, part="method")
    assert caught.value.field == "method.rank_pattern"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.title for recipe in RECIPES])
def test_a_recipe_is_a_plan_of_every_method_and_is_known_again(recipe, method):
    plan = read_plan(PLAN | train_form.recipe_values(recipe, method))
    assert train_form.recipe_of(plan) == recipe.title


@pytest.mark.parametrize("chosen", METHODS)
def test_only_the_chosen_methods_settings_are_shown(chosen):
    with gr.Blocks():
        made = train_form.layout()
    label, *shown = made.chosen(chosen)
    assert METHODS[chosen].title in label["label"]
    names = [name for name, parts in made.parts_of_methods.items() for _ in parts]
    assert {name for name, update in zip(names, shown, strict=True) if update["visible"]} == {chosen}
    assert len(made.switched) == 1 + len(shown)


def test_every_method_says_in_a_sentence_what_it_is_for_and_lora_stands_first():
    assert next(iter(METHODS)) == "lora"
    for method in METHODS.values():
        assert method.summary.endswith("."), method.name
        assert len(method.summary) < 120, method.name


def test_a_changed_recipe_is_ones_own():
    assert train_form.recipe_of(read_plan(PLAN | {"method": {"name": "lora", "rank": 17}})) is None


def test_a_form_filled_from_a_plan_gives_the_same_plan():
    wanted = read_plan(
        PLAN
        | {
            "name": "Mine", "method": {"name": "lora", "rank": 300, "alpha": 0.5, "targets": ["v_proj"], "layers": "0-3,8", "rslora": True, "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 2.5}, "new_tokens": ["<a>", "<b>"]}, "tags": ["one", "two"], "notes": "Why",
            "training": {"epochs": 2.5, "learning_rate": 1e-5, "gradient_checkpointing": True, "sample_prompts": ["Hello?"], "early_stopping": 2}, "resources": {"priority": -3},
        }
    )  # fmt: skip
    targets = ["q_proj", "v_proj"]
    with gr.Blocks():
        made = train_form.layout()
    updates = made.updates(wanted.model_dump(mode="json"), targets)
    given = (wanted.base_model, wanted.dataset, "lora", wanted.name, "", *[update["value"] for update in updates])
    assert read_plan(made.values(given, targets)) == wanted
    rank = updates[list(made.components).index(("lora", "rank"))]
    assert rank["maximum"] == 300  # beyond what the slider offers by itself


def test_the_form_counts_what_was_changed_in_the_folded_part():
    with gr.Blocks():
        made = train_form.layout()
    plan = TrainingPlan.model_validate(
        PLAN | {"method": {"name": "lora", "rank": 4, "rslora": True}, "training": {"seed": 5}, "notes": "x"}
    )
    assert made.changed(plan) == 3  # rslora, seed and notes; rank is not folded
    assert made.changed(read_plan(PLAN)) == 0
