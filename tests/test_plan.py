"""Settings are checked at the edge, in one sentence that names the field."""

import json

import pytest

from studio.errors import Invalid
from studio.methods import METHODS
from studio.plan import TrainingPlan, read_plan

LEAST = {"base_model": "builtin", "dataset": "abc"}


def test_everything_but_the_base_model_and_the_data_has_a_default():
    plan = read_plan(LEAST)
    assert (plan.method.name, plan.method.rank, plan.method.alpha, plan.method.targets) == (
        "lora",
        16,
        32,
        "all-linear",
    )
    assert (plan.training.batch_size, plan.training.learning_rate, plan.training.schedule) == (16, "auto", "cosine")


def test_a_saved_plan_reads_back_as_it_was():
    plan = read_plan(
        {
            **LEAST,
            "method": {"name": "lora", "rank": 4, "targets": ["q_proj", "v_proj"]},
            "training": {"epochs": 1.5, "micro_batch": 2},
            "tags": ["demo"],
        }
    )
    assert read_plan(json.loads(plan.model_dump_json())) == plan


@pytest.mark.parametrize(
    ("part", "setting", "values"),
    [
        ("method", "rank", [0, -1, 8.5, "8", True, 10**9, None]),
        ("method", "alpha", [float("nan"), 0, -16, "32", float("inf")]),
        ("method", "dropout", [-0.1, 1.0, "a little"]),
        ("method", "targets", ["everything", 3, ["../x"], ["a b"], [7]]),
        ("method", "layers", ["3-", "a", "-1", 4, 0, [], "١"]),
        ("training", "learning_rate", [float("nan"), 0, -1, 1e9, "fast", True]),
        ("training", "epochs", [0, 1e12, -2, "two", True]),
        ("training", "batch_size", [0, -4, 2.5, "16", 10**6]),
        ("training", "warmup_ratio", [1.0, -0.1, True]),
        ("training", "sequence_length", [0, 7, "full", 10**9]),
        ("training", "validation", [1.0, -0.2, "some"]),
        ("training", "precision", ["fp8", 16]),
        ("training", "max_steps", [0, 1.5, "10"]),
        ("training", "seed", [-1, 2**40, 0.5]),
        ("resources", "gpus", [0, 1000, "1"]),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(part, setting, values):
    for value in values:
        with pytest.raises(Invalid) as refused:
            read_plan({**LEAST, part: {setting: value}})
        assert refused.value.field == f"{part}.{setting}", value
        assert refused.value.status == 422


def test_a_setting_that_there_is_not_is_refused_rather_than_ignored():
    with pytest.raises(Invalid, match="There is no setting 'training.learning_rat'") as refused:
        read_plan({**LEAST, "training": {"learning_rat": 1e-4}})
    assert refused.value.field == "training.learning_rat"


def test_layers_that_are_written_wrongly_are_told_how_to_write_them_and_none_means_all():
    with pytest.raises(Invalid, match="such as 0-3,8"):
        read_plan({**LEAST, "method": {"layers": "first"}})
    assert read_plan({**LEAST, "method": {"layers": ""}}).method.layers is None


def test_a_missing_base_model_is_named():
    with pytest.raises(Invalid, match="'base_model' is missing"):
        read_plan({"dataset": "abc"})


def test_an_unknown_method_is_answered_with_those_that_there_are():
    with pytest.raises(Invalid, match="only: lora"):
        read_plan({**LEAST, "method": {"name": "magic"}})


@pytest.mark.parametrize("value", [None, 3, "plan", [], [1]])
def test_a_plan_that_is_no_object_is_refused(value):
    with pytest.raises(Invalid):
        read_plan(value)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  two\n lines ", "two lines"),
        ("a\0b", "ab"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("e\u0301", "é"),
        ("<img onerror=x>", "<img onerror=x>"),
        ("${7*7} {{7*7}} %s", "${7*7} {{7*7}} %s"),
    ],
)
def test_names_are_composed_and_lose_their_control_characters(given, shown):
    assert read_plan({**LEAST, "name": given}).name == shown


def test_a_name_above_a_hundred_characters_is_refused():
    with pytest.raises(Invalid, match="'name'"):
        read_plan({**LEAST, "name": "x" * 4000})


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_setting_of_a_method_has_a_title_and_says_what_it_does(method):
    for name, field in method.settings.model_fields.items():
        if name != "name":
            assert field.title, name
            assert field.description, name


def test_the_schema_describes_every_method():
    defined = TrainingPlan.model_json_schema()["$defs"]
    assert {method.settings.__name__ for method in METHODS.values()} <= defined.keys()
