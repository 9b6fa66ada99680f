"""Memory of a training by part, from the model's shape: what the device must hold at its fullest moment.

The figures for a CPU are resident memory of the worker, compared with measured peaks by tests/workers/test_memory_measured.py.
"""

from dataclasses import dataclass

from studio.activations import kept_per_layer
from studio.base_weights import BYTES, largest_layer_bytes, weight_bytes
from studio.methods import METHODS
from studio.methods.lora_settings import LoraSettings
from studio.methods.lora_targets import embedding_of, trained_whole
from studio.model_facts import ModelFacts
from studio.plan import TrainingPlan

AVERAGES_BYTES = {  # of AdamW's two, for each trained number; in 8 bits each block of 256 has a factor as well
    "adamw": 8,
    "adamw_8bit": 2.04,
    "paged_adamw": 8,
    "paged_adamw_8bit": 2.04,
}
PROGRAM_BYTES = {
    "cpu": 445 * 2**20,
    "cuda": 900 * 2**20,
}  # measured: the libraries and their first use; assumed: a CUDA context and its kernels
TOKENIZER_BYTES = 600  # for each token of the vocabulary (measured)
LOSS_BLOCK_BYTES = {"cpu": 12 * 2**20, "cuda": 256 * 2**20}  # of logits computed at once (jobs/workers/loss.py)
LOGITS_HELD = 3  # times its logits, where the output layer is trained: they, their softmax, and a gradient
# With gradient checkpointing the process holds so many layers at once: a number, and a share of all. One is computed again
# at a time, but the C library keeps some of each (measured on a CPU; on a GPU assumed).
LAYERS_RECOMPUTED = {"cpu": (2.0, 0.3), "cuda": (2.0, 0.0)}
COMES_AND_GOES = ("activations", "loss")  # the parts that a correction learned from past runs is applied to


@dataclass(frozen=True)
class Footprint:
    """Bytes of one process of a training."""

    program: int
    weights: int
    adapter: float  # parameters and gradients in fp32, AdamW's averages
    per_token: int  # activations kept from forward to backward, for every token computed at once
    per_token_recomputed: int  # the same with gradient checkpointing: the layers' inputs, and a few layers
    per_token_loss: int  # hidden states and their gradient
    loss_block: int  # bytes of logits held at once, at most
    logits: int  # bytes of one token's
    all_logits: float = (
        0.0  # bytes for every token computed at once, where the output layer is trained: nothing is in chunks
    )
    correction: float = 1.0  # of what comes and goes, learned from past runs

    @classmethod
    def of(
        cls,
        plan: TrainingPlan,
        facts: ModelFacts,
        precision: str,
        kind: str,
        correction: float = 1.0,
        learned_share: float = 1.0,
    ) -> "Footprint":
        """`learned_share`: of the tokens, how many something is learned from."""
        method = METHODS[plan.method.name]
        size, quantization, layers = BYTES[precision], plan.training.quantization, max(1, facts.layers)
        some, share = LAYERS_RECOMPUTED[kind]
        kept = size * kept_per_layer(plan, facts, kind)
        return cls(
            program=PROGRAM_BYTES[kind] + TOKENIZER_BYTES * facts.vocabulary,
            weights=weight_bytes(facts, precision, quantization) + largest_layer_bytes(facts, precision, quantization),
            adapter=method.trainable_parameters(plan.method, facts) * (8 + AVERAGES_BYTES[plan.training.optimizer]),
            per_token=round(kept * layers),
            per_token_recomputed=round(kept * min(layers, some + share * layers) + size * facts.hidden_size * layers),
            per_token_loss=4 * facts.hidden_size * size,
            loss_block=LOSS_BLOCK_BYTES[kind],
            logits=4 * facts.vocabulary,
            all_logits=LOGITS_HELD * 4 * facts.vocabulary * learned_share if trains_output(plan, facts) else 0.0,
            correction=correction,
        )

    def parts(self, tokens: int, recompute: bool) -> dict[str, int]:
        """Part → bytes, with so many tokens computed at once."""
        activations = self.per_token_recomputed if recompute else self.per_token
        logits = self.all_logits * tokens or min(self.loss_block, self.logits * tokens)
        loss = logits + self.per_token_loss * tokens
        return {
            "program": self.program,
            "weights": self.weights,
            "adapter and optimizer": round(self.adapter),
            "activations": round(self.correction * activations * tokens),
            "loss": round(self.correction * loss),
        }

    def total(self, tokens: int, recompute: bool) -> int:
        return sum(self.parts(tokens, recompute).values())


def trains_output(plan: TrainingPlan, facts: ModelFacts) -> bool:
    """Whether the output layer, or rows of it, are among what is trained."""
    settings = plan.method
    if not isinstance(settings, LoraSettings):
        return False
    tied = embedding_of(facts) if facts.tied_embeddings else None
    return bool(settings.new_tokens) or any(each.head or each == tied for each in trained_whole(settings, facts))


def fitting_tokens(footprint: Footprint, room: float, least: int, most: int, recompute: bool) -> int:
    """How many tokens, from `most` down to `least` (one row), fit into `room` bytes; `least` when not even that fits."""
    tokens = most
    while tokens > least and footprint.total(tokens, recompute) > room:
        tokens //= 2
    return max(least, tokens)
