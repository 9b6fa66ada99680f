"""What past runs on this machine teach about memory: how far their measured peaks were from what was planned for them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

from sqlalchemy import select

from studio.files import read_json
from studio.folders import RunFolder
from studio.footprint import COMES_AND_GOES
from studio.records import Run, Status
from studio.studio import Studio

FEWEST, LAST = 3, 20  # runs that it takes, and that are looked at
LEAST, MOST = (
    0.7,
    1.5,
)  # a factor beyond these would come from something else than memory that was planned a little wrong
LEAST_SHARE = 0.2  # of a plan that comes and goes: in a smaller one the fixed parts decide, and nothing is learned


@dataclass(frozen=True)
class Correction:
    """A factor for the parts that come and go with each step, and how many runs it was learned from."""

    factor: float = 1.0
    runs: int = 0


def learned_correction(studio: Studio, kind: str) -> Correction:
    """The median over the last runs on this kind of device; 1 while there are too few."""
    with studio.database.read() as session:
        ended = select(Run.id).where(Run.state == Status.SUCCEEDED).order_by(Run.ended_at.desc()).limit(2 * LAST)
        ids = list(session.scalars(ended))
    found = [factor for id in ids if (factor := measured_factor(studio.data.run(id).path, kind))][:LAST]
    if len(found) < FEWEST:
        return Correction()
    return Correction(round(min(MOST, max(LEAST, median(found))), 3), len(found))


@lru_cache(1024)
def measured_factor(run: Path, kind: str) -> float | None:
    """What an ended run's parts that come and go really took, as a share of the uncorrected plan; None: it cannot be told.

    A run of several attempts says nothing: some of them may have been given less at once than was planned.
    """
    folder = RunFolder(run)
    estimate, attempts = read_json(folder.estimate), folder.attempts()
    if not estimate or estimate["device"] != kind or len(attempts) != 1:
        return None
    peak = read_json(attempts[0].result, default={}).get("peak_memory_bytes")
    moving = sum(estimate["memory"].get(part, 0) for part in COMES_AND_GOES) / estimate["correction"]
    fixed = sum(size for part, size in estimate["memory"].items() if part not in COMES_AND_GOES)
    if not peak or moving < LEAST_SHARE * (moving + fixed):
        return None
    return max(0.0, peak - fixed) / moving or None
