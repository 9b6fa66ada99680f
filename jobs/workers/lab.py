"""One job on finished adapters: `python -m jobs.workers.lab <job folder>`.

The folder holds request.json and parents/<id>/ (AdapterJobFolder). Left in it: adapter/ (of a merge: the new base
model's folder) and result.json, or refusal.json with what is wrong. Only what needs torch loads it.
"""

import sys

from jobs.workers.extract import extract
from jobs.workers.lab_adapter import write_adapter
from jobs.workers.own_job import do_job, progress_of
from jobs.workers.shrink import shrink
from jobs.workers.stack import stack
from studio.errors import Conflict
from studio.files import read_json
from studio.folders import AdapterJobFolder, data_of

ADAPTERS = {"stack": stack, "shrink": shrink, "extract": extract}


def main(folder: AdapterJobFolder) -> int:
    return do_job(folder, lambda: work(folder), smaller="choose the exact sum, which needs least")


def work(folder: AdapterJobFolder) -> dict:
    """Make the adapter or the model; what was measured on the way."""
    request, tell = read_json(folder.request), progress_of(folder)
    kind = request["settings"]["kind"]
    if kind in ("fetch", "push"):
        from jobs.workers import hub_adapters  # here: it loads the Hub's client

        return (hub_adapters.fetch if kind == "fetch" else hub_adapters.push)(folder, request, tell)
    if not data_of(folder).base_model(request["base_model"]["id"]).facts.is_file():
        raise Conflict("The base model was removed before this job began.", "Add it again.")
    if kind == "merge":
        from jobs.workers.merge_job import merge  # here: it loads torch

        return merge(folder, request, tell)
    made = ADAPTERS[kind](folder, request, tell)
    write_adapter(folder, request, made)
    return made.measured


if __name__ == "__main__":
    sys.exit(main(AdapterJobFolder(sys.argv[1])))
