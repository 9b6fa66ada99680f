"""A run's method in a few words, as lists and heads show it: its title and the numbers that decide its size."""

from studio.methods import METHODS, MethodSettings

SIZES = ("rank", "alpha", "block_size", "virtual_tokens")


def title(name: str | None) -> str:
    """ "lora" → "LoRA"; a method of another version keeps the name it has."""
    return METHODS[name].title if name in METHODS else name or "–"


def short(name: str | None, rank: int | None) -> str:
    """For a line of a table: "LoRA 16"."""
    return title(name) + (f" {rank}" if rank is not None else "")


def with_sizes(settings: MethodSettings) -> str:
    """For the head of a page: "LoRA, rank 16, alpha 32"."""
    fields = type(settings).model_fields
    sizes = [f"{fields[name].title.lower()} {getattr(settings, name):g}" for name in SIZES if name in fields]
    return ", ".join([title(settings.name), *sizes])
