"""Downloads from the Hub: start what is queued, watch what runs, settle what has ended. Called at each tick of the runner."""

import logging
import subprocess

from studio import base_models, hub
from studio.records import BaseModel
from studio.studio import Studio

log = logging.getLogger("studio.runner")
_started: dict[str, subprocess.Popen] = {}  # children of this runner, so that they are collected when they end


def tick(studio: Studio) -> None:
    for model in base_models.downloads_to_watch(studio):
        folder = studio.data.base_model(model.id)
        child = _started.get(model.id)
        if child is not None and child.poll() is not None:
            del _started[model.id]
        if hub.download_process(folder, model.pid):
            base_models.note_download_progress(studio, model.id)
        elif model.pid is None:  # claimed by a runner that ended before it could start it
            start(studio, model)
        else:
            model = base_models.finish_download(studio, model.id)
            log.info("%s: %s", model.name, model.problem or model.state.value)
    while model := base_models.claim_download(studio):
        start(studio, model)


def start(studio: Studio, model: BaseModel) -> None:
    child = hub.start_download(studio.data.base_model(model.id))
    _started[model.id] = child
    base_models.note_download_started(studio, model.id, child.pid)
    log.info("%s is being downloaded.", model.name)
