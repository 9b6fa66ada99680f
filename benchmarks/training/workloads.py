"""What is trained on: kinds of data, objectives and vocabularies, on one model that is small enough for a CPU."""

from dataclasses import dataclass

import numpy as np

SHAPE = {  # of the Qwen2 architecture; 38.9 M parameters with 32,000 tokens of vocabulary
    "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip
# Lengths of alpaca_en_demo (999 instructions with answers) with a chat template: median 157 tokens, mean 194, 45 to 682.
MEAN_LOG_LENGTH, LOG_SPREAD, SHORTEST, LONGEST = 5.03, 0.71, 45, 682
RANK, ALPHA, RATE = 16, 32, 1e-3


@dataclass(frozen=True)
class Workload:
    name: str
    vocabulary: int
    answer_share: float  # of a row's own tokens, those that are learned from
    instruction: int = 0  # tokens of one text that stands before every question, besides the row's own
    objective: str = "answers"  # or "preference": two answers to each question, by DPO
    dropout: float = 0.0  # on the adapter's inputs; with it, losses are random and are not compared
    sides: tuple[str, ...] = ()  # which are measured; none named: all

    @property
    def title(self) -> str:
        before = f"after the same {self.instruction} tokens in every row, " if self.instruction else ""
        pairs = "two answers to each question, " if self.objective == "preference" else ""
        return (
            f"{self.name}: {before}{pairs}{self.answer_share:.0%} of the tokens learned from, "
            f"vocabulary {self.vocabulary:,}, dropout {self.dropout:g}"
        )


WORKLOADS = {
    each.name: each
    for each in (
        Workload("answer-heavy", 32_000, 0.86),
        Workload("prompt-heavy", 32_000, 0.10),
        Workload("vocabulary 152k", 152_000, 0.86),
        Workload("answer-heavy with dropout", 32_000, 0.86, dropout=0.05, sides=("ours", "Trainer", "LLaMA-Factory")),
        Workload("one instruction", 32_000, 0.86, instruction=200),
        Workload("pairs of answers", 32_000, 0.5, objective="preference"),
    )
}


def row_lengths(count: int, random: np.random.Generator) -> list[int]:
    """Tokens of each row: most are short, some are long."""
    drawn = random.lognormal(MEAN_LOG_LENGTH, LOG_SPREAD, count)
    return [int(length) for length in np.clip(drawn, SHORTEST, LONGEST)]
