"""Train one adapter: plan, data, model, loop, adapter. `accelerate launch -m jobs.workers.train <attempt folder>`.

One optimiser step takes `batch_size` rows, whatever the micro-batch or the number of processes; its loss is the mean over
all supervised tokens of those rows. Random numbers are drawn anew for each step from the run's seed and the step's
number, so a training that was stopped and goes on is bit for bit the one that was not.
"""

import math
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial

from jobs.workers.load import load_base_model  # first: it sets the environment that transformers reads when imported

import accelerate
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from jobs.workers.adapter_card import save_adapter
from jobs.workers.checkpoint import Saved, hash_of, load_checkpoint, newest_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from jobs.workers.ending import CANCELLED, PAUSED, SUCCEEDED, Diverged, Ended, Request, ending_in_words
from jobs.workers.engine import Engine
from jobs.workers.examples import Data, batches_of, read_examples
from jobs.workers.generate import answer_prompts
from jobs.workers.report import Report, finite, peak_memory_bytes
from studio.errors import BadInput, Invalid
from studio.folders import AttemptFolder, RunFolder, read_json
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.plan import ResolvedPlan, TrainingPlan, read_plan
from studio.rows import iter_training_rows
from studio.tokens import ChatTokenizer

MOST_BROKEN_STEPS = 3  # steps in a row without a finite loss before a training is given up
LOG_SECONDS = 10


@dataclass
class Progress:
    """How far a training is; saved with each checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of steps, evaluations and samples, over all attempts
    step_seconds: float = 0.0  # of the steps alone
    loss: float | None = None  # of the last step
    base_heldout_loss: float | None = None
    heldout_loss: float | None = None
    best_heldout_loss: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    evaluated_at: int = -1
    broken_steps: int = 0


def plans_of(run: RunFolder) -> tuple[TrainingPlan, ResolvedPlan]:
    plan, resolved = read_json(run.plan), read_json(run.resolved)
    if plan is None or resolved is None:
        raise BadInput(f"The run's folder has no {'plan.json' if plan is None else 'resolved.json'}.", "Queue the run again.")
    return read_plan(plan), ResolvedPlan.model_validate(resolved)


def start_accelerator(plan: TrainingPlan, resolved: ResolvedPlan) -> Accelerator:
    mixed = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[resolved.precision]
    if resolved.device == "cuda" and not torch.cuda.is_available():
        raise Invalid("The run was planned for a GPU, and the worker sees none.", "Look at the driver with nvidia-smi, or start the studio with --device cpu.")
    accelerator = Accelerator(mixed_precision=mixed, cpu=resolved.device == "cpu")
    if accelerator.num_processes != resolved.processes:  # accelerate silently trains in one process when started wrongly
        raise Invalid(f"The plan asks for {resolved.processes} processes and {accelerator.num_processes} came together.", "Start the run again; if it repeats, choose one device.", "resources.gpus")
    return accelerator


def load_model(plan: TrainingPlan, resolved: ResolvedPlan, folder, device: torch.device):
    """The base with the method's untrained adapter, the same in every process."""
    base = load_base_model(folder, resolved.precision, device)
    base.requires_grad_(False)
    if resolved.gradient_checkpointing and base.supports_gradient_checkpointing:
        base.activation_checkpointing_enable()
    set_seed(plan.training.seed)
    return METHODS[plan.method.name].add_to(plan.method, base).to(device)


class Training:
    """One attempt at a run, from its loaded parts to its adapter."""

    def __init__(self, attempt: AttemptFolder, plan: TrainingPlan, resolved: ResolvedPlan, accelerator: Accelerator, report: Report, request: Request):
        self.attempt, self.plan, self.resolved, self.accelerator, self.report, self.request = attempt, plan, resolved, accelerator, report, request
        self.settings = plan.training
        self.device = accelerator.device
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] | None = None
        self.hash = hash_of(plan.model_dump(mode="json"), resolved.learning_rate, resolved.steps, resolved.sequence_length, resolved.precision)

    def load(self) -> None:
        data, say = self.attempt.run.data, self.report.say
        base = data.base_model(self.plan.base_model)
        self.facts = ModelFacts.model_validate(read_json(base.facts))
        self.tokenizer = ChatTokenizer.load(base.model)
        self.data = read_examples(partial(iter_training_rows, data.dataset(self.plan.dataset)), self.tokenizer, self.resolved, self.settings.seed)
        self.report_data()
        self.model = load_model(self.plan, self.resolved, base.model, self.device)
        self.parameters = {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        learned = sum(parameter.numel() for parameter in self.parameters.values())
        total = sum(parameter.numel() for parameter in self.model.parameters())
        say(f"{self.facts.architecture} with {total - learned:,} parameters, {learned:,} of the adapter are trained, on {self.device} in {self.resolved.precision}.")
        self.report.facts |= {"parameters": total - learned, "trainable_parameters": learned, "device": str(self.device), "precision": self.resolved.precision}
        self.engine = Engine(self.model, self.device, self.resolved.micro_batch, self.resolved.token_budget, self.accelerator.autocast)
        for line in self.engine.choose(self.settings.packing):
            say(line)
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=self.resolved.learning_rate, weight_decay=self.settings.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.resolved.precision == "fp16")

    def report_data(self) -> None:
        data, say = self.data, self.report.say
        say(f"{len(data.train)} rows to train on ({data.train_tokens:,} tokens), {len(data.heldout)} held out.")
        if data.cut_rows:
            say(f"{data.cut_rows} rows are longer than {self.resolved.sequence_length} tokens; {data.cut_tokens:,} tokens were cut from their ends.")
        if data.unlearnable:
            rows = ", ".join(map(str, data.unlearnable[:10]))
            say(f"{len(data.unlearnable)} rows have no answer within the sequence length and are left out: {rows}{' ...' if len(data.unlearnable) > 10 else ''}.")
        self.report.facts |= {"cut_rows": data.cut_rows, "cut_tokens": data.cut_tokens, "unlearnable_rows": len(data.unlearnable), "train_rows": len(data.train), "heldout_rows": len(data.heldout)}

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.resolved.batch_size)

    @property
    def steps(self) -> int:
        wanted = max(1, math.ceil(self.resolved.epochs * self.steps_per_epoch))
        return min(wanted, self.settings.max_steps or wanted)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if an earlier attempt left one."""
        path, passed_over = newest_checkpoint(self.attempt, self.hash)
        for line in passed_over:
            self.report.say(line)
        if path is None:
            return
        saved = load_checkpoint(path)
        for name, parameter in self.parameters.items():
            parameter.data.copy_(saved.adapter[name])
        restore_optimizer(self.optimizer, self.parameters, saved.optimizer)
        self.scaler.load_state_dict(saved.state["scaler"])
        self.progress, self.best = Progress(**saved.state["progress"]), saved.best
        self.report.say(f"Goes on from the checkpoint of step {self.progress.step} ({path.parent.parent.name}).")

    def save(self) -> None:
        if self.accelerator.is_main_process:
            state = finite({"progress": asdict(self.progress), "scaler": self.scaler.state_dict()})
            saved = Saved(self.parameters, optimizer_tensors(self.optimizer, self.parameters), state, self.best)
            save_checkpoint(self.attempt, self.progress.step, self.hash, saved, self.settings.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def run(self) -> int:
        """Every step up to the last, or until something ends it. Returns the exit code."""
        total, self.said_at = self.steps, time.monotonic()
        self.report.facts["steps"] = total
        if total != self.resolved.steps:
            self.report.say(f"{total} steps instead of the {self.resolved.steps} planned: the rows that can be learned from decide.")
        if self.progress.step == 0:
            self.evaluate()  # of a paused training that had not begun: it was measured then
        while self.progress.step < total:
            if wanted := self.request.wanted(self.accelerator):
                return self.end_early(wanted)
            self.step(total)
            step = self.progress.step
            if (step % self.resolved.evaluate_every == 0 or step == total) and self.evaluate() == "stop early":
                return self.finish("succeeded", f"Stopped early: the held-out loss has not fallen for {self.settings.early_stopping} evaluations.")
            if step % self.resolved.checkpoint_every == 0 and step < total:
                self.save()
        return self.finish("succeeded", f"All {total} steps are done.")

    def step(self, total: int) -> None:
        """One optimiser step over one batch."""
        progress, began = self.progress, time.monotonic()
        number = progress.step + 1
        batch = self.batch(number)
        set_seed(seed_of_step(self.settings.seed, number, self.accelerator.process_index))
        for group in self.optimizer.param_groups:
            group["lr"] = rate = learning_rate(number, total, min(self.resolved.warmup_steps, total - 1), self.resolved.learning_rate, self.settings.schedule)
        micro_batches = self.engine.micro_batches(batch[self.accelerator.process_index :: self.accelerator.num_processes])
        supervised = sum(example.trained_tokens for example in batch)
        scale = float(self.scaler.scale(torch.ones((), device=self.device)))
        loss = self.sum_over_processes(self.engine.accumulate(micro_batches, scale / supervised)) / supervised
        norm = self.update(loss, number)
        progress.step, progress.loss = number, loss
        tokens, seconds = sum(map(len, batch)), time.monotonic() - began
        progress.tokens += tokens
        progress.seconds += seconds
        progress.step_seconds += seconds
        self.report.metric(
            step=number, steps=total, epoch=round(number / self.steps_per_epoch, 4), loss=loss, grad_norm=norm, learning_rate=rate, tokens=tokens, trained_tokens=supervised,
            seconds=round(seconds, 4), tokens_per_second=round(tokens / max(seconds, 1e-6), 1), memory_bytes=peak_memory_bytes(), padding=sum(each.padding for each in micro_batches),
        )  # fmt: skip
        if time.monotonic() - self.said_at > LOG_SECONDS or number == total:
            self.said_at = time.monotonic()
            self.report.say(f"Step {number} of {total}: loss {loss:.4f}, {tokens / max(seconds, 1e-6):,.0f} tokens/s.")

    def batch(self, number: int):
        """The rows of step `number`, counted from 1."""
        epoch, index = divmod(number - 1, self.steps_per_epoch)
        if getattr(self, "epoch", None) != epoch:
            self.epoch, self.batches = epoch, batches_of(self.data.train, self.resolved.batch_size, self.settings.seed, epoch)
        return self.batches[index]

    def update(self, loss: float, number: int) -> float:
        """Clip and apply the gradients, unless they are not numbers. Returns their length before clipping."""
        parameters = list(self.parameters.values())
        if self.accelerator.num_processes > 1:
            self.sum_gradients(parameters)
        self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm))
        broken = not math.isfinite(loss) or not (math.isfinite(norm) or self.scaler.is_enabled())
        if not broken:
            self.scaler.step(self.optimizer)  # fp16: passes over steps whose gradients overflowed, and lowers the scale
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.broken_steps = self.progress.broken_steps + 1 if broken else 0
        if broken:
            self.report.say(f"Step {number}: the loss is not a number; the step is passed over.")
        if self.progress.broken_steps == MOST_BROKEN_STEPS:
            raise Diverged(number, self.resolved.learning_rate)
        return norm

    def sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Over all processes: each has the gradients of its own rows, already divided by the whole batch's tokens."""
        flat = torch.cat([(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in parameters])
        flat = self.accelerator.reduce(flat, "sum")
        for each, gradient in zip(parameters, flat.split([each.numel() for each in parameters]), strict=True):
            each.grad = gradient.view_as(each).clone()

    def sum_over_processes(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        return float(self.accelerator.reduce(torch.tensor(value, dtype=torch.float64, device=self.device), "sum"))

    def evaluate(self) -> str | None:
        """Held-out loss and answers to the pinned prompts, as they stand now. "stop early" when they say so."""
        progress, began, said = self.progress, time.monotonic(), None
        if progress.evaluated_at == progress.step:
            return None
        if self.data.heldout:
            mine = self.data.heldout[self.accelerator.process_index :: self.accelerator.num_processes]
            loss = self.sum_over_processes(self.engine.measure(mine)) / self.data.heldout_tokens
            self.report.metric(step=progress.step, heldout_loss=loss, heldout_tokens=self.data.heldout_tokens)
            self.report.say(f"{'The base itself' if not progress.step else f'Step {progress.step}'}: held-out loss {loss:.4f}.")
            said = self.note_heldout(loss)
        self.answer_prompts()
        progress.evaluated_at = progress.step
        progress.seconds += time.monotonic() - began
        return said

    def note_heldout(self, loss: float) -> str | None:
        progress, patience = self.progress, self.settings.early_stopping
        progress.heldout_loss = loss
        if progress.step == 0:
            progress.base_heldout_loss = loss
            return None
        if progress.best_heldout_loss is None or loss < progress.best_heldout_loss:
            progress.best_heldout_loss, progress.best_step, progress.evaluations_since_best = loss, progress.step, 0
            if patience:
                self.best = {name: parameter.detach().cpu().clone() for name, parameter in self.parameters.items()}
            return None
        progress.evaluations_since_best += 1
        return "stop early" if patience and progress.evaluations_since_best >= patience else None

    def answer_prompts(self) -> None:
        if not self.accelerator.is_main_process:
            return
        prompts = [[{"role": "user", "content": text}] for text in self.settings.sample_prompts] or self.data.prompts
        found = answer_prompts(self.engine.causal, self.tokenizer, prompts, self.facts.context_length, together=self.engine.packs)
        for messages, (text, seconds) in zip(prompts, found, strict=True):
            self.report.sample(step=self.progress.step, prompt=messages[-1]["content"], answer=text, seconds=round(seconds, 3))

    def end_early(self, wanted: str) -> int:
        if wanted == "pause":
            self.save()
            return self.ended("paused", PAUSED, f"Paused after step {self.progress.step}; a checkpoint is saved.")
        if wanted == "stop" and self.progress.step:
            self.evaluate()
            return self.finish("stopped", f"Stopped after step {self.progress.step}; the adapter is kept as it is.")
        return self.ended("cancelled", CANCELLED, f"Cancelled after step {self.progress.step}.")

    def finish(self, status: str, text: str) -> int:
        """Save the adapter: as it is after the last step, or at its best where the person asked for early stopping."""
        if self.best and self.progress.best_step != self.progress.step:
            for name, parameter in self.parameters.items():
                parameter.data.copy_(self.best[name])
            self.progress.heldout_loss = self.progress.best_heldout_loss
            self.report.say(f"The adapter of step {self.progress.best_step} is kept: its held-out loss was the lowest.")
        if self.accelerator.is_main_process:
            self.note_results()
            save_adapter(self.attempt, self.model, self.plan, self.resolved, self.facts, self.report.facts)
        self.accelerator.wait_for_everyone()
        return self.ended(status, SUCCEEDED, text)

    def ended(self, status: str, code: int, text: str) -> int:
        self.report.say(text)
        self.note_results()
        return self.report.result(status, code)

    def note_results(self) -> None:
        kept = ("step", "tokens", "loss", "heldout_loss", "base_heldout_loss", "best_step", "best_heldout_loss", "seconds")
        self.report.facts |= {name: getattr(self.progress, name) for name in kept}
        self.report.facts["tokens_per_second"] = round(self.progress.tokens / max(self.progress.step_seconds, 1e-6), 1)


def seed_of_step(seed: int, step: int, process: int) -> int:
    return int(hash_of(seed, step, process)[:8], 16) % 2**31


def learning_rate(step: int, steps: int, warmup: int, peak: float, schedule: str) -> float:
    """For step 1 to `steps`: rises over `warmup` steps to the peak, then falls by the schedule to nearly 0."""
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup - 1) / max(1, steps - warmup)
    return peak * {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[schedule]


def train(attempt: AttemptFolder, report: Report, request: Request) -> int:
    plan, resolved = plans_of(attempt.run)
    accelerator = start_accelerator(plan, resolved)
    report.writes = accelerator.is_main_process
    report.say(f"Training '{plan.name or attempt.run.id}': torch {torch.__version__}, accelerate {accelerate.__version__}, {torch.get_num_threads()} threads.")
    training = Training(attempt, plan, resolved, accelerator, report, request)
    training.load()
    training.resume()
    return training.run()


def main(folder: str, request: type[Request] = Request) -> int:
    attempt = AttemptFolder(folder)
    report = Report(attempt)
    try:
        return train(attempt, report, request(attempt))
    except Exception as error:
        ended = ending_in_words(error)
        if ended is None:
            report.result("failed", 1, "bug", f"The training stopped at an error of the program: {type(error).__name__}.", "Look at the end of the log, and report it.")
            raise
        report.say(f"{ended.problem} {ended.fix}")
        return report.result(ended.status, ended.code, ended.kind, ended.problem, ended.fix)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
