"""What is wrong with a value is said in the studio's words, at the setting's name, with the nearest one that there is."""

import pytest
from fastapi.testclient import TestClient

from studio import base_models
from studio.compare_request import CompareRequest, read_request
from studio.errors import Invalid
from studio.lab_settings import read_lab_settings
from studio.plan import read_plan
from studio.settings import read_settings
from studio.suites.prompts import read_prompts
from studio.web import build_app
from studio.wrong_values import IS, MUST

LEAST = {"base_model": "builtin", "dataset": "abc"}
THEIRS = (
    "Input should",
    "after validation",
    "does not match",
    "Input tag",
    "valid ",
    "instance of",
    "Value error",
    "Extra ",
)


def refusal(read, *given) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read(*given)
    assert not any(words in f"{refused.value}" for words in THEIRS), refused.value
    return refused.value


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("method", {"rank": 0}, "'method.rank' cannot be 0: it must be 1 or more."),
        ("method", {"rank": 8.5}, "'method.rank' cannot be 8.5: it must be a whole number."),
        ("method", {"alpha": float("nan")}, "'method.alpha' cannot be nan: it must be"),
        ("training", {"learning_rate": -1}, "'training.learning_rate' cannot be -1: it must be auto or more than 0."),
        ("training", {"epochs": "two"}, "'training.epochs' cannot be 'two': it must be auto or a number."),
        ("training", {"schedule": "wave"}, "it must be cosine, linear, constant or warmup-stable-decay."),
        ("training", {"packing": "yes"}, "'training.packing' cannot be 'yes': it must be true or false."),
        ("training", [], "'training' cannot be []: it must be an object of settings."),
        ("name", "x" * 101, "'name' may have 100 characters at most."),
        ("base_model", "", "'base_model' is empty."),
        ("tags", ["x"] * 21, "'tags' may have 20 entries at most."),
        ("tags", "one", "'tags' cannot be 'one': it must be a list."),
    ],
)
def test_a_wrong_setting_of_a_plan_is_told_in_our_words(part, values, said):
    assert said in refusal(read_plan, {**LEAST, part: values}).problem


@pytest.mark.parametrize(
    ("values", "field", "near"),
    [
        ({"lerning_rate": 1}, "lerning_rate", None),  # it is one of the training's
        ({"datset_version": 1}, "datset_version", "dataset_version"),
        ({"training": {"lerning_rate": 1}}, "training.lerning_rate", "learning_rate"),
        ({"method": {"name": "lora", "rnak": 4}}, "method.rnak", "rank"),
        ({"method": {"rnak": 4}}, "method.rnak", "rank"),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest_one_of_its_place(values, field, near):
    refused = refusal(read_plan, {**LEAST, **values})
    assert refused.field == field
    assert (f"Did you mean '{near}'?" == refused.fix) if near else ("There are: " in refused.fix)


def test_settings_within_lists_and_alternatives_have_their_nearest_names_too():
    parents = [{"adapter": "a"}, {"adapter": "b", "wieght": 2}]
    refused = refusal(read_lab_settings, {"kind": "stack", "parents": parents})
    assert (refused.field, refused.fix) == ("parents.1.wieght", "Did you mean 'weight'?")
    columns = [{"checkpoint": {"run": "a", "stpe": 2}}]
    asked = {"base_model": "builtin", "messages": [{"role": "user", "content": "Hi"}], "columns": columns}
    refused = refusal(read_request, asked, CompareRequest)
    assert (refused.field, refused.fix) == ("columns.0.checkpoint.step", "Give it a value.")
    columns[0]["checkpoint"]["step"] = 2
    assert refusal(read_request, asked, CompareRequest).fix == "Did you mean 'step'?"
    refused = refusal(read_prompts, [{"text": "Hi", "checks": [{"kind": "length", "lest": 2, "most": 4}]}])
    assert (refused.field, refused.fix) == ("prompts.0.checks.0.lest", "Did you mean 'least'?")
    refused = refusal(read_prompts, [{"text": "Hi", "checks": [{"kind": "json", "shema": {}}]}])
    assert refused.fix == "Did you mean 'schema'?"


def test_a_kind_that_there_is_not_is_answered_with_those_that_there_are():
    refused = refusal(read_lab_settings, {"kind": "blend"})
    assert refused.field == "kind"
    assert refused.problem == "'kind' cannot be 'blend': it must be stack, shrink, merge, extract, fetch or push."
    assert refusal(read_lab_settings, {}).problem == "'kind' is missing."


def test_an_option_of_the_studio_is_refused_in_the_same_words():
    assert (
        "(or STUDIO_PORT) cannot be 'x': it must be a whole number" in refusal(read_settings, ["--port", "x"]).problem
    )
    assert "it must be 65535 or less" in refusal(read_settings, ["--port", "70000"]).problem


@pytest.fixture
def client(studio):
    base_models.add_builtin(studio)
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/compare", {"columns": [{}, {"adapter": "gone"}]}, "columns.1.adapter"),
        ("POST", "/compare", {"columns": [{"mix": [{"adapter": "a"}, {"adapter": "b"}]}]}, "columns.0.mix.0.adapter"),
        ("POST", "/compare", {"columns": [{"checkpoint": {"run": "gone", "step": 1}}]}, "columns.0.checkpoint.run"),
        ("POST", "/compare", {"base_model": "gone"}, "base_model"),
        ("POST", "/adapter-jobs", {"kind": "shrink", "adapter": "gone", "rank": 1}, "adapter"),
        ("POST", "/adapter-jobs", {"kind": "merge", "adapter": "gone"}, "adapter"),
        ("POST", "/adapter-jobs", {"kind": "extract", "base_model": "builtin", "tuned": "gone"}, "tuned"),
        ("POST", "/runs", {"base_model": "gone", "dataset": "gone"}, "base_model"),
        ("POST", "/plans/estimate", {"base_model": "builtin", "dataset": "gone"}, "dataset"),
        ("POST", "/suites/heldout", {"dataset": "gone"}, "dataset"),
        ("POST", "/suites/heldout", {"run": "gone"}, "run"),
        ("GET", "/adapters/side-by-side?id=a&id=b", None, "id"),
        ("GET", "/runs?serach=x", None, "serach"),
        ("GET", "/runs?limit=many", None, "limit"),
    ],
)
def test_the_api_names_the_field_of_what_is_not_there(client, method, path, body, field):
    if path == "/compare":
        body = {"base_model": "builtin", "messages": [{"role": "user", "content": "Hi"}], **body}
    answer = client.request(method, f"/api/v1{path}", json=body)
    error = answer.json()["error"]
    assert (error["field"], answer.status_code in (404, 422)) == (field, True), error
    assert not any(words in error["problem"] for words in THEIRS)


def test_a_parameter_that_an_address_does_not_take_is_refused_with_the_nearest(client):
    error = client.get("/api/v1/runs", params={"stat": "queued"}).json()["error"]
    assert error == {"problem": "There is no parameter 'stat'.", "fix": "Did you mean 'state'?", "field": "stat"}
    assert client.post("/api/v1/suites?dry=1", json={"name": "A", "prompts": [{"text": "Hi"}]}).status_code == 422
    assert client.get("/api/v1/suites").json()["items"] == []
    assert client.get("/api/v1/nothing?x=1").status_code == 404


def test_no_address_of_the_api_can_answer_in_words_that_are_not_ours(client):
    """The limits that the schema declares are all of kinds that have words."""
    limits = {"minimum": "greater_than_equal", "exclusiveMinimum": "greater_than", "maximum": "less_than_equal"}
    limits |= {"exclusiveMaximum": "less_than", "minLength": "string_too_short", "maxLength": "string_too_long"}
    limits |= {
        "minItems": "too_short",
        "maxItems": "too_long",
        "maxProperties": "too_long",
        "enum": "literal_error",
        "const": "literal_error",
    }
    limits |= {"pattern": "string_pattern_mismatch", "integer": "int_type", "number": "float_type"}
    limits |= {"boolean": "bool_type", "string": "string_type", "array": "list_type", "object": "dict_type"}
    limits |= {"null": "none_required", "discriminator": "union_tag_invalid"}
    known = {"multipleOf", "uniqueItems", "minProperties", "maxProperties", *limits}

    def declared(schema) -> set[str]:
        if isinstance(schema, list):
            return {name for each in schema for name in declared(each)}
        if not isinstance(schema, dict):
            return set()
        own = known & schema.keys() | ({schema["type"]} if isinstance(schema.get("type"), str) else set())
        return own | {name for each in schema.values() for name in declared(each)}

    used = declared(client.get("/openapi.json").json()["components"]["schemas"])
    assert len(used) > 10
    assert {name for name in used if limits.get(name) not in {**MUST, **IS}} == set()
