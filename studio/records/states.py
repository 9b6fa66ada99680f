"""The states that things stand in, each with what is true while it holds."""

import enum


class Status(enum.StrEnum):
    """Where a run stands. docs/states.md draws the arrows; studio/transitions.py is the only code that moves along them."""

    QUEUED = "queued"  # waiting for a device
    STARTING = "starting"  # has a device, its process is being started
    RUNNING = "running"  # a worker trains
    PAUSING = "pausing"  # asked to stop (to pause, or to keep what there is); the worker is saving
    PAUSED = "paused"  # a checkpoint is on disk, no device is held
    RETRY_WAIT = "retry_wait"  # failed in a way that may pass; starts again by itself
    CANCELLING = "cancelling"  # asked to end; something of its process tree may still live
    CANCELLED = "cancelled"  # ended by the person; nothing of it lives
    SUCCEEDED = "succeeded"  # the adapter is on disk and loads
    FAILED = "failed"  # `problem` says why and `fix` what to do


LIVE = (Status.STARTING, Status.RUNNING, Status.PAUSING, Status.CANCELLING)  # holds devices


TERMINAL = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


OPEN = tuple(status for status in Status if status not in TERMINAL)


class Want(enum.StrEnum):
    """What the person wants of a run; never forgotten, read by the runner."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"  # stop and keep: make the adapter from the last step
    CANCEL = "cancel"


class ModelState(enum.StrEnum):
    QUEUED = "queued"  # waits to be downloaded
    DOWNLOADING = "downloading"  # a download worker is busy with it
    READY = "ready"  # checked; its clean folder can be loaded
    FAILED = "failed"  # `problem` and `fix` say why


class JobState(enum.StrEnum):
    """Where a job on adapters or the answering of a suite stands; adapter_job_queue.py and suites/run_queue.py move them."""

    QUEUED = "queued"  # waits for the one before it
    RUNNING = "running"  # a worker is busy with it
    DONE = "done"  # what it made is in its place
    FAILED = "failed"  # `problem` and `fix` say why; nothing of it is left
    CANCELLED = "cancelled"  # ended by the person; nothing of it is left


class Delivery(enum.StrEnum):
    """Where a notification stands; notifications/outbox.py moves it."""

    WAITING = "waiting"  # for its (next) try
    SENDING = "sending"  # a runner is at it; tried again when that one dies
    SENT = "sent"  # whoever gets it has said so
    GIVEN_UP = "given_up"  # `problem` says why
