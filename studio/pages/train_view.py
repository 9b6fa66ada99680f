"""How the Train page draws what a plan will cost, before it is queued."""

from collections.abc import Sequence
from html import escape

from studio.dataset_report import TokenStats
from studio.errors import StudioError
from studio.memory import Estimate
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.pages import parts, words
from studio.plan import TrainingPlan
from studio.training_settings import TrainingSettings

# Part of the memory: what a person calls it, and its colour.
MEMORY_PARTS = {
    "weights": ("Base weights", "var(--ls-s0)"),
    "adapter and optimizer": ("Adapter and optimiser", "var(--ls-s1)"),
    "activations": ("Activations", "var(--ls-s3)"),
    "loss": ("Loss", "var(--ls-s2)"),
    "program": ("Program", "var(--ls-edge)"),
}
FITS = {
    "yes": ("ok", "Fits with room to spare.", ""),
    "tight": ("warn", "Fits, but only just.", "Other programs on the device may push it over."),
}


ROWS_OF = {
    "answers": "Rows trained · held out",
    "text": "Pieces trained · documents held out",
    "preference": "Pairs trained · held out",
}


def panel(inner_html: str) -> str:
    return f'<section class="ls-card ls-cost" aria-live="polite"><h2>What this will cost</h2>{inner_html}</section>'


def waiting() -> str:
    return panel(
        '<p class="ls-sub">Choose a base model and data to see memory, steps and time before anything starts.</p>'
    )


def counting() -> str:
    return panel(
        '<p class="ls-sub" aria-busy="true">Counting the tokens of this data…</p><div class="ls-skeleton" style="height:220px;margin-top:12px"></div>'
    )


def wrong(error: StudioError) -> str:
    return panel('<div class="ls-gap"></div>' + parts.error_banner(error))


def cost(plan: TrainingPlan, estimate: Estimate) -> str:
    number, _, unit = words.memory(estimate.total_bytes).partition(" ")
    return panel(
        f'<p class="ls-sub">On {parts.text(estimate.device_name)}</p>'
        f'<div class="ls-gap"><span class="big">{number}</span> <span class="ls-sub">{unit} of {words.memory(estimate.device_bytes)} memory</span></div>'
        f"{memory_bar(estimate)}{learned(estimate)}{verdict(estimate)}{parts.facts(figures(plan, estimate))}{notes(estimate)}{reasons(estimate)}"
    )


def memory_bar(estimate: Estimate) -> str:
    """Memory by part, on a bar as long as the device's memory (or as the plan's, when that is longer)."""
    whole = max(estimate.device_bytes, estimate.total_bytes, 1)
    named = {**dict.fromkeys(MEMORY_PARTS), **estimate.memory}  # in our order; parts that we do not know come last
    known = [
        (*MEMORY_PARTS.get(part, (part.capitalize(), "var(--ls-edge)")), size) for part, size in named.items() if size
    ]
    bars = "".join(f'<i style="width:{100 * size / whole:.2f}%;background:{colour}"></i>' for _, colour, size in known)
    keys = "".join(
        f'<span style="--c:{colour}">{escape(name)} {words.memory(size)}</span>' for name, colour, size in known
    )
    label = f"{words.memory(estimate.total_bytes)} of {words.memory(estimate.device_bytes)}"
    return f'<div class="ls-stack" role="img" aria-label="{label}">{bars}</div><div class="ls-key">{keys}</div>'


def learned(estimate: Estimate) -> str:
    """What past runs have changed about the memory above; nothing while there were too few."""
    if not estimate.memory_runs:
        return ""
    said = (
        f"Corrected by {words.plural(estimate.memory_runs, 'run')} on this machine: × {estimate.memory_correction:.2f}"
    )
    return f'<p class="ls-sub ls-gap">{said}</p>'


def changed_from_run(changes: Sequence[str], run_id: str | None) -> str:
    """What was changed for the person, where the plan comes from a run."""
    if not changes or not run_id:
        return ""
    back = parts.button("Back to the run", f"/run?id={run_id}", small=True)
    return parts.banner("info", "Changed from the run:", f"{'; '.join(changes)}. Everything else is as it was.", back)


def verdict(estimate: Estimate) -> str:
    if estimate.fits in FITS:
        return f'<div class="ls-gap">{parts.banner(*FITS[estimate.fits])}</div>'
    over = words.memory(estimate.total_bytes - estimate.device_bytes)
    return f'<div class="ls-gap">{parts.banner("bad", f"Too much by {over}.", "Shorter sequences, a smaller micro-batch or gradient checkpointing need less; so does a smaller base.")}</div>'


def figures(plan: TrainingPlan, estimate: Estimate) -> list[tuple[str, str]]:
    resolved = estimate.resolved
    scale = getattr(plan.method, "scale", None)
    time = words.duration(estimate.seconds)
    return [
        ("Trainable parameters", words.short_count(estimate.trainable_parameters)),
        ("Share of the model", words.share(estimate.share)),
        *([("Scale of the update", f"{scale:.3g}")] if scale is not None else []),
        (ROWS_OF[resolved.objective], f"{words.count(resolved.train_rows)} · {words.count(resolved.heldout_rows)}"),
        ("Epochs", f"{resolved.epochs:g}"),
        ("Optimiser steps", words.count(estimate.steps)),
        ("Learning rate", words.rate(resolved.learning_rate)),
        ("Sequence length", words.count(resolved.sequence_length)),
        ("Tokens", words.short_count(estimate.tokens)),
        ("Adapter file", words.size(estimate.file_bytes)),
        ("Time, about" if estimate.measured_speed else "Time, a first guess", time),
    ]


def notes(estimate: Estimate) -> str:
    return "".join(f'<div class="ls-gap">{parts.banner("warn", "", warning)}</div>' for warning in estimate.warnings)


def reasons(estimate: Estimate) -> str:
    """Why each number was chosen that the person left open."""
    if not estimate.reasons:
        return ""
    titles = {name: info.title or name for name, info in TrainingSettings.model_fields.items()}
    said = "".join(
        f"<li><b>{escape(titles.get(name, name.replace('_', ' ').capitalize()))}</b> {escape(line)}</li>"
        for name, line in estimate.reasons.items()
    )
    return f'<details class="ls-more ls-gap"><summary>Why these numbers</summary><ul class="ls-reasons">{said}</ul></details>'


def about_model(facts: ModelFacts) -> str:
    """One line under the choice of the base model."""
    said = [f"{words.short_count(facts.parameters)} parameters", words.plural(facts.layers, "layer")]
    return ", ".join([*said, f"{facts.licence} licence" if facts.licence else "licence not stated"])


def about_data(rows: int, stats: TokenStats | None) -> str:
    """One line under the choice of the data."""
    return f"{words.plural(rows, 'row')}" + (
        f", half of them up to {words.count(stats.median)} tokens" if stats else ""
    )


def start_words(problem: StudioError | None, estimate: Estimate | None, method: str) -> tuple[str, bool]:
    """(what the start button says, whether it can be pressed): it names what is missing."""
    if problem is not None:
        title = setting_title(problem.field, method)
        return (f"Change {title}" if title else "This cannot be trained yet"), False
    if estimate is None:
        return "Choose a model and data", False
    if estimate.fits == "no":
        return f"Will not fit: over by {words.memory(estimate.total_bytes - estimate.device_bytes)}", False
    return "Start training", True


def setting_title(field: str | None, method: str) -> str | None:
    """ "method.rank" → "Rank", as the form calls it for this method."""
    part, _, name = (field or "").partition(".")
    declared = {"training": TrainingSettings, "method": METHODS[method].settings}.get(part, TrainingPlan)
    info = declared.model_fields.get(name.partition(".")[0] or part)
    return info.title if info is not None else None
