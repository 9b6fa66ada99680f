"""What a person can choose about LoRA, and what goes wrong with it on the page already."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from studio.methods.targeting import Dropout, ModuleName, TargetedSettings

Rank = Annotated[int, Field(ge=1, le=1024)]
Alpha = Annotated[float, Field(gt=0, le=4096)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ADVANCED = {"advanced": True}


class LoraSettings(TargetedSettings):
    name: Literal["lora"] = "lora"
    rank: Rank = Field(
        16,
        title="Rank",
        description="Width of the two learned matrices. More rank learns more and makes a larger file.",
        json_schema_extra={"slider": [1, 256]},
    )
    alpha: Alpha = Field(
        32,
        title="Alpha",
        description="The update is scaled by alpha / rank. Twice the rank is usual.",
        json_schema_extra={"slider": [1, 512]},
    )
    dropout: Dropout = 0.05
    rank_pattern: dict[ModuleName, Rank] = Field(
        default_factory=dict,
        max_length=500,
        title="Rank of single modules",
        description="Another rank for the modules of a name, one per line, such as q_proj = 8. The first line that fits counts.",
        json_schema_extra=ADVANCED,
    )
    alpha_pattern: dict[ModuleName, Alpha] = Field(
        default_factory=dict,
        max_length=500,
        title="Alpha of single modules",
        description="Another alpha for the modules of a name, one per line, such as q_proj = 16.",
        json_schema_extra=ADVANCED,
    )
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        title="Bias",
        description="Also train the base's bias terms. With anything but none the base's own answers change too when the adapter is on.",
        json_schema_extra=ADVANCED,
    )
    rslora: bool = Field(
        False,
        title="Rank-stabilised scaling",
        description="Scale by alpha / √rank instead (rsLoRA, arXiv:2312.03732), for ranks above 64.",
        json_schema_extra=ADVANCED,
    )
    dora: bool = Field(
        False,
        title="Learn the length apart (DoRA)",
        description="Also learn the length of each output's weights by itself (arXiv:2402.09353). Often a little better, at about half the speed.",
        json_schema_extra=ADVANCED,
    )
    loraplus_ratio: float = Field(
        1.0,
        ge=1,
        le=100,
        title="Faster second matrix (LoRA+)",
        description="How many times the learning rate the second matrix takes (arXiv:2402.12354). 1: plain LoRA; 16 is usual for LoRA+.",
        json_schema_extra=ADVANCED,
    )
    init: Literal["default", "gaussian", "orthogonal", "pissa", "olora", "eva"] = Field(
        "default",
        title="Start",
        description="What the matrices start from. default, gaussian and orthogonal: random, without an effect. pissa and olora: the base's own "
        "strongest directions (arXiv:2404.02948, 2406.01775). eva: the strongest directions of the training data (arXiv:2410.07170).",
        json_schema_extra=ADVANCED,
    )
    eva_spread: float = Field(
        2.0,
        ge=1,
        le=4,
        title="Spread of ranks (EVA)",
        description="With the start eva a layer may get up to this many times the rank, and others less, as the data asks. 1: all alike.",
        json_schema_extra=ADVANCED,
    )
    modules_to_save: list[ModuleName] = Field(
        default_factory=list,
        max_length=100,
        title="Modules trained in full",
        description="Embedding, output layer or norms that are trained whole and kept in the adapter, such as embed_tokens. They make it large.",
        json_schema_extra=ADVANCED,
    )
    new_tokens: list[Token] = Field(
        default_factory=list,
        max_length=1000,
        title="Trained tokens",
        description="Words that become one token each and are learned, such as <think>. Those that the tokenizer lacks are added to it.",
        json_schema_extra=ADVANCED,
    )

    @field_validator("new_tokens", mode="after")
    @classmethod
    def tokens_without_spaces_around(cls, tokens: list[str]) -> list[str]:
        for token in tokens:
            if token != token.strip() or not token.isprintable():
                raise ValueError(f"the token {token!r} has blanks around it or characters that cannot be seen")
        return list(dict.fromkeys(tokens))

    @property
    def scale(self) -> float:
        return self.scale_of(self.rank, self.alpha)

    def scale_of(self, rank: int, alpha: float) -> float:
        return alpha / (rank**0.5 if self.rslora else rank)
