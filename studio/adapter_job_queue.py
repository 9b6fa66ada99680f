"""Jobs on finished adapters, the runner's side: claim one, note how far it is, settle how it ended.

queued → running → done       its adapter or model is in its place, and in the same transaction in the list
queued → cancelled            before it began
running → failed, cancelled   what was half-made is taken away
"""

import shutil
from typing import Any

from sqlalchemy import exists, select, update

from studio import adapter_import, adapter_jobs, base_models
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.errors import StudioError
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder
from studio.records import Adapter, AdapterJob, BaseModel, JobState, utc_now
from studio.studio import Studio

BROKE_OFF = "The work broke off without a word, most likely because memory ran out."
TRY_AGAIN = "Free memory on this machine, then ask for it again."


def claim(studio: Studio) -> AdapterJob | None:
    """Take the oldest waiting job while none runs, in one statement."""
    oldest = (
        select(AdapterJob.id)
        .where(AdapterJob.state == JobState.QUEUED)
        .order_by(AdapterJob.created_at)
        .limit(1)
        .scalar_subquery()
    )
    nothing_runs = ~exists().where(AdapterJob.state == JobState.RUNNING)
    claimed = (
        update(AdapterJob)
        .where(AdapterJob.id == oldest, nothing_runs)
        .values(state=JobState.RUNNING, started_at=utc_now())
        .returning(AdapterJob)
        .execution_options(synchronize_session=False)
    )
    with studio.database.write() as session:
        return session.scalar(claimed)


def running(studio: Studio) -> list[AdapterJob]:
    with studio.database.read() as session:
        return list(session.scalars(select(AdapterJob).where(AdapterJob.state == JobState.RUNNING)))


def note_progress(studio: Studio, job: AdapterJob) -> None:
    """Bring into the row what the worker has told."""
    told = read_json(studio.data.adapter_job(job.id).progress)
    if told and (told["done"], told["doing"]) != (job.progress, job.doing):
        with studio.database.write() as session:
            values = {"progress": told["done"], "doing": told["doing"]}
            session.execute(update(AdapterJob).where(AdapterJob.id == job.id).values(**values))


def settle(studio: Studio, job: AdapterJob) -> AdapterJob:
    """How a job ended whose worker is gone: what it left says so. Doing it again after a crash comes to the same."""
    folder = studio.data.adapter_job(job.id)
    refusal, result = read_json(folder.refusal), read_json(folder.result)
    made: list[Any] = []
    values: dict[str, Any]
    if job.cancel:
        values = {"state": JobState.CANCELLED}
    elif refusal:
        values = {"state": JobState.FAILED, "problem": refusal["problem"], "fix": refusal["fix"]}
    elif not result:
        values = {"state": JobState.FAILED, "problem": BROKE_OFF, "fix": TRY_AGAIN}
    else:
        try:
            taken, key = TAKEN_IN.get(job.kind, (take_in, "adapter"))
            made = [record for record in [taken(studio, job, result)] if record is not None]
            result = {**result, key: job.id} if made else result
            values = {"state": JobState.DONE, "progress": 1.0, "result": result}
        except StudioError as error:
            values = {"state": JobState.FAILED, "problem": error.problem, "fix": error.fix}
        except OSError as error:
            problem = f"What was made cannot be put in its place: {error}."
            values = {
                "state": JobState.FAILED,
                "problem": problem,
                "fix": "Make room on the disk, then ask for it again.",
            }
    with studio.database.write() as session:
        still = (AdapterJob.id == job.id, AdapterJob.state == JobState.RUNNING)
        if session.execute(update(AdapterJob).where(*still).values(**values, doing="", ended_at=utc_now())).rowcount:
            for record in made:
                session.merge(record)
        job = session.get_one(AdapterJob, job.id, populate_existing=True)
    if job.state is not JobState.DONE:
        shutil.rmtree(studio.data.base_model(job.id).path, ignore_errors=True)
    adapter_jobs.clear(studio, job.id)
    return job


def take_in(studio: Studio, job: AdapterJob, result: dict[str, Any]) -> Adapter:
    """The adapter that the worker left, checked and put in its own folder under the job's id. Raises BadInput."""
    made = AdapterFolder(studio.data.adapter_job(job.id).adapter)
    check_adapter(made)
    request = read_json(studio.data.adapter_job(job.id).request)
    base = base_models.get_model(studio, request["base_model"]["id"])  # it may have been deleted meanwhile
    folder = studio.data.adapter(job.id)
    put_in_place(made.path, folder.path)
    sha256 = sha256_of(folder.weights)
    write_json(folder.passport, {**read_json(folder.passport, {}), "adapter_sha256": sha256})
    return Adapter(
        id=job.id, owner=job.owner, name=job.name, base_model=base.id, source=job.kind, method="lora", rank=result["rank"],
        size_bytes=size_of(folder.path), sha256=sha256,
    )  # fmt: skip


def take_in_fetched(studio: Studio, job: AdapterJob, result: dict[str, Any]) -> Adapter:
    """What came from the Hub, imported as any that is brought. Raises as an import does."""
    folder, settings = studio.data.adapter_job(job.id), job.settings
    origin = {key: result[key] for key in ("repo", "revision")}
    return adapter_import.take(
        studio, AdapterFolder(folder.files), result["files"], job.name, settings["base_model"], settings["name"], job.owner, origin, job.id
    )  # fmt: skip


def nothing_made(studio: Studio, job: AdapterJob, result: dict[str, Any]) -> None:
    """What was pushed is elsewhere."""


def take_in_model(studio: Studio, job: AdapterJob, _result: dict[str, Any]) -> BaseModel:
    """The merged model, which its worker has had looked at as any that is brought. Raises BadInput."""
    request = read_json(studio.data.adapter_job(job.id).request)
    [parent] = request["parents"]
    about = f"{request['base_model']['name']} with {parent['name']}"
    return base_models.merged_model(studio, job.id, owner=job.owner, name=job.name, location=about)


TAKEN_IN = {"merge": (take_in_model, "model"), "fetch": (take_in_fetched, "adapter"), "push": (nothing_made, "adapter")}
