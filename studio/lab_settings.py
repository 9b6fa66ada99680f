"""What can be done with finished adapters: the settings of a stack, of a smaller rank and of a merge, each declared once."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator

from studio.methods.targeting import ModuleName
from studio.plan import clean_name
from studio.training_settings import PlanPart
from studio.wrong_values import first_finding

MOST_PARENTS = 16
AdapterId = Annotated[str, Field(min_length=1, max_length=64)]
ModelId = AdapterId


class LabSettings(PlanPart):
    """What all have: a name for the result."""

    name: str = Field(
        "",
        max_length=100,
        title="Name",
        description="How the result is called. Empty: named after what it is made from.",
    )

    @field_validator("name", mode="after")
    @classmethod
    def shown_name(cls, name: str) -> str:
        return clean_name(name)


class Parent(PlanPart):
    adapter: AdapterId = Field(title="Adapter", description="Id of an adapter.")
    weight: float = Field(
        1.0, ge=-10, le=10, title="Weight", description="How much of it goes in. Below 0 takes it away."
    )


def sum_in_words(parts: Iterable[tuple[float, str]], times: str = " × ") -> str:
    """A weighted sum as one writes it: "0.7 × pirate − 0.3 × robot". With `times` empty a weight of 1 is left out."""
    said = ""
    for weight, name in parts:
        sign = "−" if weight < 0 else "+" if said else ""
        size = f"{abs(weight):g}{times or ' '}" if times or abs(weight) != 1 else ""
        said += f" {sign}{' ' if said else ''}{size}{name}"
    return said.strip()


class StackSettings(LabSettings):
    """Several adapters of one base as one adapter."""

    kind: Literal["stack"] = "stack"
    parents: list[Parent] = Field(
        min_length=2,
        max_length=MOST_PARENTS,
        title="Adapters",
        description="What is combined, with its weights: two adapters or more.",
    )
    combination: Literal["exact", "svd", "ties", "dare"] = Field(
        "exact",
        title="How to combine",
        description="exact is the weighted sum itself; the others lose something, and say how much.",
    )
    rank: int | None = Field(
        None,
        ge=1,
        le=1024,
        title="Rank",
        description="Of the result. Empty: svd takes the largest rank that goes in, ties and dare the sum of the ranks.",
    )
    density: float = Field(
        0.5,
        ge=0.05,
        le=1,
        title="Density",
        description="Share of each update's numbers that ties (the largest) and dare (drawn at random) keep.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Decides what dare draws.")


class ShrinkSettings(LabSettings):
    """The same adapter with a smaller rank."""

    kind: Literal["shrink"] = "shrink"
    adapter: AdapterId = Field(title="Adapter", description="Id of the adapter.")
    rank: int = Field(ge=1, le=1024, title="New rank", description="Smaller than the adapter's own.")


class MergeSettings(LabSettings):
    """The base model with the adapter in its weights, as a new base model."""

    kind: Literal["merge"] = "merge"
    adapter: AdapterId = Field(title="Adapter", description="Id of the adapter.")


class ExtractSettings(LabSettings):
    """What a full fine-tune changed, as an adapter of the base that it began from."""

    kind: Literal["extract"] = "extract"
    base_model: ModelId = Field(title="Base model", description="Id of the base that the fine-tune began from.")
    tuned: ModelId = Field(title="Fine-tuned model", description="Id of the model whose every weight was trained.")
    rank: int = Field(
        16, ge=1, le=1024, title="Rank", description="Of each layer's update; at most, where energy is given."
    )
    energy: float | None = Field(
        None,
        ge=0.5,
        lt=1,
        title="Energy to keep",
        description="Empty: every layer gets the rank. Else each gets the smallest rank that keeps this share of its update's squared norm.",
    )
    targets: list[ModuleName] | Literal["all-linear"] = Field(
        "all-linear", title="Target modules", description="Layers whose update is taken, by their names."
    )
    keep_others: bool = Field(
        False,
        title="Keep what else was trained",
        description="Embeddings, norms and bias terms that differ go into the adapter whole. They make it large.",
    )


class FetchSettings(LabSettings):
    """An adapter of the Hugging Face Hub, imported as if its files were brought."""

    kind: Literal["fetch"] = "fetch"
    repo: str = Field(min_length=1, max_length=300, title="Name on the Hub", description="Such as owner/name.")
    revision: str = Field("main", max_length=100, title="Revision", description="A branch, a tag or a commit.")
    base_model: ModelId | None = Field(
        None, title="Base model", description="Id of its base model. Left out: the one that it fits."
    )


class PushSettings(LabSettings):
    """An adapter into a repository of the Hugging Face Hub, with model card and passport."""

    kind: Literal["push"] = "push"
    adapter: AdapterId = Field(title="Adapter", description="Id of the adapter.")
    repo: str = Field(
        min_length=1,
        max_length=300,
        title="Name on the Hub",
        description="Such as owner/name; made if it is not there.",
    )
    private: bool = Field(True, title="Private", description="Only you and your organisation see it.")
    token: SecretStr | None = Field(
        None,
        exclude=True,  # from every dump: it is handed to the worker and written nowhere
        title="Token",
        description="With the right to write. Left out: the HF_TOKEN that the studio was started with. It is not stored.",
    )


AnyLabSettings = Annotated[
    StackSettings | ShrinkSettings | MergeSettings | ExtractSettings | FetchSettings | PushSettings,
    Field(discriminator="kind"),
]
KINDS = ("stack", "shrink", "merge", "extract", "fetch", "push")  # pydantic puts the chosen one into a field's place


def read_lab_settings(values: dict[str, Any]) -> AnyLabSettings:
    """Checked settings from JSON-like values. Raises Invalid with the first wrong field, in words."""
    try:
        return TypeAdapter(AnyLabSettings).validate_python(values)
    except ValidationError as error:
        raise first_finding(error.errors(include_url=False), KINDS, AnyLabSettings) from None
