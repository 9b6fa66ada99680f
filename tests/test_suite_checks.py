"""What an answer is checked for: each kind of check in words, and nothing hostile that hangs or fetches."""

import time

import pytest
from pydantic import ValidationError

from studio.suite_checks.judge import Answered, judge, normalised, read_checks

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


def verdict(text: str, check: dict, expected: str | None = None, tokens: int = 3) -> tuple[bool, str]:
    [found] = judge(Answered(text, tokens, expected), read_checks([check]))
    return found.passed, found.said


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"kind": "contains", "text": "berlin"}, "It is BERLIN.", "It is Paris."),
        ({"kind": "contains", "text": "Berlin", "ignore_case": False}, "Berlin!", "berlin"),
        ({"kind": "contains", "text": "straße"}, "Die STRASSE", "Der Weg"),
        ({"kind": "not_contains", "text": "sorry"}, "Of course.", "I am SORRY."),
        ({"kind": "matches", "pattern": r"^\d{4}-\d\d-\d\d$"}, "2026-11-24", "24.11.2026"),
        ({"kind": "matches", "pattern": r"\b(4|four)\b", "ignore_case": True}, "FOUR", "fourteen"),
        ({"kind": "json"}, ' {"a": [1, 2]}\n', "a: 1"),
        ({"kind": "json"}, '```json\n{"a": 1}\n```', '```\n{"a": NaN}\n```'),
        ({"kind": "json", "schema": PERSON}, '{"name": "Anna", "age": 7}', '{"name": "Anna", "age": "seven"}'),
        ({"kind": "json", "schema": PERSON}, '{"name": ""}', "{}"),
        ({"kind": "length", "unit": "words", "least": 2, "most": 3}, "two words", "one"),
        ({"kind": "length", "unit": "characters", "most": 5}, " five5 ", "sixsix"),
        ({"kind": "length", "unit": "tokens", "most": 3}, "whatever", None),
    ],
)
def test_each_check_lets_the_right_answer_pass_and_no_other(check, good, bad):
    assert verdict(good, check)[0]
    assert not verdict(bad or "long", check, tokens=3 if bad else 4)[0]


def test_an_exact_answer_may_differ_in_case_spaces_and_marks_unless_it_must_not():
    assert verdict(' "Positive." ', {"kind": "exact"}, "positive")[0]
    assert not verdict("not positive", {"kind": "exact"}, "positive")[0]
    assert not verdict("Positive", {"kind": "exact", "normalised": False}, "positive")[0]
    assert verdict("positive\n", {"kind": "exact", "normalised": False}, "positive")[0]
    assert verdict("positive", {"kind": "exact"})[1] == "No answer is expected, so none can be equal to it."
    assert normalised("Ｃafé\u00a0 au LAIT!") == "café au lait"


def test_a_verdict_says_what_was_found_instead():
    assert verdict("It is Paris.", {"kind": "contains", "text": "Berlin"}) == (False, "Does not contain “Berlin”.")
    assert verdict("a b c", {"kind": "length", "most": 2})[1] == "Has 3 words (at most 2 wanted)."
    assert (
        "age: 'seven' is not of type 'integer'"
        in verdict('{"name": "A", "age": "seven"}', {"kind": "json", "schema": PERSON})[1]
    )
    assert verdict("yes", {"kind": "exact"}, "no") == (False, "Is not the expected answer “no”.")


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b$", "(?:a{,60}){,60}$", "(?R)"])
def test_a_pattern_without_end_does_not_pass_and_says_so(pattern):
    began = time.process_time()
    passed, said = verdict("a" * 3000 + "!", {"kind": "matches", "pattern": pattern})
    assert not passed
    assert said.startswith(("Not decided", "Does not match"))
    assert time.process_time() - began < 10


@pytest.mark.parametrize("pattern", ["((a{1000}){1000}){1000}", "a{999999999}", "(", "(?P<x", "x" * 501, "", "a\ud800"])
def test_a_pattern_that_is_none_or_would_eat_the_memory_is_refused(pattern):
    with pytest.raises(ValidationError):
        read_checks([{"kind": "matches", "pattern": pattern}])


def test_a_schema_whose_references_multiply_is_given_up():
    levels = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    bomb = {"$defs": {**levels, "d40": {"type": "object"}}, "$ref": "#/$defs/d0"}
    assert verdict("{}", {"kind": "json", "schema": bomb})[1].startswith("Not decided")
    assert "without end" in verdict("{}", {"kind": "json", "schema": {"$ref": "#"}})[1]
    slow = {"properties": {"a": {"pattern": "(x+)+$"}}}
    assert verdict('{"a": "' + "x" * 3000 + '!"}', {"kind": "json", "schema": slow})[1].startswith("Not decided")


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "http://127.0.0.1:1/schema"}, "outside of itself"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "outside of itself"),
        ({"$id": "http://example.org/x"}, "not known here"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "another draft"),
        ({"type": "nothing"}, "no JSON Schema"),
        ({"pattern": "("}, "pattern"),
        ({"a": [[[[[[0]]]]]] * 9000}, "letters"),
    ],
)
def test_a_schema_that_fetches_or_is_none_is_refused_with_the_reason(schema, why):
    with pytest.raises(ValidationError, match=why):
        read_checks([{"kind": "json", "schema": schema}])


def test_a_reference_to_nothing_is_the_schemas_fault_and_said_so():
    assert "is not in it" in verdict("{}", {"kind": "json", "schema": {"$ref": "#/$defs/none"}})[1]


def test_json_nested_without_end_is_no_json():
    assert not verdict("[" * 100_000, {"kind": "json"})[0]


def test_a_length_that_limits_nothing_is_refused():
    for check in ({"kind": "length"}, {"kind": "length", "least": 3, "most": 2}, {"kind": "length", "most": -1}):
        with pytest.raises(ValidationError):
            read_checks([check])
