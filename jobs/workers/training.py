"""The training loop: one attempt at a run, from its loaded parts to its adapter.

One optimiser step takes `batch_size` rows, whatever the micro-batch or the number of processes; its loss is the mean
over all supervised tokens (or over all pairs of answers) of those rows. Random numbers are drawn anew for each step from the run's seed and the step's
number, so a training that was stopped and goes on is bit for bit the one that was not.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from jobs.workers.adapter_card import save_adapter, write_checkpoint_adapter
from jobs.workers.build import load_model, set_start, words_of
from jobs.workers.checkpoint import Saved, hash_of, load_checkpoint, save_checkpoint, to_go_on_from, went_on
from jobs.workers.ending import CANCELLED, PAUSED, SUCCEEDED, Request, ending_in_words
from jobs.workers.engine import Engine
from jobs.workers.examples import Batches, read_examples
from jobs.workers.floor import Floor
from jobs.workers.generate import answer_prompts
from jobs.workers.judging import judge
from jobs.workers.judging.base import remember_base
from jobs.workers.load import DTYPES
from jobs.workers.neftune import add_noise_to_embeddings
from jobs.workers.objectives import OBJECTIVES
from jobs.workers.objectives.objective import Kept, Measures
from jobs.workers.optimizer import Diverged, Optimizer, learning_rate, rates_of
from jobs.workers.progress import Progress
from jobs.workers.prompts import pinned, sampled
from jobs.workers.report import Report, finite, peak_memory_bytes
from studio.checkpoint_files import name_of
from studio.files import read_json
from studio.folders import AdapterFolder, AttemptFolder, data_of
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan

LOG_SECONDS = 10  # between two lines about steps
ROWS_KEPT = ("loss", "margin")  # measures that are remembered for each held-out row


class Training:
    """One attempt at a run, from its loaded parts to its adapter."""

    def __init__(
        self,
        attempt: AttemptFolder,
        plan: TrainingPlan,
        resolved: ResolvedPlan,
        accelerator: Accelerator,
        report: Report,
        request: Request,
    ):
        self.attempt, self.plan, self.resolved = attempt, plan, resolved
        self.accelerator, self.report, self.request = accelerator, report, request
        self.settings, self.device = plan.training, accelerator.device
        self.rank, self.processes = accelerator.process_index, accelerator.num_processes
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] | None = None
        self.epoch, self.batches = -1, []
        decides = (resolved.learning_rate, resolved.steps, resolved.sequence_length, resolved.precision)
        # What plan.json says, without what settings mean that came later: an older run's checkpoints stay its own
        self.hash = hash_of(plan.model_dump(mode="json", exclude_unset=True), *decides)

    def load(self) -> None:
        base = data_of(self.attempt.run).base_model(self.plan.base_model)
        self.facts = ModelFacts.model_validate(read_json(base.facts))
        self.words = words_of(self.attempt, self.plan, base.model)
        self.tokenizer = self.words.tokenizer
        rows = data_of(self.attempt.run).dataset(self.plan.dataset, self.plan.dataset_version)
        given = (self.words.folder, self.tokenizer, self.resolved, self.settings.seed)
        self.data = read_examples(rows, *given, self.report.say)
        self.data.tell(self.report, self.resolved.sequence_length)
        self.prompts = pinned(self.settings.sample_prompts, self.tokenizer, self.resolved.objective)
        self.prompts = self.prompts or sampled(rows, self.data.asked, self.tokenizer)
        self.model = load_model(self.plan, self.resolved, base.model, self.device, self.words)
        with self.accelerator.autocast():
            if set_start(self.attempt, self.plan, self.model, self.batch):
                self.report.say("The adapter starts from what the training data is made of.")
        self.parameters = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        self.base_parts = remember_base(self.plan, self.model, self.parameters) if self.settings.verdict else {}
        self.tell_model()
        at_once = (self.resolved.micro_batch, self.resolved.token_budget)
        self.engine = Engine(self.model, self.device, *at_once, autocast=self.accelerator.autocast)
        for line in self.engine.choose(self.settings.packing, sharing=not self.settings.neftune_alpha):
            self.report.say(line)
        dtype = DTYPES[self.resolved.precision]
        head, shortened = self.engine.causal.get_output_embeddings(), self.engine.last_layer is not None
        self.floor = Floor(self.facts, head, self.device, dtype, shortened)
        if self.settings.neftune_alpha:
            add_noise_to_embeddings(self.engine, self.settings.neftune_alpha)
        self.objective = OBJECTIVES[self.resolved.objective](self.engine, self.plan)
        self.objective.prepare(self.data, self.kept())
        self.optimizer = Optimizer(
            self.parameters, self.resolved, self.settings, self.accelerator, rates_of(self.plan, self.parameters)
        )
        self.hooks = METHODS[self.plan.method.name].step_hooks(self.plan.method, self.model, self.steps)

    def kept(self) -> Kept:
        """What an objective needs to work something out once for the whole run."""
        decides = (self.resolved.sequence_length, self.resolved.precision, self.settings.quantization)
        key = hash_of(self.facts.fingerprint, self.data.train.store.path.name, *decides)
        return Kept(self.attempt.run, key, self.report.say, self.own, self.sum_arrays)

    def own(self, rows: Sequence) -> Sequence:
        """Those of this process."""
        return rows[self.rank :: self.processes]

    def tell_model(self) -> None:
        learned = sum(each.numel() for each in self.parameters.values())
        where = {"device": str(self.device), "precision": self.resolved.precision}
        self.report.facts |= {"parameters": self.facts.parameters, "trainable_parameters": learned, **where}
        quantization = self.settings.quantization
        loaded = "" if quantization == "none" else f", the base quantised to {quantization}"
        self.report.say(
            f"{self.facts.architecture} with {self.facts.parameters:,} parameters, {learned:,} of the adapter are trained, "
            f"on {self.device} in {self.resolved.precision}{loaded}."
        )

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.resolved.batch_size)

    @property
    def steps(self) -> int:
        wanted = max(1, math.ceil(self.resolved.epochs * self.steps_per_epoch))
        return min(wanted, self.settings.max_steps or wanted)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if an earlier attempt left one. Raises NoCheckpointLeft."""
        folder, aside, said = to_go_on_from(self.attempt, self.hash)
        for line in said:
            self.report.say(line)
        if folder is not None:
            self.restore(load_checkpoint(folder.path))
            self.report.say(f"Goes on from the checkpoint of step {self.progress.step} ({name_of(folder)}).")
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            went_on(self.attempt, aside)

    def restore(self, saved: Saved) -> None:
        self.put(saved.adapter)
        self.optimizer.restore(saved.optimizer, saved.state["optimizer"])
        self.hooks.restore(saved.method)
        self.progress, self.best = Progress(**saved.state["progress"]), saved.best

    def put(self, values: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])

    def save(self) -> None:
        if self.accelerator.is_main_process:
            state = finite({"progress": asdict(self.progress), "optimizer": self.optimizer.numbers()})
            saved = Saved(self.parameters, self.optimizer.tensors(), state, self.best, self.hooks.tensors())
            keep = self.settings.keep_checkpoints
            spared = self.progress.best_step if self.settings.verdict else None  # the verdict may say to keep that one
            write = self.write_checkpoint_adapter
            save_checkpoint(self.attempt, self.progress.step, self.hash, saved, keep, write, spared)
        self.accelerator.wait_for_everyone()

    def write_checkpoint_adapter(self, folder: AdapterFolder) -> None:
        write_checkpoint_adapter(folder, self.attempt, self.model, self.words.folder, self.plan, self.facts)

    def run(self) -> int:
        """Every step up to the last, or until something ends it. Returns the exit code."""
        total, self.said_at = self.steps, time.monotonic()
        self.report.facts["steps"] = total
        if total != self.resolved.steps:
            self.report.say(
                f"{total} steps instead of the {self.resolved.steps} planned, by the rows that can be used."
            )
        if self.progress.step == 0:
            self.evaluate()
        while self.progress.step < total:
            if wanted := self.request.wanted(self.accelerator):
                return self.end_early(wanted)
            try:
                self.step(total)
            except Diverged as error:
                if self.best is None:
                    raise
                return self.keep_best_of(error)
            step = self.progress.step
            if step % self.resolved.evaluate_every == 0 or step == total:
                self.evaluate()
            if step < total and self.has_stopped_falling():
                times = self.settings.early_stopping
                return self.finish(
                    "succeeded", f"Stopped early: the held-out loss fell in none of {times} evaluations."
                )
            if step % self.resolved.checkpoint_every == 0 and step < total:
                self.save()
        return self.finish("succeeded", f"All {total} steps are done.")

    def keep_best_of(self, error: Diverged) -> int:
        """It has diverged, and what was the best until then was to be kept: that is saved, and everything says so."""
        ended = ending_in_words(error)
        self.report.facts |= {"diverged_at": error.step, "kind": ended.kind, "problem": ended.problem, "fix": ended.fix}
        return self.finish(
            "stopped", f"{ended.problem} The adapter of step {self.progress.best_step} is what is left of it."
        )

    def step(self, total: int) -> None:
        """One optimiser step over one batch."""
        progress, began = self.progress, time.monotonic()
        number = progress.step + 1
        batch = self.batch(number)
        set_seed(seed_of_step(self.settings.seed, number, self.rank))
        micro_batches, count = self.objective.micro_batches(self.own(batch)), self.objective.count(batch)
        measures = self.means(self.objective.accumulate(micro_batches, self.optimizer.weight(count)), count)
        self.add_penalty()
        loss = measures["loss"]
        warmup = min(self.resolved.warmup_steps, total - 1)
        rate = learning_rate(number, total, warmup, self.resolved.learning_rate, self.settings)
        norm, applied = self.optimizer.step(number, rate, loss, self.hooks.after_step)
        tokens, seconds = sum(map(len, batch)), time.monotonic() - began
        trained = sum(row.trained_tokens for row in batch)
        computed, padding = self.computed(micro_batches)
        progress.step, progress.tokens = number, progress.tokens + tokens
        progress.loss = loss if math.isfinite(loss) else progress.loss
        progress.seconds, progress.step_seconds = progress.seconds + seconds, progress.step_seconds + seconds
        self.report.metric(
            step=number,
            steps=total,
            epoch=round(number / self.steps_per_epoch, 4),
            **measures,
            grad_norm=norm,
            learning_rate=rate,
            tokens=tokens,
            trained_tokens=trained,
            computed_tokens=computed,
            seconds=round(seconds, 4),
            tokens_per_second=round(tokens / max(seconds, 1e-6), 1),
            mfu=self.floor.share(computed, trained, seconds, self.processes),
            memory_bytes=peak_memory_bytes(),
            padding=padding,
            cut=sum(document.cut for row in batch for document in row.documents),
        )
        self.tell_step(number, total, loss, tokens / max(seconds, 1e-6), applied)

    def computed(self, micro_batches: list) -> tuple[int, int]:
        """Tokens that all processes compute, and slots that they fill up: rows share beginnings, and some ends change no loss."""
        own = [(each.tokens, each.padding) for each in micro_batches]
        tokens, padding = self.sum_arrays(np.array(own, np.float64).reshape(-1, 2).sum(axis=0))
        return int(tokens), int(padding)

    def add_penalty(self) -> None:
        """The gradient of what the method itself adds to the mean loss: once a step, whatever the processes."""
        penalty = self.hooks.penalty()
        if penalty is not None:
            (penalty * (self.optimizer.weight(1) / self.processes)).backward()

    def tell_step(self, number: int, total: int, loss: float, speed: float, applied: bool) -> None:
        if not applied:
            self.report.say(f"Step {number}: the loss is not a number; the step is passed over.")
        elif time.monotonic() - self.said_at > LOG_SECONDS or number == total:
            self.said_at = time.monotonic()
            self.report.say(f"Step {number} of {total}: loss {loss:.4f}, {speed:,.0f} tokens/s.")

    def batch(self, number: int):
        """The rows of step `number`, counted from 1."""
        epoch, index = divmod(number - 1, self.steps_per_epoch)
        if epoch != self.epoch:
            seed = self.settings.seed
            self.epoch, self.batches = epoch, Batches(self.data.train, self.resolved.batch_size, seed, epoch)
        return self.batches[index]

    def means(self, sums: dict[str, float], count: int) -> dict[str, float]:
        """Sums of this process's rows as means over those of all processes."""
        return dict(zip(sums, (self.sum_arrays(np.array(list(sums.values()))) / count).tolist(), strict=True))

    def sum_arrays(self, values: np.ndarray) -> np.ndarray:
        """Over all processes, float64."""
        if self.processes == 1:
            return values
        return self.accelerator.reduce(torch.from_numpy(values).to(self.device), "sum").cpu().numpy()

    def evaluate(self) -> None:
        """Held-out loss and answers to the pinned prompts as they stand now, once for each step."""
        progress, began = self.progress, time.monotonic()
        if progress.evaluated_at == progress.step:
            return
        with nullcontext() if progress.step else self.engine.prompt.off():  # what is measured first is the base
            self.measure_heldout()
            self.answer_prompts()
        progress.evaluated_at = progress.step
        progress.seconds += time.monotonic() - began

    def measure_heldout(self) -> None:
        progress = self.progress
        if not (count := self.objective.count_heldout(self.data)):
            return
        rows = self.heldout_rows()
        found = {name: float(values.sum() / count) for name, values in rows.items()}
        measures = {f"heldout_{name}": value for name, value in found.items()}
        self.report.metric(step=progress.step, **measures, heldout_tokens=self.data.heldout_tokens)
        who = f"Step {progress.step}" if progress.step else "The base"
        more = [f", {name} {found[name]:.4f}" for name in ("accuracy", "margin") if name in found]
        self.report.say(f"{who}: held-out loss {found['loss']:.4f}{''.join(more)}.")
        self.note_heldout(found["loss"], measures, {name: rows[name].tolist() for name in ROWS_KEPT if name in rows})

    def heldout_rows(self) -> Measures:
        """The measures of each held-out row, in their order, over all processes."""
        own = self.objective.measure(self.own(self.data.heldout))
        found = np.zeros((len(own), len(self.data.heldout)))
        found[:, self.rank :: self.processes] = list(own.values())
        return dict(zip(own, self.sum_arrays(found), strict=True))

    def note_heldout(self, loss: float, measures: dict[str, float], rows: dict[str, list[float]]) -> None:
        progress = self.progress
        progress.heldout_loss, progress.heldout_measures, progress.heldout_rows = loss, measures, rows
        if progress.step == 0:
            progress.base_heldout_loss, progress.base_rows = loss, rows
        elif loss < (
            math.inf if progress.best_heldout_loss is None else progress.best_heldout_loss
        ):  # NaN is never best
            progress.best_heldout_loss, progress.best_step, progress.evaluations_since_best = loss, progress.step, 0
            progress.best_measures, progress.best_rows = measures, rows
            if self.settings.keeps_best:
                self.best = {name: each.detach().cpu().clone() for name, each in self.parameters.items()}
        else:
            progress.evaluations_since_best += 1

    def has_stopped_falling(self) -> bool:
        patience = self.settings.early_stopping
        return patience is not None and self.progress.evaluations_since_best >= patience

    def answer_prompts(self) -> None:
        if not self.accelerator.is_main_process:
            return
        asked = [prompt.ids for prompt in self.prompts]
        with self.accelerator.autocast():
            found = answer_prompts(self.engine, self.tokenizer, asked, self.facts.context_length)
        for prompt, (text, seconds) in zip(self.prompts, found, strict=True):
            self.report.sample(step=self.progress.step, prompt=prompt.shown, answer=text, seconds=round(seconds, 3))

    def end_early(self, wanted: str) -> int:
        step = self.progress.step
        if wanted == "pause":
            self.save()
            return self.ended("paused", PAUSED, f"Paused after step {step}; a checkpoint is saved.")
        if wanted == "stop" and step:
            self.evaluate()
            return self.finish("stopped", f"Stopped after step {step}; the adapter is kept as it is.")
        kept = " Nothing was learned yet, so there is nothing to keep." if wanted == "stop" else ""
        return self.ended("cancelled", CANCELLED, f"Cancelled after step {step}.{kept}")

    def finish(self, status: str, text: str) -> int:
        """Save the adapter: as it is after the last step, or at its best where that is to be kept; then judge it."""
        self.kept_step = self.progress.step
        if self.best and self.progress.best_step != self.progress.step:
            self.put(self.best)
            self.progress.heldout_loss = self.progress.best_heldout_loss
            self.progress.heldout_measures = self.progress.best_measures
            self.kept_step = self.progress.best_step
            self.report.say(f"The adapter of step {self.progress.best_step} is kept: its held-out loss was the lowest.")
        if self.accelerator.is_main_process:
            self.note_results()
            self.hooks.before_save()
            made = (self.plan, self.resolved, self.facts, self.report.facts)
            save_adapter(self.attempt, self.model, self.words.folder, *made)
        self.accelerator.wait_for_everyone()
        if self.settings.verdict:
            self.note_results()
            self.report.result(status, SUCCEEDED)  # from here on the adapter is there, whatever becomes of the verdict
            judge(self, lambda: self.report.result(status, SUCCEEDED))
        return self.ended(status, SUCCEEDED, text)

    def ended(self, status: str, code: int, text: str) -> int:
        self.report.say(text)
        self.note_results()
        return self.report.result(status, code)

    def note_results(self) -> None:
        progress = asdict(self.progress)
        losses = ("loss", "heldout_loss", "base_heldout_loss", "best_heldout_loss")
        results = ("step", "tokens", *losses, "best_step", "seconds")
        self.report.facts |= self.progress.heldout_measures | {name: progress[name] for name in results}
        self.report.facts["mfu"] = self.floor.median()
        self.report.facts["tokens_per_second"] = round(self.progress.tokens / max(self.progress.step_seconds, 1e-6), 1)


def seed_of_step(seed: int, step: int, process: int) -> int:
    return int(hash_of(seed, step, process)[:8], 16) % 2**31
