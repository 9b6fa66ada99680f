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


def choose_heldout(marked: Sequence[bool], contents: Sequence[int], wanted: int, seed: int | None = None) -> list[int]:
    """Which rows are measured on: of those that the data marks as held out, or else of all, at least one being left.

    They are those whose content has the lowest hash, so that the same rows are measured on whatever is added to the data,
    wherever they stand. With a seed they are drawn by it, as in runs from before versions (ResolvedPlan.split). A row
    that stands in the data twice is not taken: its copy would be trained on, and the held-out loss would be a lie.
    """
    hashes = np.asarray(contents, np.uint64)
    own = np.flatnonzero(np.asarray(marked, bool))
    if len(own):
        return _among(own, hashes, min(wanted, len(own)), seed)
    _, kind, copies = np.unique(hashes, return_inverse=True, return_counts=True)
    once = np.flatnonzero(copies[kind] == 1)
    return _among(once, hashes, max(0, min(wanted, len(once), len(marked) - 1)), seed)


def _among(places: np.ndarray, hashes: np.ndarray, wanted: int, seed: int | None) -> list[int]:
    """`wanted` of these places, by the lowest hash or drawn by a seed."""
    if seed is not None:
        return places[random.Random(seed).sample(range(len(places)), wanted)].tolist()
    return places[np.argsort(hashes[places], kind="stable")[:wanted]].tolist()
