"""What there is on this machine and what needs attention, for the first page: a few counts and the failures of late."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from studio.records import LIVE, Adapter, BaseModel, Dataset, ModelState, Run, Status, utc_now
from studio.studio import Studio

FAILURES_COUNT_FOR = timedelta(days=2)


@dataclass(frozen=True)
class Counts:
    models: int = 0  # ready ones
    datasets: int = 0
    own_datasets: int = 0  # of them, those that a person brought
    trained: int = 0  # runs that made an adapter


def counts(studio: Studio) -> Counts:
    with studio.database.read() as session:

        def how_many(kind, *conditions) -> int:
            return session.scalar(select(func.count()).select_from(kind).where(*conditions))

        return Counts(
            models=how_many(BaseModel, BaseModel.state == ModelState.READY),
            datasets=how_many(Dataset),
            own_datasets=how_many(Dataset, Dataset.source != "builtin"),
            trained=how_many(Run, Run.state == Status.SUCCEEDED),
        )


def failures(studio: Studio, limit: int = 2) -> list[Run]:
    """Runs that failed lately and have not been tried again, newest first."""
    tried_again = select(Run.parent).where(Run.parent.is_not(None))
    query = (
        select(Run)
        .where(Run.state == Status.FAILED, Run.ended_at > utc_now() - FAILURES_COUNT_FOR, Run.id.not_in(tried_again))
        .order_by(Run.ended_at.desc())
        .limit(limit)
    )
    with studio.database.read() as session:
        return list(session.scalars(query))


def open_runs(studio: Studio) -> tuple[int, int]:
    """(runs that hold a device, runs that wait for one)."""
    with studio.database.read() as session:
        counted = dict(session.execute(select(Run.state, func.count()).group_by(Run.state)).all())
    return sum(counted.get(state, 0) for state in LIVE), counted.get(Status.QUEUED, 0) + counted.get(
        Status.RETRY_WAIT, 0
    )


def adapters_by_model(studio: Studio) -> dict[str, int]:
    """How many adapters there are for each base model."""
    with studio.database.read() as session:
        return dict(session.execute(select(Adapter.base_model, func.count()).group_by(Adapter.base_model)).all())
