"""Rows that say something else than what is so: devices held by nobody, leases of runs that are over, runs whose process is gone."""

import time

from sqlalchemy import or_, select, update

from jobs.checkup.finding import Checkup, named
from jobs.outcome import Ending
from jobs.processes import boot_id
from jobs.watch import Watch, identity
from studio.files import read_json
from studio.records import LIVE, Device, JobState, Run, SuiteRun

LEASE = ("runner", "lease_until", "pid", "pid_start", "boot_id")


def check_devices(checkup: Checkup) -> None:
    """Held by a run that is not live, or by a suite that nobody answers."""
    live = select(Run.id).where(Run.state.in_(LIVE))
    answered = select(SuiteRun.id).where(SuiteRun.state == JobState.RUNNING)
    for column, holders, word in ((Device.run_id, live, "run"), (Device.suite_run, answered, "run of a suite")):
        stale = (column.is_not(None), column.not_in(holders))
        with checkup.studio.database.read() as session:
            found = session.execute(select(Device.name, column).where(*stale)).all()
        for name, holder in found:
            free = update(Device).where(*stale, column == holder).values({column: None, Device.epoch: None})
            checkup.mend(
                f"{name} is held by the {word} {holder}, which does not work on it.",
                "freed",
                lambda free=free: _write(checkup, free),
            )


def check_leases(checkup: Checkup) -> None:
    """A run that is not live belongs to no runner and to no process."""
    stale = (Run.state.not_in(LIVE), or_(*(getattr(Run, name).is_not(None) for name in LEASE)))
    with checkup.studio.database.read() as session:
        found = session.scalars(select(Run.name).where(*stale)).all()
    if found:
        clear = update(Run).where(*stale).values(dict.fromkeys(LEASE))
        checkup.mend(
            f"Runs that hold no device and still name a runner or a process: {len(found)}, among them {named(found[0])}.",
            "cleared",
            lambda: _write(checkup, clear),
        )


def check_processes(checkup: Checkup) -> None:
    """Live runs whose process is gone are settled as a runner would settle them; while a runner lives, that is its work."""
    if checkup.runner_at_work:
        return
    with checkup.studio.database.read() as session:
        live = list(session.scalars(select(Run).where(Run.state.in_(LIVE)).order_by(Run.id)))
    for run in live:
        watch = Watch(checkup.studio, run)
        if not checkup.is_ours(watch.attempt.process):
            continue  # its folder is a link: whoever made it knows what is behind
        if said := gone(watch):
            checkup.mend(
                f"The run {named(run.name)} ({run.id}) is {run.state.value}, but {said}.",
                "settled: its history says how it goes on",
                lambda watch=watch: _settle(watch),
                (watch.attempt.process,),
            )


def gone(watch: Watch) -> str | None:
    """Why nothing of this run lives any more; None while something does. Never by the number of a process alone."""
    process = read_json(watch.attempt.process)
    if process is None:
        return "no process ever took it"
    if watch.attempt.exit.exists():
        return "its process has ended"
    supervisor = identity(process)
    if supervisor is None:
        return "it was given up before it started"
    if supervisor.alive():
        return None
    return "the machine was restarted since" if process["boot_id"] != boot_id() else "its supervisor is gone"


def _settle(watch: Watch) -> None:
    ending: Ending | None = None
    while (
        ending is None
    ):  # a second look only where a training outlived its supervisor: `ended` kills it, as a runner does
        ending = watch.ended(read_json(watch.attempt.process))
        time.sleep(0 if ending else 0.1)
    watch.settle(watch.run, ending)


def _write(checkup: Checkup, statement) -> None:
    with checkup.studio.database.write() as session:
        session.execute(statement)
