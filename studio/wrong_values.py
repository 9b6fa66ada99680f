"""A wrong value in the studio's words: what pydantic found, said as a person would, at the dotted name of the setting."""

import difflib
from collections.abc import Callable, Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from studio.errors import Invalid, clip

NO_NAMES = ("int", "float", "str", "bool")  # that pydantic gives to alternatives; not parts of a setting's name
NO_BEGINNINGS = ("literal[", "constrained-", "list[", "function-")

# What a value must be, by the type of pydantic's finding and with the numbers in its context
MUST: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda about: f"more than {about['gt']:g}",
    "greater_than_equal": lambda about: f"{about['ge']:g} or more",
    "less_than": lambda about: f"less than {about['lt']:g}",
    "less_than_equal": lambda about: f"{about['le']:.16g} or less",
    "literal_error": lambda about: _one_of(about["expected"]),
    "enum": lambda about: _one_of(about["expected"]),
    "none_required": lambda about: "left empty",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), lambda about: "a whole number"),
    **dict.fromkeys(("int_parsing_size",), lambda about: "a smaller number"),
    **dict.fromkeys(("float_type", "float_parsing"), lambda about: "a number"),
    "finite_number": lambda about: "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda about: "true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), lambda about: "text"),
    "string_unicode": lambda about: "text of whole characters (it holds a lone surrogate)",
    "list_type": lambda about: "a list",
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type"), lambda about: "an object of settings"
    ),
    "string_pattern_mismatch": lambda about: f"of the pattern {about['pattern']}",
    "union_tag_invalid": lambda about: _one_of(about["expected_tags"]),
}
MISSING = " is missing"
# What else can be wrong with it, as the rest of a sentence that begins with its name
IS: dict[str, Callable[[dict[str, Any]], str]] = {
    "string_too_short": lambda about: (
        " is empty" if about["min_length"] == 1 else f" needs at least {about['min_length']} characters"
    ),
    "string_too_long": lambda about: f" may have {about['max_length']:,} characters at most",
    "too_short": lambda about: (
        f" needs {_entries(about['min_length'])} or more, and has {about['actual_length'] or 'none'}"
    ),
    "too_long": lambda about: f" may have {_entries(about['max_length'])} at most",
    **dict.fromkeys(("missing", "union_tag_not_found"), lambda about: MISSING),
}


def first_finding(findings: list[dict[str, Any]], leave_out: Iterable[str] = (), kind: Any = None) -> Invalid:
    """pydantic's first finding as one sentence that names the setting as it is named where it was sent.

    Where several alternatives were tried on a setting ("auto" or a number), the sentence names them all. `leave_out` are names
    that pydantic puts into places by itself, such as those of alternatives. `kind`, what was to be read, lets it name the
    nearest setting where there is none of a name.
    """
    if tag := findings[0].get("ctx", {}).get("discriminator"):
        findings[0] = {**findings[0], "loc": (*findings[0]["loc"], tag.strip("'"))}
    first = field_name(findings[0]["loc"], leave_out)
    found = [finding for finding in findings if field_name(finding["loc"], leave_out) == first]
    if found[-1]["type"] == "extra_forbidden":
        *place, name = found[-1]["loc"]
        return unknown_name("setting", first, str(name), names_at(kind, place))
    wrong = what_is_wrong(found)
    if wrong == MISSING:
        return Invalid(f"'{first}' is missing.", "Give it a value.", first)
    return Invalid(f"'{first}'{wrong}.", "Change it and try again.", first)


def what_is_wrong(found: list[dict[str, Any]]) -> str:
    """The rest of a sentence that begins with the setting's name, from all findings about that one setting."""
    last, about = found[-1], found[-1].get("ctx") or {}
    if last["type"] in IS:
        return IS[last["type"]](about)
    must = [MUST[each["type"]](each.get("ctx") or {}) for each in found if each["type"] in MUST]
    if must and last["type"] in MUST:
        given = about["tag"] if "tag" in about else last.get("input")
        return f" cannot be {clip(repr(given), 60)}: it must be {' or '.join(dict.fromkeys(must))}"
    said = last["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return f": {said}"


def unknown_name(what: str, field: str, name: str, known: Iterable[str]) -> Invalid:
    """A name that is not known, with the nearest of those that are, or all of them where they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    if near:
        fix = f"Did you mean '{near[0]}'?"
    else:
        fix = f"There are: {', '.join(known)}." if 0 < len(known) <= 12 else "Leave it out."
    return Invalid(f"There is no {what} '{clip(field)}'.", fix, clip(field))


def field_name(path: Iterable[str | int], leave_out: Iterable[str] = ()) -> str:
    """The dotted name of a setting, without the names that pydantic gives to alternatives."""
    names = (*NO_NAMES, *leave_out)
    return ".".join(str(part) for part in path if not str(part).startswith(NO_BEGINNINGS) and str(part) not in names)


def names_at(kind: Any, place: Iterable[str | int]) -> list[str]:
    """Names of the settings that `kind` (a model, or a type made of models) has at a place in it, as pydantic writes places."""
    models = _models(kind)
    for part in place:
        if any(_field(model, part) for model in models):
            models = [inner for model in models for inner in _models(getattr(_field(model, part), "annotation", None))]
        elif chosen := [model for model in models if part in _tags(model)]:
            models = chosen
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


def _models(kind: Any) -> list[type[BaseModel]]:
    """All models that a type is made of: itself, the alternatives of a union, the entries of a list."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return [kind] if issubclass(kind, BaseModel) else []
    inner = get_args(kind)[:1] if get_origin(kind) is Annotated else get_args(kind)
    return [model for each in inner for model in _models(each)]


def _field(model: type[BaseModel], part: str | int) -> FieldInfo | None:
    return next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)


def _tags(model: type[BaseModel]) -> set[Any]:
    """The values by which one of several models is chosen, and its own name, which pydantic takes where there is no such value."""
    chosen = {field.default for name, field in model.model_fields.items() if name in ("kind", "name", "op")}
    return {model.__name__, *(each for each in chosen if isinstance(each, str))}


def _one_of(expected: str) -> str:
    """pydantic writes "'a', 'b' or 'c'"."""
    return _either([each.strip(" '") for each in expected.replace(" or ", ", ").split(",")])


def _either(names: list[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}" if len(names) > 1 else names[0]


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
