"""The Compare page's address: which models, which settings, and whether the names are hidden; never which letter is whom."""

import contextlib
import json
import math
from typing import Any

# Settings in the order of the page's inputs: (name in the address, its value when the address is silent, lowest, highest)
SETTINGS: tuple[tuple[str, Any, float, float], ...] = (
    ("system", "", 0, 4000),  # characters; a longer one is not kept in the address
    ("most", 200, 16, 1024),
    ("temperature", 0, 0, 1.5),
    ("top_p", 1, 0.05, 1),
    ("seed", 0, 0, 2**31 - 1),
)
# Hands every input on as it came. Written a moment later: browsers refuse addresses that change with each move of a slider.
REMEMBER = (
    "(model, chosen, blind, talk, ...settings) => { const silent = "
    + json.dumps([[name, value] for name, value, *_ in SETTINGS])
    + """;
  clearTimeout(window.studioAddress);
  window.studioAddress = setTimeout(() => {
    const kept = new URLSearchParams();
    if (model) kept.set('model', model);
    (chosen || []).slice(0, 3).forEach((id, place) => kept.set('abc'[place], id));
    silent.forEach(([name, value], place) => {
      const set = settings[place];
      if (set !== null && set !== undefined && String(set) !== String(value) && String(set).length <= 4000) kept.set(name, set);
    });
    if (blind) kept.set('blind', (talk && talk.blind) || '1');
    const theme = new URLSearchParams(location.search).get('__theme');
    if (theme) kept.set('__theme', theme);
    history.replaceState(null, '', location.pathname + '?' + kept);
  }, 150);
}"""
)


def settings_in(query: dict[str, str]) -> list[Any]:
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


def blind_in(query: dict[str, str]) -> tuple[bool, str]:
    """(are the names hidden, the id of the comparison that is open)."""
    said = query.get("blind", "")
    return bool(said), "" if said == "1" else said[:64]
