"""Suites that are answered after every training: found anew at each look, so that no runner's end loses one."""

import logging

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from studio.errors import StudioError, TooMany
from studio.records import Adapter, JobState, Run, Status, Suite, SuiteRun, utc_now
from studio.studio import Studio
from studio.suites.builtin import longest_answer
from studio.suites.runs import SuiteRunRequest, queue_suite_run

log = logging.getLogger("studio.suites")


def ask_after_trainings(studio: Studio) -> list[SuiteRun]:
    """Queue every suite that is set to be answered after a training, or that its plan names, for adapters that have not been asked yet.

    The first are asked of trainings that ended since the suite was changed last. A suite that cannot be asked is recorded as a
    failed run with the reason, so that it is told once.
    """
    with studio.database.read() as session:
        due = _due(session)
    queued = []
    for suite, run, adapter in due:
        try:
            queued.append(check_training(studio, suite, run, adapter))
            _note_asked(studio, suite, run)
        except TooMany:
            return queued  # asked again at the next look
        except StudioError as error:
            log.warning("%s cannot be answered after %s: %s", suite.name, run.name, error.problem)
            _note_failure(studio, suite, run, adapter, error)
            _note_asked(studio, suite, run)
    return queued


def check_training(studio: Studio, suite: Suite, run: Run, adapter: Adapter) -> SuiteRun:
    """Base and the training's adapter answer the suite, in the line where the training stood."""
    longest = longest_answer(suite)
    columns = [{"adapter": None}, {"adapter": adapter.id}]
    limits = {"max_new_tokens": longest} if longest else {}
    request = SuiteRunRequest.model_validate({"base_model": adapter.base_model, "columns": columns, **limits})
    return queue_suite_run(studio, suite.id, request, suite.owner, training=run.id, queued_at=run.queued_at)


def _due(session: Session) -> list[tuple[Suite, Run, Adapter]]:
    suites = session.scalars(select(Suite).where(Suite.after_training)).all()
    found = []
    for suite in suites:
        asked = exists().where(SuiteRun.suite == suite.id, SuiteRun.training == Run.id)
        ended = (Run.state == Status.SUCCEEDED, Run.owner == suite.owner, Run.ended_at >= suite.changed_at)
        query = select(Run, Adapter).join(Adapter, Adapter.run == Run.id).where(*ended, ~asked).order_by(Run.ended_at)
        found += [(suite, run, adapter) for run, adapter in session.execute(query)]
    return found + [each for each in _named(session) if each not in found]


def _named(session: Session) -> list[tuple[Suite, Run, Adapter]]:
    """What plans name; a suite that was deleted meanwhile is passed over."""
    ended = (Run.state == Status.SUCCEEDED, Run.suites.is_not(None))
    query = select(Run, Adapter).join(Adapter, Adapter.run == Run.id).where(*ended).order_by(Run.ended_at)
    return [
        (suite, run, adapter)
        for run, adapter in session.execute(query)
        for id in run.suites.split()
        if (suite := session.get(Suite, id))
    ]


def _note_asked(studio: Studio, suite: Suite, run: Run) -> None:
    """It is no longer to be asked: a person who deletes the answers does not want them again."""
    if suite.id in (run.suites or "").split():
        with studio.database.write() as session:
            found = session.get(Run, run.id)
            left = [id for id in (found.suites or "").split() if id != suite.id] if found else []
            if found:
                found.suites = " ".join(left) or None


def _note_failure(studio: Studio, suite: Suite, run: Run, adapter: Adapter, error: StudioError) -> None:
    columns = [{"adapter": adapter.id, "name": adapter.name, "sha256": adapter.sha256}]
    with studio.database.write() as session:
        session.add(
            SuiteRun(
                owner=suite.owner, suite=suite.id, name=suite.name, sha256=suite.sha256, prompts=suite.prompt_count,
                base_model=adapter.base_model, training=run.id, columns=columns, state=JobState.FAILED,
                problem=error.problem, fix=error.fix, ended_at=utc_now(),
            )
        )  # fmt: skip
