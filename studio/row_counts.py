"""How many rows a plan trains on and measures on, and how many tokens they have once they are cut to its sequence length."""

import math

from studio.dataset_report import TokenStats
from studio.errors import BadInput, Invalid
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.plan import TrainingPlan

MOST_HELDOUT = 200  # rows measured on: more cost time and hardly sharpen the mean
TEXT_TOKENS = 2048  # of a piece of text: longer ones cost more and teach little more; nothing is lost by cutting
UNITS = {"answers": "rows", "text": "documents", "preference": "pairs"}
FEWEST_DOCUMENTS = 5  # of which one may be held out when they are long


def sequence_length(
    plan: TrainingPlan, facts: ModelFacts, stats: TokenStats, reasons: dict[str, str]
) -> tuple[int, int, int]:
    """(tokens, rows cut, tokens cut). Without a wish nothing is cut that the model can take."""
    wanted = plan.training.sequence_length
    taken = METHODS[plan.method.name].positions(plan.method)
    room, after = facts.context_length - taken, f", of which virtual tokens take {taken}" if taken else ""
    if wanted != "auto" and wanted > room:
        raise Invalid(
            f"A sequence length of {wanted} is beyond the {facts.context_length} positions of {facts.architecture}{after}.",
            f"Choose at most {room}.", "training.sequence_length",
        )  # fmt: skip
    fitting = max(8, math.ceil(stats.longest / 8) * 8)
    length = min(fitting, room) if wanted == "auto" else wanted
    if stats.objective == "text":
        return text_length(plan, facts, stats, length, reasons), 0, 0
    each = per_measured(stats)
    over = [tokens - length for tokens in stats.lengths if tokens > length]
    cut_rows, cut_tokens = round(len(over) * each), round(sum(over) * each)
    if wanted == "auto":
        limit = "" if length == fitting else f", and the model takes {facts.context_length}{after}"
        reasons["sequence_length"] = f"The longest row has {stats.longest} tokens{limit}."
    what = "rows" if stats.sequences_per_row == 1 else "sequences (two for each pair)"
    if cut_rows:
        share = f"{cut_rows:,} of {stats.rows * stats.sequences_per_row:,} {what} are longer; {cut_tokens:,} tokens at their ends are not trained on."
        reasons["sequence_length"] = f"{reasons.get('sequence_length', '')} {share}".strip()
    return length, cut_rows, cut_tokens


def text_length(plan: TrainingPlan, facts: ModelFacts, stats: TokenStats, length: int, reasons: dict[str, str]) -> int:
    """Tokens of a piece of text, at most."""
    if plan.training.sequence_length == "auto":
        length = min(length, TEXT_TOKENS)
        limit = f", and the model takes {facts.context_length}" if length == facts.context_length else ""
        reasons["sequence_length"] = f"The longest document has {stats.longest:,} tokens{limit}."
    if stats.longest > length:
        said = f"Longer documents are cut into pieces of {length:,} tokens; all of them are learned."
        reasons["sequence_length"] = f"{reasons.get('sequence_length', '')} {said}".strip()
    return length


def per_measured(stats: TokenStats) -> float:
    """How many sequences each of the measured lengths stands for: 1, unless only a sample was measured."""
    return stats.rows * stats.sequences_per_row / max(1, len(stats.lengths))


def tokens_of(stats: TokenStats, length: int) -> float:
    """Tokens of all rows once they are cut to this length; of texts nothing is cut away."""
    most = math.inf if stats.objective == "text" else length
    return per_measured(stats) * sum(min(tokens, most) for tokens in stats.lengths)


def in_pieces(documents: int, rate: float, stats: TokenStats, length: int) -> tuple[int, float]:
    """(pieces of text trained on, tokens of a piece) for so many documents of `rate` tokens."""
    pieces = sum(max(1, math.ceil((tokens - 1) / (length - 1))) for tokens in stats.lengths) / len(stats.lengths)
    return max(1, round(documents * pieces)), rate / pieces


def rows_of(plan: TrainingPlan, stats: TokenStats, length: int, reasons: dict[str, str]) -> tuple[int, int]:
    """(rows trained on, rows measured on), without those of which nothing is learned within `length` tokens. What the data
    itself holds out is never trained on."""
    wanted = plan.training.validation
    train, own = learnable_rows(stats, length)
    if stats.heldout_rows:
        measured = 0 if wanted == 0 else min(own, MOST_HELDOUT)
        reasons["validation"] = f"The data holds {stats.heldout_rows} rows out itself" + (
            f"; {measured} of them are measured on." if measured < stats.heldout_rows else "."
        )
    else:
        measured = share_of_rows(wanted, stats.rows, reasons, is_long_text(stats, length), UNITS[stats.objective])
        if stats.once is not None and measured > stats.once:
            measured = stats.once
            reasons["validation"] = (
                f"Only {measured} {UNITS[stats.objective]} stand in the data once; a copy of what is held out would be trained on."
            )
        train -= round(measured * train / stats.rows)
    if train < 1:
        raise BadInput("No row is left to train on.", "Bring a data set with rows that are not held out.", "dataset")
    return train, measured


def learnable_rows(stats: TokenStats, length: int) -> tuple[int, int]:
    """(of those to train on, of those that the data holds out): rows of which something is learned within `length` tokens."""
    if not stats.learned_from:
        return stats.rows - stats.heldout_rows, stats.heldout_rows
    each, held_out = stats.sequences_per_row, set(stats.held_out)
    firsts = [stats.learned_from[at : at + each] for at in range(0, len(stats.learned_from), each)]
    most = math.inf if stats.objective == "text" else length  # of a text nothing is cut away
    learnable = {row for row, first in enumerate(firsts) if all(0 < place < most for place in first)}
    scale = stats.rows / max(1, len(firsts))
    return round(len(learnable - held_out) * scale), round(len(learnable & held_out) * scale)


def check_learnable(plan: TrainingPlan, facts: ModelFacts, stats: TokenStats, length: int) -> None:
    """Raises Invalid where nothing at all would be learned, with the setting or the choice that leaves nothing."""
    if stats.sampled or learnable_rows(stats, length)[0] or not stats.rows - stats.heldout_rows:
        return
    what = "two different answers" if stats.objective == "preference" else "an answer"
    chosen = plan.training.sequence_length != "auto" and length < stats.longest and length < facts.context_length
    raise Invalid(
        f"None of the {stats.rows - stats.heldout_rows:,} rows has {what} within the first {length:,} tokens, so there is nothing to learn.",
        "Choose a longer sequence length."
        if chosen
        else "Choose a base model that takes longer texts, or bring shorter rows.",
        "training.sequence_length" if chosen else "dataset",
    )


def is_long_text(stats: TokenStats, length: int) -> bool:
    """Whether a few documents are long enough to spare one of them."""
    return stats.objective == "text" and stats.rows >= FEWEST_DOCUMENTS and stats.total_tokens >= 20 * length


def share_of_rows(
    wanted: float | str, rows: int, reasons: dict[str, str], few_suffice: bool = False, what: str = "rows"
) -> int:
    if wanted != "auto":
        return min(rows - 1, max(1, round(wanted * rows))) if wanted else 0
    if rows < 20 and not few_suffice:
        reasons["validation"] = f"{rows} {what} are too few to hold any out."
        return 0
    measured = min(MOST_HELDOUT, max(1, round(0.05 * rows)))
    reasons["validation"] = (
        f"{measured} of {rows:,} {what}, chosen by their content: they stay held out in later versions."
    )
    return measured
