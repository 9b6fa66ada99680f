"""What goes into a mix, as the API takes it and as it crosses to the process that writes it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from studio.formats import Kind

MOST_PARTS, MOST_WEIGHT = 20, 100.0


class Part(BaseModel):
    """One data set in a mix."""

    model_config = ConfigDict(extra="forbid")

    dataset: str = Field(min_length=1, max_length=64)
    version: int | None = Field(None, ge=1, le=2**31 - 1, description="The newest where none is named.")
    weight: float = Field(
        1.0, gt=0, le=MOST_WEIGHT, allow_inf_nan=False,
        description="How often its rows are in the mix: 1 is once, 2 is twice, 0.5 is half of them, chosen by their content.",
    )  # fmt: skip


class WrittenPart(BaseModel):
    """The same with what is known of it."""

    dataset: str
    name: str
    version: int
    sha256: str
    rows: int
    weight: float
    folder: Path


class Mixing(BaseModel):
    """What to write."""

    parts: list[WrittenPart]
    kind: Kind
    text_limit: int = 2 << 30
    memory_mb: int | None = None
    cpu_seconds: int | None = None


def copies(content: int, weight: float) -> int:
    """How often a row whose content has this 64-bit hash is in a mix. A part of a weight is a threshold of the hash, so a row
    that is in at one weight is in at every higher one, and rows that are added elsewhere change nothing for it."""
    whole = int(weight)
    return whole + (content < (weight - whole) * 2.0**64)
