"""What a sequence length makes of a data set: what is learned, cut and packed, the steps that follow, and a better length."""

from dataclasses import asdict, dataclass
from typing import Any

from studio import base_models, datasets
from studio.dataset_report import TokenStats
from studio.errors import StudioError
from studio.learning import Learning
from studio.memory import estimate
from studio.plan import TrainingPlan
from studio.row_counts import learnable_rows, per_measured
from studio.studio import Studio

STEP = 64  # tokens: an advised length is a multiple of it
SAVED = 0.95  # of the cut rows that the advised length must save; else it is the longest row's


@dataclass(frozen=True)
class LengthAudit:
    """Counts over the whole set, estimated where only a sample of it was measured."""

    length: int
    rows: int
    learned_share: float
    """Of the tokens, those that something is learned from."""
    cut_rows: int
    """Rows (of pairs sequences) that lose their end."""
    cut_tokens: int
    rows_without_learning: int
    """Rows of which nothing is learned within this length: what they teach begins behind it."""
    packed_share: float | None
    """How much of each batch is tokens of rows when short rows are packed together; the rest is room that no row fits in."""
    padded_share: float | None
    """The same when each row is padded to the longest of its batch."""
    epochs: float | None = None
    steps: int | None = None
    problem: str | None = None
    """Why a training with this length would be refused; then it has no epochs and steps."""
    fix: str = ""
    advised_length: int | None = None
    """A longer length that the model can read, where this one cuts."""
    advised_saves: int = 0
    """Rows that are cut now and would not be then."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def audit(
    studio: Studio,
    dataset: str,
    base_model: str,
    length: int | None = None,
    learning: Learning | None = None,
    version: int | None = None,
) -> LengthAudit:
    """Without a length the one that a training would choose. Raises what token_stats raises."""
    learning = learning or datasets.learning_for(studio, dataset, version=version)
    stats = datasets.token_stats(studio, dataset, base_model, learning, version)
    facts = base_models.facts_of(base_models.ready_model(studio, base_model))
    resolved, refused = _resolved(studio, dataset, base_model, length, learning, version)
    length = length or (resolved.sequence_length if resolved else min(stats.longest, facts.context_length))
    each = per_measured(stats)
    over = [] if stats.objective == "text" else [tokens - length for tokens in stats.lengths if tokens > length]
    train, held_out = learnable_rows(stats, length)
    budget, rows_at_once = (resolved.token_budget, resolved.micro_batch) if resolved else (length, 8)
    packed, padded = fills([min(tokens, length) for tokens in stats.lengths], max(budget, length), rows_at_once)
    advised, saves = advice(stats, length, facts.context_length)
    return LengthAudit(
        length=length, rows=stats.rows, learned_share=stats.learned_share, cut_rows=round(len(over) * each), cut_tokens=round(sum(over) * each),
        rows_without_learning=stats.rows - train - held_out if stats.learned_from else 0, packed_share=packed, padded_share=padded,
        epochs=resolved.epochs if resolved else None, steps=resolved.steps if resolved else None,
        problem=refused.problem if refused else None, fix=refused.fix if refused else "", advised_length=advised, advised_saves=saves,
    )  # fmt: skip


def _resolved(
    studio: Studio, dataset: str, base_model: str, length: int | None, learning: Learning, version: int | None
):
    """(what a plan with this length would be, why it would be refused)."""
    training = {"sequence_length": length or "auto", "objective": learning.objective, "answers": learning.answers}
    if learning.objective != "answers" or learning.answers == "all":
        training.pop("answers")
    plan = {"base_model": base_model, "dataset": dataset, "dataset_version": version, "training": training}
    try:
        return estimate(studio, TrainingPlan.model_validate(plan)).resolved, None
    except StudioError as error:
        return None, error


def fills(lengths: list[int], budget: int, rows_at_once: int) -> tuple[float, float]:
    """(share of packed batches, share of padded batches) that is rows, for batches filled in the order of the rows."""
    packed = padded = used = longest = rows = 0
    for tokens in lengths:
        if used and used + tokens > budget:
            packed, used = packed + budget, 0
        used += tokens
        if rows == rows_at_once:
            padded, longest, rows = padded + longest * rows, 0, 0
        longest, rows = max(longest, tokens), rows + 1
    total = sum(lengths)
    return total / max(1, packed + used), total / max(1, padded + longest * rows)


def advice(stats: TokenStats, length: int, room: int) -> tuple[int | None, int]:
    """(a longer length that cuts hardly any row that this one cuts, how many it saves); (None, 0) where there is none."""
    if stats.objective == "text":
        return None, 0  # a text is cut into pieces, and nothing of it is lost
    cut = sorted(tokens for tokens in stats.lengths if tokens > length)
    fitting = [tokens for tokens in cut if tokens <= room]
    if not fitting:
        return None, 0
    enough = fitting[min(len(fitting) - 1, int(SAVED * len(fitting)))]
    longer = min(room, -(-enough // STEP) * STEP)
    saved = sum(tokens <= longer for tokens in cut)
    return longer, max(1, round(saved * per_measured(stats)))
