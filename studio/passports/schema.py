"""The passport's schema, and what is taken of one that somebody else wrote: known parts of the right kind, short and finite.

What can be proved is not believed: name, base model, number of layers and sha256 are written anew at an import.
"""

import math
from collections.abc import Mapping
from typing import Any

VERSION = 2  # 1 had no code, no plan of an extraction, and no votes
MOST_LETTERS, MOST_ENTRIES, MOST_DEPTH = 2000, 500, 7
OBJECTS = (
    "base_model", "dataset", "method", "training", "resolved", "results", "versions", "made_by", "measured", "verdict", "votes", "imported", "extracted_from",
)  # fmt: skip
WORDS = ("name", "run", "created_at", "adapter_sha256")
NUMBERS = ("version", "layers", "embedding_rows")
# Numbers within the parts, by their own names: a page counts with them
COUNTED = {
    "parameters", "rows", "train_rows", "heldout_rows", "cut_rows", "cut_tokens", "step", "steps", "tokens", "trainable_parameters", "seconds",
    "peak_memory_bytes", "heldout_loss", "base_heldout_loss", "heldout_accuracy", "learning_rate", "batch_size", "epochs", "rank", "alpha", "block_size",
    "virtual_tokens", "dropout", "relative_error", "energy_lost", "worst_energy_lost", "logit_difference", "outside_count", "relative_change", "weight", "wins", "losses", "ties", "bad",
}  # fmt: skip

WORDED = {
    "name",
    "id",
    "source",
    "location",
    "revision",
    "architecture",
    "fingerprint",
    "sha256",
    "quantization",
    "title",
    "kind",
}


def cleaned(brought: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a passport that was brought: unknown parts too, as long as they are small and plain."""
    found = {}
    for key, value in list(brought.items())[:MOST_ENTRIES]:
        kept = plain(value, key)
        wanted = dict if key in OBJECTS else str if key in WORDS else int if key in NUMBERS else object
        if kept is not None and isinstance(kept, wanted) and not (wanted is int and isinstance(kept, bool)):
            found[key[:100]] = kept
    parents = found.get("parents")
    if "parents" in found:
        found["parents"] = [each for each in parents if isinstance(each, dict)] if isinstance(parents, list) else []
    return found


def plain(value: Any, name: str = "", left: int = MOST_DEPTH) -> Any:
    """The value without what is too long, too deep, no finite number, or no number where one is expected; None for what is none."""
    if name in COUNTED and (type(value) not in (int, float)):
        return None
    if name in WORDED and not isinstance(value, str):
        return None
    if isinstance(value, str):
        return value[:MOST_LETTERS]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) and abs(value) < 2**63 else None
    if not left:
        return None
    if isinstance(value, list):
        return [plain(each, "", left - 1) for each in value[:MOST_ENTRIES]]
    if isinstance(value, dict):
        some = list(value.items())[:MOST_ENTRIES]
        kept = {str(key)[:100]: plain(each, str(key), left - 1) for key, each in some}
        return {key: each for key, each in kept.items() if each is not None}
    return None
