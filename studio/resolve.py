"""A number in place of every "auto" of a plan, each with a line on why, for this model, this data and this device."""

import math

from studio.dataset_report import TokenStats
from studio.devices import DeviceFacts
from studio.errors import Invalid
from studio.footprint import Footprint, fitting_tokens
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan
from studio.row_counts import check_learnable, in_pieces, rows_of, sequence_length, tokens_of

EVALUATIONS = 8  # of a run, when their distance is "auto"
MOST_EPOCHS = 10  # more of the same few rows is learned by heart
DATA_IS = {
    "answers": "The data is conversations.",
    "text": "The data is raw text.",
    "preference": "The data is pairs of a chosen and a rejected answer.",
}
MOST_PREFERENCE_EPOCHS = 3
PREFERENCE_RATE = 0.1  # of the rate for answers
WANTED_STEPS = 60  # below that, little data is gone through more often
MOST_TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 16384}  # more is no faster
USED_SHARE = 0.8  # of the usable memory that a run may fill when its micro-batch is chosen here


def resolve(
    plan: TrainingPlan, facts: ModelFacts, stats: TokenStats, device: DeviceFacts, memory_correction: float = 1.0
) -> ResolvedPlan:
    """Raises Invalid with the name of the setting that cannot be used on this model, data or device.

    `memory_correction` is what past runs taught about the plan of what comes and goes (studio/memory_learned.py).
    """
    method = METHODS[plan.method.name]
    method.check(plan.method, facts)
    reasons: dict[str, str] = {}
    if not stats.trained_tokens and not stats.sampled:
        raise Invalid(
            "No token of this data would be learned with this model's chat template and these answers.",
            "Look at the coloured preview of the data with this model, and choose other answers or other data.",
            "training.answers" if stats.answers != "all" else "dataset",
        )
    if plan.training.objective == "auto":
        reasons["objective"] = DATA_IS[stats.objective]
    if stats.answers == "marked" and plan.training.answers == "auto":
        reasons["answers"] = "The data marks which answers are to be learned."
    length, cut_rows, cut_tokens = sequence_length(plan, facts, stats, reasons)
    check_learnable(plan, facts, stats, length)
    train_rows, heldout_rows = rows_of(plan, stats, length, reasons)
    rate = tokens_of(stats, length) / max(1, stats.rows)  # tokens of a row as trained on
    if stats.objective == "text":
        train_rows, rate = in_pieces(train_rows, rate, stats, length)
    epochs = epochs_of(plan, facts, train_rows, train_rows * rate, reasons, stats.objective)
    per_epoch = math.ceil(train_rows / plan.training.batch_size)
    wanted = max(1, math.ceil(epochs * per_epoch))
    steps = min(wanted, plan.training.max_steps or wanted)
    check_choices(plan, device, heldout_rows)
    precision = precision_of(plan, device, reasons)
    footprint = Footprint.of(plan, facts, precision, device.kind, memory_correction, stats.learned_share)
    at_once = micro_batch_of(plan, footprint, length * stats.sequences_per_row, rate, device, reasons)
    every = evaluate_every(plan, steps, heldout_rows, reasons)
    return ResolvedPlan(
        device=device.kind,
        processes=plan.resources.gpus,
        precision=precision,
        objective=stats.objective,
        answers=stats.answers,
        split="content",
        targets=sorted({name.rpartition(".")[2] for name, _, _ in method.modules(plan.method, facts)}),
        sequence_length=length,
        epochs=epochs,
        train_rows=train_rows,
        heldout_rows=heldout_rows,
        steps=steps,
        warmup_steps=min(math.ceil(plan.training.warmup_ratio * steps), steps - 1),
        learning_rate=learning_rate(plan, facts, reasons, stats.objective),
        batch_size=plan.training.batch_size,
        evaluate_every=every,
        checkpoint_every=every if plan.training.checkpoint_every == "auto" else plan.training.checkpoint_every,
        cut_rows=cut_rows,
        cut_tokens=cut_tokens,
        tokens=round(steps / per_epoch * train_rows * rate),
        reasons=reasons,
        **at_once,
    )


def epochs_of(
    plan: TrainingPlan, facts: ModelFacts, rows: int, tokens: float, reasons: dict[str, str], objective: str = "answers"
) -> float:
    if plan.training.epochs != "auto":
        return plan.training.epochs
    if tokens > 20e6:
        reasons["epochs"] = f"{tokens / 1e6:.0f} million tokens are enough to go through once."
        return 1
    if tokens > 5e6:
        reasons["epochs"] = f"{tokens / 1e6:.0f} million tokens, gone through twice."
        return 2
    usual = 3 if facts.parameters > 100e6 else 6
    batches = math.ceil(rows / plan.training.batch_size)
    if objective == "preference":
        epochs = min(MOST_PREFERENCE_EPOCHS, max(1, math.ceil(WANTED_STEPS / batches)))
        reasons["epochs"] = "Preferences are learned in one to three rounds; after more, answers get worse."
        return epochs
    epochs = min(MOST_EPOCHS, max(usual, math.ceil(WANTED_STEPS / batches)))
    if epochs > usual:
        few = f"{rows} rows are few" if rows > 1 else "One row is little"
        reasons["epochs"] = f"{few}; {epochs} rounds give {epochs * batches} steps."
    else:
        reasons["epochs"] = (
            "Usual for this much data." if usual == 3 else "A small base needs to see little data more often."
        )
    return epochs


def learning_rate(plan: TrainingPlan, facts: ModelFacts, reasons: dict[str, str], objective: str = "answers") -> float:
    if plan.training.learning_rate != "auto":
        return plan.training.learning_rate
    declared = METHODS[plan.method.name].rate
    usual = min(2e-3, max(2e-4, 2e-4 * (1e9 / max(1, facts.parameters)) ** 0.4))
    rounded = float(f"{min(1.0, usual * declared.times):.1e}")
    reasons["learning_rate"] = (
        "Usual from a billion parameters on."
        if usual <= 2e-4
        else f"Smaller models take larger steps; this one has {facts.parameters / 1e6:,.1f} million parameters."
    )
    if declared.because:
        reasons["learning_rate"] += f" {declared.because}: {declared.times:g} times LoRA's."
    if objective == "preference":
        rounded = float(f"{PREFERENCE_RATE * rounded:.1e}")
        reasons["learning_rate"] += " A tenth of it for preferences: larger steps make both answers unlikely."
    return rounded


def precision_of(plan: TrainingPlan, device: DeviceFacts, reasons: dict[str, str]) -> str:
    wanted = plan.training.precision
    if wanted == "bf16" and not device.bf16:
        raise Invalid(
            f"{device.name} has no bf16 arithmetic, and imitating it would be many times slower.",
            "Choose auto or fp32.",
            "training.precision",
        )
    if wanted == "fp16" and device.kind == "cpu":
        raise Invalid(
            "fp16 is for GPUs; on a CPU it is many times slower than fp32.",
            "Choose auto or fp32.",
            "training.precision",
        )
    if wanted != "auto":
        return wanted
    if device.kind == "cpu":
        reasons["precision"] = "On a CPU fp32 is exact and the fastest or nearly so."
        return "fp32"
    reasons["precision"] = f"{device.name} has bf16." if device.bf16 else f"{device.name} has no bf16."
    return "bf16" if device.bf16 else "fp16"


def check_choices(plan: TrainingPlan, device: DeviceFacts, heldout_rows: int) -> None:
    """Refuse what this device, this data or this method cannot do."""
    settings, refused = plan.training, METHODS[plan.method.name].cannot(plan.method)
    if plan.resources.gpus > device.slots:
        raise Invalid(
            f"The plan wants {plan.resources.gpus} devices and this machine has {device.slots}.",
            f"Choose at most {device.slots}.",
            "resources.gpus",
        )
    recomputes = "gradient_checkpointing" if settings.gradient_checkpointing is True else ""
    for choice, field in ((recomputes, "gradient_checkpointing"), (settings.quantization, "quantization")):
        if choice in refused:
            raise Invalid(refused[choice], "Leave it at its default, or choose another method.", f"training.{field}")
    if settings.optimizer.startswith("paged") and device.kind == "cpu":
        raise Invalid(
            "A paged optimizer moves its averages out of a GPU's memory, and this run is on a CPU.",
            "Choose adamw, or adamw_8bit to save memory.",
            "training.optimizer",
        )
    if heldout_rows == 0 and settings.keep == "best":
        raise Invalid(
            "Which step was the best is measured on held-out rows, and none are held out.",
            "Choose a held-out share, or keep the last adapter.",
            "training.keep",
        )


def micro_batch_of(
    plan: TrainingPlan, footprint: Footprint, length: int, rate: float, device: DeviceFacts, reasons: dict[str, str]
) -> dict:
    """micro_batch, accumulation, token_budget and gradient_checkpointing: as much at once as memory allows and speed rewards."""
    share = max(1, math.ceil(plan.training.batch_size / plan.resources.gpus))
    most = max(length, min(MOST_TOKENS_AT_ONCE[device.kind], share * length))
    wished, checkpointing = plan.training.micro_batch, plan.training.gradient_checkpointing
    if wished != "auto":
        most = min(wished, share) * length
    room = USED_SHARE * device.usable_bytes
    recompute = checkpointing is True
    budget = fitting_tokens(footprint, room, length, most, recompute)
    never = METHODS[plan.method.name].cannot(plan.method).get("gradient_checkpointing")
    if checkpointing == "auto" and never:
        reasons["gradient_checkpointing"] = never
    elif checkpointing == "auto":
        recompute = footprint.total(budget, recompute=False) > room  # a single row is too much already
        budget = fitting_tokens(footprint, room, length, most, recompute)
        reasons["gradient_checkpointing"] = (
            "Memory needs it: a single row's activations are too large." if recompute else "Memory suffices without it."
        )
    if wished != "auto":
        micro = min(wished, share)
        return {
            "micro_batch": micro,
            "accumulation": math.ceil(share / micro),
            "token_budget": micro * length,
            "gradient_checkpointing": recompute,
            "may_recompute": never is None,
        }
    micro = min(share, max(1, int(budget / max(1.0, rate))))
    reasons["micro_batch"] = f"{budget:,} tokens are computed at once" + (
        ", for which memory suffices." if budget < most else "; more would not be faster."
    )
    return {
        "micro_batch": micro,
        "accumulation": math.ceil(share / micro),
        "token_budget": budget,
        "gradient_checkpointing": recompute,
        "may_recompute": never is None,
    }


def evaluate_every(plan: TrainingPlan, steps: int, heldout_rows: int, reasons: dict[str, str]) -> int:
    if plan.training.evaluate_every != "auto":
        return plan.training.evaluate_every
    every = max(1, math.ceil(steps / EVALUATIONS))
    reasons["evaluate_every"] = (
        f"About {EVALUATIONS} times in {steps} steps."
        if heldout_rows
        else "No rows are held out: only the pinned prompts are answered."
    )
    return every


def gentler(resolved: ResolvedPlan) -> tuple[ResolvedPlan, str] | None:
    """The next thing to try after memory ran out, and how it is said; None when nothing is left.

    Gradient checkpointing changes no result; a halved micro-batch changes none either without dropout, and with dropout
    gives another, equally valid one. Rows per step stay as they are.
    """
    if resolved.may_recompute and not resolved.gradient_checkpointing:
        return resolved.model_copy(update={"gradient_checkpointing": True}), "Gradient checkpointing is turned on."
    if resolved.micro_batch == 1 and resolved.token_budget <= resolved.sequence_length:
        return None
    micro, budget = math.ceil(resolved.micro_batch / 2), max(resolved.sequence_length, resolved.token_budget // 2)
    accumulation = math.ceil(resolved.batch_size / resolved.processes / micro)
    changed = {"micro_batch": micro, "accumulation": accumulation, "token_budget": budget}
    said = (
        f"The micro-batch is halved: {_from_to(resolved.micro_batch, micro)} rows and {_from_to(resolved.token_budget, budget)} "
        f"tokens at once, accumulation {_from_to(resolved.accumulation, accumulation)}; a step still takes {resolved.batch_size} rows."
    )
    return resolved.model_copy(update=changed), said


def _from_to(before: int, after: int) -> str:
    return f"{before:,}→{after:,}" if after != before else f"{after:,}"
