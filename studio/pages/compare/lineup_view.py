"""How the line-up is drawn: a cell per column that says who answers, what it has of its own, and the sliders of its mix.

assets/compare.js reads these inputs whole and sends them at each change (lineup.said_in).
"""

from html import escape

from studio.compare_request import MOST_COLUMNS, MOST_MIXED, Column, Sampling
from studio.lab_settings import Parent
from studio.pages import parts, words
from studio.pages.compare.lineup import BASE, MIX, LineUp, Offers, colours_of, name_of, own_in, who_of
from studio.pages.events import action

SLIDER = 2.0  # a slider goes from minus this to this; the number beside it goes as far as a stack does
STEP = 0.05
MOVES = "Moves at once, also in the middle of an answer."


def drawn(lineup: LineUp, offers: Offers, blind: bool = False) -> str:
    """The whole line-up; while names are hidden nobody has settings of its own, as they would tell who is who."""
    if not lineup.columns:
        return ""
    colours = colours_of(lineup.columns)
    cells = [
        _cell(column, place, colours[place], offers, blind, len(lineup.columns) > 1)
        for place, column in enumerate(lineup.columns)
    ]
    if len(cells) < MOST_COLUMNS:
        cells.append(action("Add a column", "add", "", on="select"))
    mixes = [
        _mix(column, place, colours[place], offers, blind) for place, column in enumerate(lineup.columns) if column.mix
    ]
    note = f'<p class="ls-sub">{_note_on_own(lineup)}</p>' if blind and any(map(own_in, lineup.columns)) else ""
    return f'<div class="ls-picks" role="group" aria-label="Who answers">{"".join(cells)}</div>{note}{"".join(mixes)}'


def _note_on_own(lineup: LineUp) -> str:
    count = sum(bool(own_in(column)) for column in lineup.columns)
    return f"Blind asks all columns alike: the own settings of {words.plural(count, 'column')} rest until Blind is off."


def _cell(column: Column, place: int, colour: int, offers: Offers, blind: bool, removable: bool) -> str:
    number = place + 1
    remove = action("Remove", "remove", str(place), quiet=True, label=f"Remove column {number}", on="select")
    return (
        f'<div class="ls-pick"><div class="ls-pick-h"><span class="sw" style="background:var(--ls-s{colour})"></span>'
        f'<label for="ls-who-{place}">Column {number}</label>{remove if removable else ""}</div>'
        f'<select id="ls-who-{place}" data-who="{place}" data-was="{escape(who_of(column))}" title="{escape(name_of(column, offers))}">{_choices(column, offers)}</select>'
        f"{_own(column, place, blind)}</div>"
    )


def _choices(column: Column, offers: Offers) -> str:
    chosen = who_of(column)
    mixed = MIX if column.mix else ""
    groups = [
        ("Base model", [(BASE, f"{offers.base} (base)")]),
        ("Adapters", offers.adapters),
        ("Checkpoints", [(f"{id}@{step}", f"{name}, step {step}") for id, name, steps in offers.checkpoints for step in steps]),
        ("Several at once", [(MIX, name_of(column, offers) if mixed else "Mix adapters…")] if mixed or len(offers.mixable) > 1 else []),
    ]  # fmt: skip
    return "".join(
        f'<optgroup label="{title}">{"".join(_option(who, name, mixed or chosen) for who, name in named)}</optgroup>'
        for title, named in groups
        if named
    )


def _option(who: str, name: str, chosen: str) -> str:
    return f'<option value="{escape(who)}"{" selected" * (who == chosen)}>{escape(name)}</option>'


def _own(column: Column, place: int, blind: bool) -> str:
    own = own_in(column)
    limits = {
        "temperature": 'min="0" max="1.5" step="0.1"',
        "top_p": 'min="0.05" max="1" step="0.05"',
        "seed": 'min="0" max="2147483647" step="1"',
        "max_new_tokens": 'min="1" max="8192" step="1"',
    }
    numbers = "".join(
        f'<label>{escape(Sampling.model_fields[name].title)}<input type="number" data-own="{name}" value="{_shown(own.get(name))}"'
        f' placeholder="as all" {limit}></label>'
        for name, limit in limits.items()
    )
    said = f" · {len(own)} set" if own else ""
    system = escape(str(own.get("system", "")))
    return (
        f'<details class="ls-own"{" hidden" * blind}><summary>Own settings{said}</summary>'
        f'<label class="wide">System prompt<textarea data-own="system" rows="3" maxlength="4000" placeholder="as all">{system}</textarea></label>'
        f'<div class="ls-own-n">{numbers}</div></details>'
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _mix(column: Column, place: int, colour: int, offers: Offers, blind: bool) -> str:
    names = dict(offers.adapters)
    there = {part.adapter for part in column.mix or ()}
    sliders = "".join(
        _slider(part.adapter, names.get(part.adapter, part.adapter), part.weight, place, len(there) > 2)
        for part in column.mix or ()
    )
    others = [(id, name) for id, name in offers.mixable if id not in there]
    more = ""
    if others and len(there) < MOST_MIXED:
        options = "".join(_option(id, name, "") for id, name in others)
        label = f"Add an adapter to the mix in column {place + 1}"
        more = f'<select data-mix-in="{place}" aria-label="{label}"><option value="">Add an adapter…</option>{options}</select>'
    when = "While names are hidden, its weights stay from the first question to the vote." if blind else MOVES
    save = action("Save this mix as an adapter", "save", str(place))
    return (
        f'<section class="ls-mix" data-of="{place}" aria-label="Mix in column {place + 1}">'
        f'<header><span class="sw" style="background:var(--ls-s{colour})"></span><b>Mix in column {place + 1}</b>'
        f'<span class="ls-sub">The sum of what each adapter adds, times its weight. {when}</span></header>'
        f'<div class="ls-weights">{sliders}</div><div class="ls-row">{more}{save}</div></section>'
    )


def _slider(id: str, name: str, weight: float, place: int, removable: bool) -> str:
    limits = Parent.model_fields["weight"].metadata
    low, high = (next(getattr(limit, side) for limit in limits if hasattr(limit, side)) for side in ("ge", "le"))
    label = f"Weight of {escape(name)}"
    drop = action("Take out", f"mix-out {place}", id, quiet=True, label=f"Take {name} out of the mix", on="select")
    return (
        f'<div class="ls-weight" data-part="{escape(id)}"><span class="n" title="{escape(name)}">{parts.text(name)}</span>'
        f'<input type="number" value="{weight:g}" min="{low:g}" max="{high:g}" step="{STEP}" aria-label="{label}, as a number">'
        f'<input type="range" value="{weight:g}" min="{-SLIDER:g}" max="{SLIDER:g}" step="{STEP}" aria-label="{label}">'
        f"{drop if removable else ''}</div>"
    )
