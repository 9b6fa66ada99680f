"""JSON Schema (draft 2020-12, by the jsonschema library) for answers of a model: nothing is fetched, and nothing runs for ever."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from studio.suite_checks.patterns import LONGEST_PATTERN, TooSlow, compiled, found

MOST_LETTERS = 20_000  # of a schema as JSON
DEEPEST = 64
SECONDS = (
    1.0  # for one answer: references that refer to each other many times over have no end that is worth waiting for
)


def check_schema(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raises ValueError, in words that go on after the field's name, for a schema that cannot be used."""
    if schema is None:
        return None
    try:
        if len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode()) > MOST_LETTERS:
            raise ValueError(f"has more than {MOST_LETTERS:,} letters")
    except (RecursionError, UnicodeEncodeError):
        raise ValueError("is no JSON that can be written down") from None
    for key, value in _keywords(schema):
        _check_keyword(key, value)
    from jsonschema import SchemaError  # here: it is only needed where a schema is

    try:
        _limited(time.monotonic() + SECONDS).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"is no JSON Schema: {error.message[:200]}") from None
    return schema


def _keywords(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keywords(inner, depth + 1)


def _check_keyword(key: str, value: Any) -> None:
    if key in ("$ref", "$dynamicRef") and not (isinstance(value, str) and value.startswith("#")):
        raise ValueError(
            f"refers to something outside of itself ({str(value)[:80]}); only references like #/$defs/name are followed"
        )
    if key == "$schema" and value != "https://json-schema.org/draft/2020-12/schema":
        raise ValueError("is of another draft than 2020-12")
    if key in ("$id", "patternProperties"):
        raise ValueError(f"uses {key}, which is not known here")
    if key == "pattern" and isinstance(value, str):
        if len(value) > LONGEST_PATTERN:
            raise ValueError(f"has a pattern of more than {LONGEST_PATTERN} characters")
        try:
            compiled(value)
        except Exception as error:  # regex raises its own, and those of the numbers that are too large for it
            raise ValueError(f"has a pattern that is none ({str(error)[:100]})") from None


def violation(schema: dict[str, Any], value: Any) -> str | None:
    """The first thing in which a value does not keep the schema, in words; None where it does. Raises TooSlow."""
    from jsonschema import exceptions
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = _limited(time.monotonic() + SECONDS)(schema, registry=Registry())
    try:
        error = exceptions.best_match(validator.iter_errors(value))
    except Unresolvable as error:
        return f"the schema refers to {str(error)[:100]}, which is not in it"
    except RecursionError:
        raise TooSlow("the schema refers to itself without end") from None
    if error is None:
        return None
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    return f"{place}: {error.message}"[:300] if place else error.message[:300]


def _limited(until: float) -> Any:
    """The validator whose every keyword looks at the clock (time.monotonic), and whose patterns do too."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def clocked(keyword: Callable) -> Callable:
        def checked(validator, wanted, instance, schema):
            if time.monotonic() > until:
                raise TooSlow(f"the schema was not through with the answer after {SECONDS:g} seconds")
            yield from keyword(validator, wanted, instance, schema) or ()

        return checked

    def pattern(validator, wanted, instance, _schema):
        if validator.is_type(instance, "string") and not found(wanted, instance):
            yield ValidationError(f"{instance[:80]!r} does not match {wanted!r}")

    keywords = {**Draft202012Validator.VALIDATORS, "pattern": pattern}
    return validators.extend(Draft202012Validator, {name: clocked(keyword) for name, keyword in keywords.items()})
