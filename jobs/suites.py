"""Suites being answered: start those whose turn has come, watch them, settle them. Called at each tick of the runner."""

import logging
from collections.abc import Mapping

from jobs import job_process
from jobs.gpus import FoundDevice
from studio.records import SuiteRun
from studio.studio import Studio
from studio.suites import run_queue as queue
from studio.suites.after_training import ask_after_trainings

WORKER = "jobs.workers.suite"
ATTEMPT = "STUDIO_SUITE_ATTEMPT"  # environment variable: how many workers in a row have ended without an answer, this one included
log = logging.getLogger("studio.runner")


def tick(studio: Studio, devices: Mapping[str, FoundDevice], threads: int = 1) -> None:
    """`devices` by their id, as the runner has found them."""
    for run in queue.running(studio):
        look_at(studio, run, devices, threads)
    ask_after_trainings(studio)
    while claimed := queue.claim(studio, list(devices)):
        start(studio, claimed[0], devices[claimed[1]], threads)


def look_at(studio: Studio, run: SuiteRun, devices: Mapping[str, FoundDevice], threads: int) -> None:
    folder = studio.data.suite_run(run.id)
    if job_process.alive(folder):
        if run.cancel:
            job_process.end(folder)
        queue.note_progress(studio, run)
        return
    if job_process.has_begun(folder) or run.cancel:
        job_process.forget(folder)
        if settled := queue.settle(studio, run):
            log.info("%s: %s", settled.name, settled.problem or settled.state.value)
            return
    # Its worker is gone without a word, or was never started: another one goes on after the last answer
    held = queue.device_of(studio, run)
    device = devices.get(held if held in devices else queue.hold_again(studio, run, list(devices)))
    if device:
        start(studio, run, device, threads)


def start(studio: Studio, run: SuiteRun, device: FoundDevice, threads: int) -> None:
    folder = studio.data.suite_run(run.id)
    attempt = queue.note_start(studio, run)
    seen = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": device.visible}  # none on a CPU
    job_process.start(folder, WORKER, threads, {**seen, ATTEMPT: str(attempt)})
    log.info("%s is being answered on %s, attempt %d.", run.name, device.name, attempt)
