"""The settings that a run used, from its own plan: what was asked for, what "auto" became, and why."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from studio.methods import METHODS
from studio.pages import parts, words
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan

# Settings of these names are not told again: they stand in the head of the page.
ELSEWHERE = ("name", "version")
RATES = ("learning_rate",)


def used(plan: TrainingPlan, resolved: ResolvedPlan | None) -> str:
    """A table of every setting, the method's first."""
    method = METHODS[plan.method.name]
    rows = [*_rows(plan.method, resolved), *_rows(plan.training, resolved), *_rows(plan.resources, resolved)]
    rows += [] if resolved is None else list(_results(resolved))
    drawn = parts.table(
        ("Setting", "Value", "Why"),
        [(parts.text(name), value, parts.text(why)) for name, value, why in rows],
        "Settings used",
        "ls-settings",
        ("", "ls-num wrap", "wrap ls-muted"),
    )
    return f'<p class="ls-sub">Method: {parts.text(method.title)}. Read from this run\'s own plan.json and resolved.json.</p>{drawn}'


def _rows(settings: BaseModel, resolved: ResolvedPlan | None) -> Iterator[tuple[str, str, str]]:
    """(title, value as HTML, reason) of each field of one part of the plan."""
    for name, field in type(settings).model_fields.items():
        if name in ELSEWHERE:
            continue
        asked = getattr(settings, name)
        meant = getattr(resolved, name, asked) if resolved else asked
        told = "" if asked == meant or isinstance(asked, bool) else f" {parts.tag(said(name, asked), 'as asked for')}"
        yield field.title or name, shown(name, meant) + told, (resolved.reasons.get(name) if resolved else None) or ""


def _results(resolved: ResolvedPlan) -> Iterator[tuple[str, str, str]]:
    """What follows from the settings and the data."""
    titles = {
        "train_rows": "Rows trained on",
        "heldout_rows": "Rows held out",
        "steps": "Optimiser steps",
        "warmup_steps": "Warm-up steps",
        "accumulation": "Accumulation",
        "tokens": "Tokens, all epochs",
    }
    for name, title in titles.items():
        yield title, words.count(getattr(resolved, name)), resolved.reasons.get(name, "")
    if resolved.cut_rows:
        yield (
            "Rows cut",
            words.count(resolved.cut_rows),
            f"{words.plural(resolved.cut_tokens, 'token')} beyond the sequence length are not learned from.",
        )


def shown(name: str, value: Any) -> str:
    return parts.text(said(name, value))


def said(name: str, value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{one} = {number:g}" for one, number in value.items())
    if name in RATES and isinstance(value, float):
        return words.rate(value)
    if isinstance(value, float):
        return f"{value:g}"
    return words.count(value) if isinstance(value, int) else str(value)
