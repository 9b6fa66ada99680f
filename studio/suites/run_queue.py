"""Runs of suites, the runner's side: claim one with a device, note how far it is, settle how it ended.

queued → running → done       every prompt is answered by every column
queued → cancelled            before it began
running → failed, cancelled   the answers so far are kept
running → running             its worker ended without a word: another one goes on after the last answer
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from studio.files import read_json
from studio.line.devices import free_for_whole, run_before
from studio.records import Device, JobState, SuiteRun, utc_now
from studio.studio import Studio
from studio.suites import results

MOST_ATTEMPTS = 4  # workers in a row that ended without a single answer
BROKE_OFF = "The worker ended again and again without an answer, most likely because memory ran out."
TRY_AGAIN = "Free memory on this machine, or choose shorter answers, and run the suite again."
HEAD = select(SuiteRun).where(SuiteRun.state == JobState.QUEUED).order_by(SuiteRun.queued_at, SuiteRun.id).limit(1)


def claim(studio: Studio, usable: Sequence[str]) -> tuple[SuiteRun, str] | None:
    """The run at the head of the line with its device, or None: a suite stands in one line with the trainings, and holds a device like one."""
    with studio.database.read() as session:
        if session.scalar(HEAD) is None:
            return None  # the usual case takes no write lock
    with studio.database.write() as session:
        head, device = session.scalar(HEAD), _free_device(session, usable)
        if head is None or device is None or run_before(session, usable, head.queued_at):
            return None
        device.suite_run = head.id
        head.state, head.started_at, head.attempts = JobState.RUNNING, utc_now(), 0
        return head, device.id


def _free_device(session: Session, usable: Sequence[str]) -> Device | None:
    free = free_for_whole(session, usable)
    return session.get(Device, free) if free else None


def running(studio: Studio) -> list[SuiteRun]:
    with studio.database.read() as session:
        return list(session.scalars(select(SuiteRun).where(SuiteRun.state == JobState.RUNNING).order_by(SuiteRun.id)))


def device_of(studio: Studio, run: SuiteRun) -> str | None:
    with studio.database.read() as session:
        return session.scalar(select(Device.id).where(Device.suite_run == run.id))


def hold_again(studio: Studio, run: SuiteRun, usable: Sequence[str]) -> str | None:
    """A device for a run that goes on, where its own is no longer there (another machine, fewer GPUs); None when all are busy."""
    with studio.database.write() as session:
        device = _free_device(session, usable)
        if device is not None:
            device.suite_run = run.id
        return device and device.id


def note_start(studio: Studio, run: SuiteRun) -> int:
    """A worker is about to be started: how many there were since the last one that got further, this one included."""
    written = results.count_answers(studio, run.id)
    with studio.database.write() as session:
        row = session.get_one(SuiteRun, run.id)
        row.attempts = 1 if written > row.answered else row.attempts + 1
        row.answered = written
        return row.attempts


def note_progress(studio: Studio, run: SuiteRun) -> None:
    """Bring into the row what the worker has told."""
    told = read_json(studio.data.suite_run(run.id).progress)
    if told and (told["answered"], told["doing"]) != (run.answered, run.doing):
        values = {"answered": told["answered"], "doing": told["doing"]}
        with studio.database.write() as session:
            session.execute(update(SuiteRun).where(SuiteRun.id == run.id).values(**values))


def settle(studio: Studio, run: SuiteRun) -> SuiteRun | None:
    """How a run ended whose worker is gone; None when another worker is to go on. Doing it again after a crash comes to the same."""
    folder = studio.data.suite_run(run.id)
    refusal, result = read_json(folder.refusal), read_json(folder.result)
    values: dict[str, Any]
    if run.cancel:
        values = {"state": JobState.CANCELLED}
    elif refusal:
        values = {"state": JobState.FAILED, "problem": refusal["problem"], "fix": refusal["fix"]}
    elif result is not None:
        values = {"state": JobState.DONE, "result": {**result, **results.summary(studio, run)}}
    elif run.attempts >= MOST_ATTEMPTS and results.count_answers(studio, run.id) <= run.answered:
        values = {"state": JobState.FAILED, "problem": BROKE_OFF, "fix": TRY_AGAIN}
    else:
        return None
    values["answered"] = results.count_answers(studio, run.id)
    with studio.database.write() as session:
        still = (SuiteRun.id == run.id, SuiteRun.state == JobState.RUNNING)
        session.execute(update(SuiteRun).where(*still).values(**values, doing="", ended_at=utc_now()))
        session.execute(update(Device).where(Device.suite_run == run.id).values(suite_run=None))
        return session.get_one(SuiteRun, run.id, populate_existing=True)


def waiting_before(studio: Studio, run: SuiteRun) -> int:
    """How many suites stand in the line before this one."""
    with studio.database.read() as session:
        before = (SuiteRun.state == JobState.QUEUED, SuiteRun.queued_at < run.queued_at)
        return session.scalar(select(func.count()).where(*before)) or 0
