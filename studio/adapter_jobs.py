"""Jobs on adapters, the person's side: ask for a stack, a merge, an extraction or a way to the Hub, look how far it is, cancel, clear away."""

import shutil
from typing import Any

from sqlalchemy import func, or_, select

from studio.adapter_files import copy_into
from studio.adapter_job_checks import check_merge, check_shrink, check_stack
from studio.errors import Conflict, NotFound, TooMany
from studio.extract_checks import check_extract
from studio.files import write_json
from studio.folders import new_id
from studio.hub_checks import check_fetch, check_push
from studio.hub_token import hand_over, leave_place
from studio.lab_settings import AnyLabSettings
from studio.listing import LIMIT, Listing, listing
from studio.passports.written import passport
from studio.records import LOCAL_PERSON, AdapterJob, JobState, utc_now
from studio.studio import Studio

MOST_OPEN = 20
OPEN = (JobState.QUEUED, JobState.RUNNING)
CHECKS = {
    "stack": check_stack,
    "shrink": check_shrink,
    "merge": check_merge,
    "extract": check_extract,
    "fetch": check_fetch,
    "push": check_push,
}


def queue_job(studio: Studio, settings: AnyLabSettings, owner: str = LOCAL_PERSON) -> AdapterJob:
    """Have it done by the runner. Raises NotFound, Invalid, Conflict, BadInput or TooMany with the reason."""
    checked = CHECKS[settings.kind](studio, settings)
    job = AdapterJob(
        id=new_id(), owner=owner, kind=settings.kind, name=checked.name, settings=settings.model_dump(mode="json")
    )
    folder = studio.data.adapter_job(job.id).create()
    try:
        for parent in checked.parents:
            copy_into(studio.data.adapter(parent.id).path, folder.parent(parent.id).path)
            if settings.kind == "push":  # with the votes of today
                write_json(folder.parent(parent.id).passport, passport(studio, parent.id))
        token = getattr(settings, "token", None)
        if token:
            leave_place(folder.token)
        limits = {"memory_mb": studio.settings.parse_memory_mb, "cpu_seconds": studio.settings.parse_seconds}
        write_json(folder.request, {**checked.request(settings), "limits": limits})
        with studio.database.write() as session:
            if session.scalar(select(func.count()).where(AdapterJob.state.in_(OPEN))) >= MOST_OPEN:
                raise TooMany(
                    f"{MOST_OPEN} jobs on adapters are waiting already.", "Wait until some are done, or cancel them."
                )
            session.add(job)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    if token:
        hand_over(folder.token, token.get_secret_value())
    return job


def get_job(studio: Studio, id: str) -> AdapterJob:
    with studio.database.read() as session:
        job = session.get(AdapterJob, id)
    if job is None:
        raise NotFound("adapter job", id)
    return job


def list_jobs(
    studio: Studio, limit: int = LIMIT, cursor: str | None = None, adapter: str | None = None
) -> Listing[AdapterJob]:
    """The newest first; with `adapter`, those that it goes into or came out of."""
    query = select(AdapterJob).order_by(AdapterJob.created_at.desc(), AdapterJob.id)
    if adapter:
        named = [
            AdapterJob.settings["adapter"].as_string() == adapter,
            AdapterJob.result["adapter"].as_string() == adapter,
        ]
        parent = AdapterJob.settings["parents"].as_string().contains(f'"{adapter}"', autoescape=True)
        query = query.where(or_(*named, parent))
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def cancel_job(studio: Studio, id: str) -> AdapterJob:
    """A waiting job ends at once, a running one when the runner has ended its worker. Asking twice is asking once. Raises Conflict."""
    with studio.database.write() as session:
        job = session.get(AdapterJob, id)
        if job is None:
            raise NotFound("adapter job", id)
        if job.state is JobState.QUEUED:
            job.state, job.ended_at = JobState.CANCELLED, utc_now()
        elif job.state is JobState.RUNNING:
            job.cancel = True
        elif job.state is not JobState.CANCELLED:
            raise Conflict(f"{job.name} has ended already.", "Delete what it made, if you do not want it.")
    if job.state is JobState.CANCELLED:
        clear(studio, id)
    return job


def delete_job(studio: Studio, id: str) -> None:
    """Take an ended job out of the list; what it made stays. Raises Conflict while it is open."""
    with studio.database.write() as session:
        job = session.get(AdapterJob, id)
        if job is None:
            raise NotFound("adapter job", id)
        if job.state in OPEN:
            raise Conflict(f"{job.name} is still open.", "Cancel it first.")
        session.delete(job)
    shutil.rmtree(studio.data.adapter_job(id).path, ignore_errors=True)


def clear(studio: Studio, id: str) -> None:
    """Take away what an ended job no longer needs: what went in, and what was half-made."""
    folder = studio.data.adapter_job(id)
    folder.token.unlink(missing_ok=True)
    for path in (folder.path / "parents", folder.adapter, folder.files):
        shutil.rmtree(path, ignore_errors=True)


def shown(job: AdapterJob) -> dict[str, Any]:
    """A job as pages and API show it."""
    names = ("id", "owner", "kind", "name", "settings", "cancel", "progress", "doing", "result", "problem", "fix")
    times = {
        name: moment and moment.isoformat()
        for name in ("created_at", "started_at", "ended_at")
        for moment in [getattr(job, name)]
    }
    return {**{name: getattr(job, name) for name in names}, "state": job.state.value, **times}
