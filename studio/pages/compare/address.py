"""The Compare page's address: which models, which settings, and whether the names are hidden; never which letter is whom.

`/compare?model=builtin&columns=base,ID,ID*0.7+ID*-0.3,RUN@200&temperature=0.7&system2=Be+short.&talk=ID`: what one column
has of its own carries the column's number; `talk` names what was said, `blind` that the names are hidden. Older addresses named the adapters beside the base: `?a=ID&b=ID`.
"""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from studio.compare_request import MOST_COLUMNS, Column
from studio.errors import StudioError
from studio.pages.compare.lineup import BASE, OWN, column_of, own_in, own_of, who_of

LONGEST_SYSTEM = 4000  # characters; longer instructions are not kept in the address
# Settings in the order of the page's inputs: (name in the address, its value when the address is silent, lowest, highest)
SETTINGS: tuple[tuple[str, Any, float, float], ...] = (
    ("system", "", 0, LONGEST_SYSTEM),
    ("most", 200, 16, 1024),
    ("temperature", 0, 0, 1.5),
    ("top_p", 1, 0.05, 1),
    ("seed", 0, 0, 2**31 - 1),
)
NAMES = {"max_new_tokens": "most"}  # of settings that are called otherwise in the address
# Hands every input on as it came. Written a moment later: browsers refuse addresses that change with each move of a slider.
REMEMBER = (
    "(model, lineup, blind, talk, ...settings) => { const silent = "
    + json.dumps([[name, value] for name, value, *_ in SETTINGS])
    + """;
  clearTimeout(window.studioAddress);
  window.studioAddress = setTimeout(() => {
    const kept = new URLSearchParams();
    silent.forEach(([name, value], place) => {
      const set = settings[place];
      if (set !== null && set !== undefined && String(set) !== String(value) && String(set).length <= 4000) kept.set(name, set);
    });
    if (blind) kept.set('blind', (talk && talk.blind) || '1');
    else if (talk && talk.stored && talk.stored.length) kept.set('talk', [...new Set(talk.stored)].length > 1 ? talk.stored.join('.') : talk.stored[0]);
    const theme = new URLSearchParams(location.search).get('__theme');
    if (theme) kept.set('__theme', theme);
    const parts = [model ? 'model=' + encodeURIComponent(model) : '', (lineup && lineup.address) || '', kept.toString()];
    history.replaceState(null, '', location.pathname + '?' + parts.filter(Boolean).join('&'));
  }, 150);
}"""
)


def address_of(columns: Sequence[Column]) -> str:
    """The part of the address that tells who answers, ready to stand in it."""
    if not columns:
        return ""
    said: dict[str, Any] = {"columns": ",".join(map(who_of, columns))}
    for place, column in enumerate(columns, 1):
        own = {f"{NAMES.get(name, name)}{place}": value for name, value in own_in(column).items()}
        said |= {name: value for name, value in own.items() if len(str(value)) <= LONGEST_SYSTEM}
    return urlencode(said, safe=",*@")


def columns_in(query: Mapping[str, str]) -> list[Column]:
    """The columns that an address names, each for itself: what makes no sense is as if it were not there."""
    words = [word for word in query.get("columns", "").split(",") if word.strip()]
    if not words and any(query.get(name) for name in "abc"):
        words = [BASE, *(query[name] for name in "abc" if query.get(name))]
    return [column for place, word in enumerate(words[:MOST_COLUMNS], 1) if (column := _column(word, place, query))]


def _column(word: str, place: int, query: Mapping[str, str]) -> Column | None:
    own: dict[str, Any] = {}
    for name in OWN:
        said = query.get(f"{NAMES.get(name, name)}{place}", "")[:LONGEST_SYSTEM]
        with contextlib.suppress(StudioError):
            own |= own_in(column_of(BASE, own_of({name: said})))
    with contextlib.suppress(StudioError):
        return column_of(word, own)
    return None


def settings_in(query: Mapping[str, str]) -> list[Any]:
    """The settings that an address holds, each within its limits; what makes no sense is as if it were not there."""
    return [_read(query.get(name), value, low, high) for name, value, low, high in SETTINGS]


def _read(text: str | None, value: Any, low: float, high: float) -> Any:
    if text is None:
        return value
    if isinstance(value, str):
        return text[: int(high)]
    with contextlib.suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and low <= number <= high:
            return int(number) if number.is_integer() else number
    return value


def blind_in(query: Mapping[str, str]) -> tuple[bool, str]:
    """(are the names hidden, the id of the comparison that is open)."""
    said = query.get("blind", "")
    return bool(said), "" if said == "1" else said[:64]


def talk_in(query: Mapping[str, str]) -> list[str]:
    """Ids of the comparisons in which the conversation is kept: one for all columns, or one for each."""
    return [id[:64] for id in query.get("talk", "").split(".")[:MOST_COLUMNS] if id]
