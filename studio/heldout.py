"""Which rows of a data set are held out: the one split that trainings measure on and suites take their prompts from."""

import hashlib
import json
import random
from collections.abc import Sequence

import numpy as np


def content_hash(row: dict) -> int:
    """64 bits of what a row of messages.jsonl says, the same in every process."""
    spoken = [
        [(message["role"], message["content"]) for message in row.get(part, ())]
        for part in ("messages", "chosen", "rejected")
    ]
    said = json.dumps([*spoken, row.get("text")]).encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest())


def choose_heldout(marked: Sequence[bool], contents: Sequence[int], wanted: int, seed: int) -> list[int]:
    """Which rows are measured on: of those that the data marks as held out, or else of all, at least one being left.

    A row that stands in the data twice is not drawn: its copy would be trained on, and the held-out loss would be a lie.
    """
    draw = random.Random(seed)
    own = np.flatnonzero(np.asarray(marked, bool))
    if len(own):
        return own[draw.sample(range(len(own)), min(wanted, len(own)))].tolist()
    _, kind, copies = np.unique(np.asarray(contents, np.uint64), return_inverse=True, return_counts=True)
    once = np.flatnonzero(copies[kind] == 1)
    return once[draw.sample(range(len(once)), max(0, min(wanted, len(once), len(marked) - 1)))].tolist()
