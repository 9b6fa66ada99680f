"""Numbers that a layer keeps from the forward to the backward pass, for every token: what autograd saves when the base is frozen."""

from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.plan import TrainingPlan

# Of what is kept, what the process holds at its fullest: gradients and temporary results come on top, and freed parts of
# other sizes stay with the C library. Measured on a CPU, with the adapter computed by our fused functions and by PEFT's
# own layers; assumed on a GPU.
HELD = {
    "cpu": {"fused": 1.27, "apart": 1.9, "dora": 2.55},
    "cuda": {"fused": 1.15, "apart": 1.15, "dora": 1.55},
}
DROPPED = {
    "fused": 0.85,
    "apart": 1.4,
    "dora": 1.4,
}  # of an adapter's inputs with dropout: copies of them, positions or masks


def kept_per_layer(plan: TrainingPlan, facts: ModelFacts, kind: str) -> float:
    """Numbers for each token and layer."""
    way = way_of(plan)
    modules, layers = METHODS[plan.method.name].modules(plan.method, facts), max(1, facts.layers)
    narrow = getattr(plan.method, "rank", 0) * len(modules) / layers
    dropped = DROPPED[way] * sum(inputs for _, inputs, _ in modules) / layers
    kept = HELD[kind][way] * (attention(facts) + mlp(facts, way == "fused") + narrow)
    return kept + (dropped if getattr(plan.method, "dropout", 0.0) else 0.0)


def way_of(plan: TrainingPlan) -> str:
    """How the worker computes the adapter, as far as can be said here: by its own fused functions (jobs/workers/fusing.py) or not."""
    method = plan.method
    if method.name == "lora" and method.dora:
        return "dora"  # its weights' norms and a second product
    fused = method.name == "lora" and plan.training.quantization == "none" and method.bias == "none"
    return "fused" if fused else "apart"


def attention(facts: ModelFacts) -> int:
    """Inputs of both norms and of what follows them, queries, keys, values, and the outputs twice (by document, and together)."""
    head = facts.hidden_size // max(1, facts.heads)
    queries = next((each.outputs for each in facts.linear_layers if each.target == "q_proj"), facts.hidden_size)
    return 4 * facts.hidden_size + 3 * queries + 2 * facts.kv_heads * head


def mlp(facts: ModelFacts, fused: bool) -> int:
    """Gate and up; what they become is computed again when fused, and kept otherwise. Without a gate: before and after."""
    gated = {"gate_proj", "gate_up_proj"} & set(facts.target_modules)
    return facts.intermediate_size * (4 if gated and not fused else 2)
