"""What a plan needs before it is queued: memory by part, trained parameters, steps, time and the size of the file."""

import math
from statistics import fmean, pstdev
from typing import Literal

from pydantic import BaseModel

from studio import base_models, datasets
from studio.adapter_files import weights_bytes
from studio.dataset_report import TokenStats
from studio.devices import DeviceFacts, planned_device
from studio.errors import Invalid, at_field
from studio.footprint import Footprint
from studio.memory_learned import Correction, learned_correction
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.new_tokens import check_tokens
from studio.plan import TrainingPlan
from studio.resolve import resolve
from studio.resolved_plan import ResolvedPlan
from studio.row_counts import learnable_rows
from studio.speeds import measured_speed, slowness
from studio.studio import Studio

COMFORTABLE = 0.85  # of the usable memory; beyond it a run is "tight"
MULTIPLICATIONS_PER_SECOND = {
    "cpu": 15e9,
    "cuda": 60e12,
}  # cautious: a slow core, a small GPU; measured runs replace them
START_SECONDS = {"cpu": 12, "cuda": 25}  # libraries, the model, the first batch
SAMPLED_TOKENS = 64  # of each answer to a pinned prompt
JUDGED_TOKENS = 2 * 96  # of the base's and the adapter's answers at the end; all rows are answered at once
SECONDS_PER_LAYER = 0.0005  # of one decoded token, besides the weights
MEMORY_BANDWIDTH = {"cpu": 8e9, "cuda": 400e9}  # bytes/s, cautious
LIKELY = 3  # standard deviations above the mean: the fullest of some hundred micro-batches is seldom fuller
NOTHING_LEARNED = Correction()


class Estimate(BaseModel):
    """Shown beside the form while the plan is made, and checked again when it is queued."""

    resolved: ResolvedPlan
    trainable_parameters: int
    share: float  # of the base's parameters
    memory: dict[str, int]  # part → bytes, of one process
    total_bytes: int
    memory_correction: float  # of what comes and goes in it, learned from past runs on this kind of device
    memory_runs: int  # how many those were
    device_kind: Literal["cpu", "cuda"]
    device_bytes: int  # usable ones
    device_name: str
    fits: Literal["yes", "tight", "no"]
    file_bytes: int  # of adapter_model.safetensors
    seconds: float
    measured_speed: bool  # whether the time rests on earlier runs on this base
    tokens: int
    steps: int
    warnings: list[str]
    reasons: dict[str, str]

    @property
    def planned_memory(self) -> dict:
        """What is kept with the run, to be compared with its measured peak (RunFolder.estimate)."""
        return {"device": self.device_kind, "memory": self.memory, "correction": self.memory_correction}


def estimate(studio: Studio, plan: TrainingPlan) -> Estimate:
    """Raises NotFound, Conflict (model not ready), BadInput or Invalid with the setting at fault."""
    with at_field("base_model"):
        facts = base_models.facts_of(base_models.ready_model(studio, plan.base_model))
    with at_field("dataset"):
        learning = datasets.learning_for(studio, plan.dataset, plan.training, plan.dataset_version)
    stats = datasets.token_stats(studio, plan.dataset, plan.base_model, learning, plan.dataset_version)
    check_tokens(studio.data.base_model(plan.base_model).model, getattr(plan.method, "new_tokens", []))
    device = planned_device(studio)
    learned = learned_correction(studio, device.kind)
    return estimate_from(plan, facts, stats, device, measured_speed(studio, plan.base_model), learned)


def estimate_from(
    plan: TrainingPlan,
    facts: ModelFacts,
    stats: TokenStats,
    device: DeviceFacts,
    tokens_per_second: float | None = None,
    learned: Correction = NOTHING_LEARNED,
) -> Estimate:
    resolved = resolve(plan, facts, stats, device, learned.factor)
    method = METHODS[plan.method.name]
    trainable = method.trainable_parameters(plan.method, facts)
    footprint = Footprint.of(plan, facts, resolved.precision, device.kind, learned.factor, stats.learned_share)
    memory = footprint.parts(tokens_at_once(resolved, stats), resolved.gradient_checkpointing)
    total = sum(memory.values())
    usable = device.usable_bytes
    warnings = warnings_of(plan, resolved, stats)
    if total > usable and plan.training.quantization == "none":
        warnings += advice_in_4_bits(plan, facts, stats, device)
    return Estimate(
        resolved=resolved,
        trainable_parameters=trainable,
        share=trainable / max(1, facts.parameters),
        memory=memory,
        total_bytes=total,
        memory_correction=learned.factor,
        memory_runs=learned.runs,
        device_kind=device.kind,
        device_bytes=usable,
        device_name=device.name,
        fits="yes" if total <= COMFORTABLE * usable else "tight" if total <= usable else "no",
        file_bytes=file_bytes(plan, facts),
        seconds=round(
            seconds_of(plan, resolved, facts, stats, device, tokens_per_second)
            + verdict_seconds(plan, resolved, facts, device),
            1,
        ),
        measured_speed=tokens_per_second is not None,
        tokens=resolved.tokens,
        steps=resolved.steps,
        warnings=warnings,
        reasons=resolved.reasons,
    )


def tokens_at_once(resolved: ResolvedPlan, stats: TokenStats) -> int:
    """Tokens of the fullest micro-batch, by the lengths of the data: short rows do not fill the budget."""
    if stats.objective == "text" or not stats.lengths:
        return resolved.token_budget  # texts are laid end to end
    lengths = [min(length, resolved.sequence_length) for length in stats.lengths]
    sequences = resolved.micro_batch * stats.sequences_per_row
    likely = sequences * fmean(lengths) + LIKELY * pstdev(lengths) * math.sqrt(sequences)
    return math.ceil(min(resolved.token_budget, sequences * max(lengths), max(likely, max(lengths))))


def file_bytes(plan: TrainingPlan, facts: ModelFacts) -> int:
    """Size of the adapter's safetensors file."""
    return weights_bytes(METHODS[plan.method.name].saved(plan.method, facts))


def seconds_of(
    plan: TrainingPlan,
    resolved: ResolvedPlan,
    facts: ModelFacts,
    stats: TokenStats,
    device: DeviceFacts,
    tokens_per_second: float | None,
) -> float:
    """From the start of the worker to its adapter: training, evaluations, and answers to the pinned prompts."""
    work = 2.0 * multiplications(
        facts, stats
    )  # forward, and gradients of the activations; the base's weights need none
    speed = tokens_per_second or MULTIPLICATIONS_PER_SECOND[device.kind] / (
        work * (1.5 if resolved.gradient_checkpointing else 1)
    )
    speed /= slowness(plan)
    evaluations = 1 + resolved.steps // resolved.evaluate_every
    once = (
        resolved.tokens / max(1.0, resolved.epochs) / 2.5 if resolved.objective == "preference" else 0
    )  # the reference
    measured = evaluations * resolved.heldout_rows * stats.total_tokens / max(1, stats.rows) / 2.5
    decoded = evaluations * SAMPLED_TOKENS * seconds_per_decoded_token(facts, device)
    return START_SECONDS[device.kind] + ((resolved.tokens + once) / resolved.processes + measured) / speed + decoded


def verdict_seconds(plan: TrainingPlan, resolved: ResolvedPlan, facts: ModelFacts, device: DeviceFacts) -> float:
    """Of the answers with which it ends: the held-out rows themselves have been measured by the evaluations."""
    wanted = plan.training.verdict and resolved.heldout_rows
    return JUDGED_TOKENS * seconds_per_decoded_token(facts, device) if wanted else 0.0


def seconds_per_decoded_token(facts: ModelFacts, device: DeviceFacts) -> float:
    return 4 * facts.parameters / MEMORY_BANDWIDTH[device.kind] + SECONDS_PER_LAYER * facts.layers


def multiplications(facts: ModelFacts, stats: TokenStats) -> float:
    """Per token of a forward pass; the output layer only where something is learned."""
    layers = sum(layer.inputs * layer.outputs for layer in facts.linear_layers) or facts.parameters
    return layers + facts.hidden_size * facts.vocabulary * stats.trained_tokens / max(1, stats.total_tokens)


def warnings_of(plan: TrainingPlan, resolved: ResolvedPlan, stats: TokenStats) -> list[str]:
    found = []
    if resolved.train_rows < resolved.batch_size:
        there = "There is 1 row" if resolved.train_rows == 1 else f"There are {resolved.train_rows} rows"
        found.append(
            f"{there} to train on, fewer than the batch size of {resolved.batch_size}: every step takes all of them."
        )
    if resolved.cut_rows:
        what = "rows" if stats.sequences_per_row == 1 else "answers with their prompts"
        found.append(
            f"{resolved.cut_rows:,} {what} are longer than {resolved.sequence_length} tokens; {resolved.cut_tokens:,} tokens are cut from their ends."
        )
    if left_out := stats.rows - sum(learnable_rows(stats, resolved.sequence_length)):
        what = "two different answers" if stats.objective == "preference" else "answer"
        rows = "1 row has" if left_out == 1 else f"{left_out:,} rows have"
        found.append(f"{rows} no {what} within {resolved.sequence_length} tokens, so nothing is learned from them.")
    if not resolved.heldout_rows:
        found.append(
            "No rows are held out, so nothing will show whether the adapter learns more than the rows by heart."
        )
    if plan.training.early_stopping and not resolved.heldout_rows:
        found.append("Early stopping goes by held-out rows; with none, all steps are done.")
    if resolved.steps < 10:
        steps = "1 step" if resolved.steps == 1 else f"{resolved.steps} steps"
        found.append(f"Only {steps}: a smaller batch or more epochs would teach more.")
    if plan.method.name == "lora" and plan.method.rank > 64 and not plan.method.rslora:
        found.append(
            f"At rank {plan.method.rank} the usual scaling weakens the update; rank-stabilised scaling is made for it."
        )
    return found


def advice_in_4_bits(plan: TrainingPlan, facts: ModelFacts, stats: TokenStats, device: DeviceFacts) -> list[str]:
    """For a plan that does not fit: whether it would with the base in 4 bits, and with how much memory."""
    smaller = plan.model_copy(update={"training": plan.training.model_copy(update={"quantization": "nf4"})})
    try:
        needs = estimate_from(smaller, facts, stats, device).total_bytes
    except Invalid:  # the method or one of its settings cannot
        return []
    if needs > device.usable_bytes:
        return []
    title = type(plan.training).model_fields["quantization"].title
    return [f"With the base in 4 bits ('{title}': nf4) this needs about {needs / 2**30:.1f} GiB, which fits."]
