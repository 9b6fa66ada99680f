"""What the base thinks of the answers of a run's pairs, kept in the run's folder: two numbers for each pair."""

import os
import secrets
from collections.abc import Callable

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from studio.folders import RunFolder

NAME = "log_probabilities"


def load_reference(run: RunFolder, key: str, rows: int, say: Callable[[str], None]) -> np.ndarray | None:
    """float64 [rows, 2], or None where it was not computed yet for everything that `key` names."""
    if not run.reference.exists():
        return None
    try:
        with safe_open(run.reference, framework="numpy") as file:
            found = file.get_tensor(NAME)
            if (file.metadata() or {}).get("key") == key and found.shape == (rows, 2) and np.isfinite(found).all():
                return found
    except (SafetensorError, OSError, ValueError) as error:
        say(f"What the base thinks of the pairs cannot be read ({error}). It is computed again.")
    return None


def save_reference(run: RunFolder, key: str, values: np.ndarray) -> None:
    """Written beside and renamed: several processes may write the same."""
    writing = run.path / f".reference-{secrets.token_hex(4)}"
    save_file({NAME: values}, writing, metadata={"key": key})
    os.replace(writing, run.reference)
