"""JSON as the standard has it, with limits: no NaN, no doubled keys, nothing nested deeper than 64, so that no row means two things."""

import json
import math
import re
from typing import Any

import orjson

from studio.errors import clip
from studio.formats.format import RowFault

DEPTH = 64
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)


def depth_of(text: str) -> int:
    """How deep brackets are nested, without recursion (json.loads recurses, and deep rows end some parsers with a crash)."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(text):
        mark = found[0]
        if mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "}]":
            depth -= 1
    return deepest


def parse(text: str, field: str | None = None) -> Any:
    """The value of a JSON text. Raises RowFault with what is wrong, and where in the text."""
    if text.count("{") + text.count("[") > DEPTH and depth_of(text) > DEPTH:
        raise RowFault("depth", f"It is nested more than {DEPTH} deep.", "Write it flatter, or drop the row.", field)
    value = _plain(text)
    return strictly(text, field) if value is None else value


def strictly(text: str, field: str | None = None) -> Any:
    """The same, slowly and with every fault told: what `parse` falls back on."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise RowFault(
            "json", f"This is not valid JSON: {_in_words(error)}.", "Mend it, or drop the row.", field
        ) from None
    except ValueError:  # a whole number of more digits than Python takes
        raise RowFault(
            "number", "It holds a number with thousands of digits.", "Write it as text, or drop the row.", field
        ) from None
    if "\\u" in text and _LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise RowFault(
            "surrogate",
            "It holds half of a character (a lone surrogate such as \\ud83d).",
            "Write the whole character, or drop the row.",
            field,
        )
    return value


def _plain(text: str) -> Any:
    """The value of a text that is surely right, three times faster; None where the strict way has to look.

    orjson takes what we refuse, a key that is there twice, and what it would change, a whole number of more than 64 bits, which
    becomes a fraction. So the texts that came out, keys and values, must be all that the quotes speak of, and there must be no
    fractions. What a quote after two backslashes ends or does not end is for the strict way to tell.
    """
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    if type(value) is not dict or '\\\\"' in text:
        return None
    quotes = text.count('"')
    if "\\" in text:
        quotes -= text.count('\\"')
    return value if 2 * _texts_in(value) == quotes else None


_ODD = -(1 << 40)  # makes any sum of texts differ from what is counted


def _texts_in(value: Any) -> int:
    """How many texts are in it, keys among them; below zero where there is a fraction."""
    if type(value) is dict:
        count, inside = len(value), value.values()
    else:
        count, inside = 0, value
    for each in inside:
        kind = type(each)
        if kind is str:
            count += 1
        elif kind is dict or kind is list:
            count += _texts_in(each)
        elif kind is float:
            return _ODD
    return count


def _in_words(error: json.JSONDecodeError) -> str:
    place = f"at character {error.pos + 1}"
    said = error.msg[0].lower() + error.msg[1:]
    if error.msg.startswith("Invalid control character"):
        return f"a line break or control character stands inside a text {place}, where \\n or \\u00.. should be written"
    if error.msg.startswith("Unterminated string"):
        return f"a text that begins {place} has no closing quote"
    if error.msg == "Extra data":
        return f"more follows after its end {place}"
    return f"{said.removesuffix(' starting at')} {place}"


def _no_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise RowFault(
            "keys",
            f"It has '{clip(twice, 40)}' twice, so it is not clear which is meant.",
            "Keep one of them, or drop the row.",
            twice,
        )
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise RowFault(
            "number", f"It holds {clip(text, 30)}, a number too large to be kept.", "Write it as text, or drop the row."
        )
    return number


def _no_constant(name: str) -> Any:
    raise RowFault(
        "number", f"It holds {name}, which is not valid JSON.", "Write null or a text instead, or drop the row."
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_no_doubled_keys, parse_float=_finite, parse_constant=_no_constant)
