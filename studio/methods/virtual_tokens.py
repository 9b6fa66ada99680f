"""Virtual tokens: what the methods share that learn to speak to the base, in front of every row, instead of changing its layers."""

from pydantic import Field

from studio.errors import Invalid
from studio.methods.method import MethodSettings
from studio.model_facts import ModelFacts

CHEAP = {
    "merge": "Virtual tokens stand in front of the text; there are no weights of the base that they could be merged into."
}
FUSED_ATTENTION = ("qkv_proj", "query_key_value", "c_attn", "Wqkv")


class VirtualTokenSettings(MethodSettings):
    virtual_tokens: int = Field(
        20,
        ge=1,
        le=1024,
        title="Virtual tokens",
        description="Learned tokens in front of every row. They take up as many positions of the model's context.",
        json_schema_extra={"slider": [1, 100]},
    )


def check(settings: VirtualTokenSettings, facts: ModelFacts) -> None:
    most = facts.context_length // 2
    if settings.virtual_tokens > most:
        raise Invalid(
            f"{settings.virtual_tokens} virtual tokens would take more than half of the {facts.context_length} positions "
            f"of {facts.architecture}.",
            f"Choose at most {most}.",
            "method.virtual_tokens",
        )


def no_modules(settings: VirtualTokenSettings, facts: ModelFacts) -> list[tuple[str, int, int]]:
    """None of the base's layers is changed."""
    return []


def positions(settings: VirtualTokenSettings) -> int:
    return settings.virtual_tokens


def cannot(settings: VirtualTokenSettings) -> dict[str, str]:
    return CHEAP


def keys_width(facts: ModelFacts) -> int:
    """Numbers in one token's keys, over all heads that have their own. (Heads may be wider than hidden size / heads.)"""
    for layer in facts.linear_layers:
        if layer.target == "k_proj":
            return layer.outputs
        if layer.target in FUSED_ATTENTION:
            return layer.outputs // (facts.heads + 2 * facts.kv_heads) * facts.kv_heads
    return facts.hidden_size // facts.heads * facts.kv_heads
