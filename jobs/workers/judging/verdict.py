"""Judge the adapter that a training keeps: what was measured of each held-out row, both answers to a few of them, verdict.json."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from jobs.workers.adapter_card import card_of
from jobs.workers.ending import is_out_of_memory
from jobs.workers.generate import answer_prompts
from jobs.workers.judging.base import as_base
from jobs.workers.judging.shown import Shown, chosen_rows, shown_rows
from jobs.workers.report import finite
from studio.files import read_json, write_json, write_text
from studio.folders import AdapterFolder, data_of
from studio.verdict.judgement import Judgement, Rows, Steps, judged
from studio.verdict.words import in_full, sentences, title

if TYPE_CHECKING:
    from jobs.workers.training import Training


def judge(training: "Training", tell: Callable[[], None]) -> None:
    """Never raises: the adapter is saved, and a verdict that cannot be had is said to be missing, with the reason.

    `tell` writes result.json once more: when the numbers are there, before the answers are.
    """
    began, found = time.monotonic(), Verdict(training)
    try:
        found.measure()
        if training.accelerator.is_main_process:
            found.write()
            found.hand_on()
            tell()
            found.answer()
    except Exception as error:  # whatever went wrong here, it must not cost the adapter
        why = "memory ran out" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        training.report.say(f"The verdict is not complete: {why}.")
        if training.accelerator.is_main_process:
            found.problem = f"It was not judged to the end: {why}."[:300]
    if training.accelerator.is_main_process:
        found.finish(time.monotonic() - began)


class Verdict:
    """One verdict in the making; verdict.json says at any moment how far it is."""

    def __init__(self, training: "Training"):
        self.training = training
        progress = training.progress
        steps = (training.kept_step, progress.step, progress.best_step)
        objective = training.resolved.objective
        self.judgement = Judgement("failed", objective, "row", *steps, keep_step=training.kept_step)
        self.examples: list[dict] = []
        self.problem: str | None = None
        self.asked, self.answered, self.seconds = 0, 0, 0.0

    def measure(self) -> None:
        """In every process: what is not known of the rows is measured by all of them."""
        training = self.training
        if not len(training.data.heldout):
            self.judgement.word = "not measured"
            return
        self.rows = rows_of(training, self.as_base)
        steps = Steps(training.kept_step, training.progress.step, training.progress.best_step)
        self.judgement = judged(self.rows, steps)
        training.report.say(f"Verdict: {in_full(self.judgement)}")

    def as_base(self) -> AbstractContextManager:
        training = self.training
        return as_base(training.engine, training.plan, training.parameters, training.base_parts)

    def answer(self) -> None:
        """Both answers to some rows, as many at once as a step of the training computes."""
        training = self.training
        if not len(training.data.heldout):
            return
        objective = training.resolved.objective
        gains = gains_of(self.rows)
        folder = data_of(training.attempt.run).dataset(training.plan.dataset, training.plan.dataset_version)
        given = (folder, training.data.asked, training.tokenizer, objective)
        rows = shown_rows(training.data.heldout, chosen_rows(gains, training.settings.seed), *given)
        self.asked = len(rows)
        training.request.signalled = False  # what is asked from here on ends the judging
        for some in at_once(rows, training.resolved.token_budget):
            if training.request.signalled:
                self.problem = "It was asked to end before all answers were written."
                return
            with self.as_base():
                base = self.written(some)
            adapted = self.written(some)
            self.examples += [self.example(row, *both, gains) for row, *both in zip(some, base, adapted, strict=True)]
            self.answered += len(some)
            training.report.say(f"Judging: both answers to {self.answered} of {self.asked} held-out rows.")
            self.write()

    def written(self, rows: Sequence[Shown]) -> list[str]:
        training, most = self.training, [row.most_tokens for row in rows]
        with training.accelerator.autocast():
            found = answer_prompts(
                training.engine, training.tokenizer, [row.prompt for row in rows], training.facts.context_length, most
            )
        return [text for text, _ in found]

    def example(self, row: Shown, base: str, adapted: str, gains: np.ndarray) -> dict:
        measured = (
            {}
            if self.judgement.objective == "preference"
            else {
                f"{who}_loss": float(values[row.place] / self.rows.tokens[row.place])
                for who, values in (("base", self.rows.base), ("adapter", self.rows.adapter))
            }
        )
        told = {"row": row.row, "kind": row.kind, "gain": float(gains[row.place]), **measured}
        return {**told, "asked": row.asked, "expected": row.expected, "base": base, "adapter": adapted}

    def write(self, done: bool = False) -> None:
        values = {
            "version": 1,
            "done": done,
            "answered": self.answered,
            "asked": self.asked,
            **summary(self.judgement),
            "problem": self.problem,
            "seconds": round(self.seconds, 2),
            "examples": self.examples,
        }
        write_json(self.training.attempt.verdict, finite(values))

    def finish(self, seconds: float) -> None:
        """verdict.json is whole."""
        self.seconds = seconds
        try:
            self.write(done=True)
            self.hand_on()
        except OSError as error:
            self.training.report.say(f"The verdict could not be written: {error}.")

    def hand_on(self) -> None:
        """The numbers go into the result, the passport and the card, none of the data's words. Raises OSError."""
        told = finite({**summary(self.judgement), "problem": self.problem})
        self.training.report.facts["verdict"] = told
        folder = AdapterFolder(self.training.attempt.adapter)
        passport = {**read_json(folder.passport), "verdict": told}
        write_json(folder.passport, passport)
        write_text(folder.card, card_of(passport))


def summary(judgement: Judgement) -> dict:
    """The verdict without anything of the data: for lists, the passport and the card."""
    return {**asdict(judgement), "title": title(judgement), "sentences": sentences(judgement)}


def rows_of(training: "Training", base: Callable[[], AbstractContextManager]) -> Rows:
    """What evaluations have measured of each row; what they have not is measured now."""
    progress, objective = training.progress, training.resolved.objective
    name = "margin" if objective == "preference" else "loss"
    heldout = training.data.heldout
    kept = progress.best_rows if training.kept_step != progress.step else progress.heldout_rows
    adapter = measured(training, kept, name, nullcontext)
    if objective == "preference":
        weights, before = np.ones(len(heldout)), np.zeros(len(heldout))
        units = np.array([pair.chosen.row for pair in heldout])
    else:
        weights = np.array([row.trained_tokens for row in heldout], float)
        units = np.array([row.row for row in heldout])
        before = measured(training, progress.base_rows, name, base)
    curve = (progress.best_rows.get("loss"), progress.heldout_rows.get("loss"))
    best, last = (numbers(each) if each and len(each) == len(heldout) else None for each in curve)
    return Rows(objective, before, adapter, weights, units, best, last)


def measured(
    training: "Training", known: dict[str, list[float]], name: str, state: Callable[[], AbstractContextManager]
) -> np.ndarray:
    if len(known.get(name, ())) == len(training.data.heldout):
        return numbers(known[name])
    training.report.say("Judging: the held-out rows are measured once more.")
    with state():
        return training.heldout_rows()[name]


def numbers(values: Sequence[float | None]) -> np.ndarray:
    """A checkpoint holds what is no number as null."""
    return np.array(values, dtype=float)


def gains_of(rows: Rows) -> np.ndarray:
    """By how much each row became likelier, per token; of a pair its margin."""
    return rows.adapter - rows.base if rows.objective == "preference" else (rows.base - rows.adapter) / rows.tokens


def at_once(rows: Sequence[Shown], budget: int) -> Iterator[list[Shown]]:
    """Rows that are answered together: prompts and answers within the tokens that a step computes at once."""
    group: list[Shown] = []
    used = 0
    for row in rows:
        size = len(row.prompt) + row.most_tokens
        if group and used + size > budget:
            yield group
            group, used = [], 0
        group.append(row)
        used += size
    if group:
        yield group
