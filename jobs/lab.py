"""Jobs on finished adapters: start one at a time, watch it, settle it when its worker is gone. Called at each tick of the runner."""

import logging

from jobs import job_process
from studio import adapter_job_queue as queue
from studio import hub
from studio.records import AdapterJob
from studio.studio import Studio

WORKER = "jobs.workers.lab"
log = logging.getLogger("studio.runner")


def tick(studio: Studio, threads: int = 1) -> None:
    for job in queue.running(studio):
        look_at(studio, job, threads)
    if job := queue.claim(studio):
        start(studio, job, threads)


def look_at(studio: Studio, job: AdapterJob, threads: int) -> None:
    folder = studio.data.adapter_job(job.id)
    if job_process.alive(folder):
        if job.cancel:
            job_process.end(folder)
        queue.note_progress(studio, job)
    elif job_process.has_begun(folder) or job.cancel:
        job_process.forget(folder)
        settled = queue.settle(studio, job)
        log.info("%s: %s", settled.name, settled.problem or settled.state.value)
    else:  # claimed by a runner that ended before it could start it
        start(studio, job, threads)


def start(studio: Studio, job: AdapterJob, threads: int) -> None:
    folder = studio.data.adapter_job(job.id)
    more = hub.may_reach() if job.kind in ("fetch", "push") else {}
    if folder.token.exists():
        more.pop("HF_TOKEN", None)  # the person's own comes through the pipe
    job_process.start(folder, WORKER, threads, more)
    log.info("%s (%s) is being made.", job.name, job.kind)
