"""The living processes of trainings, as a test finds them: by the mark that each of them carries."""

import contextlib

import psutil

from jobs.processes import ATTEMPT_MARK


def processes_of(studio, run=None):
    """Everything that lives of all trainings of this studio, or of one run, supervisors included."""
    root = str(studio.data.run(run.id).path) if run else str(studio.data.path)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(ATTEMPT_MARK, "").startswith(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
