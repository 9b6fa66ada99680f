"""Answer every prompt of a suite that has no answer yet: `python -m jobs.workers.suite <suite run's folder>`.

The folder holds request.json (SuiteRunFolder). Each answer is appended to answers.jsonl when it is whole, so that a
worker that is killed loses only what it was writing, and the next one goes on. Last comes result.json, or refusal.json.
"""

import os
import sys
import time
from typing import Any

from jobs.workers.own_job import do_job, progress_of
from jobs.workers.suite.answers_file import AnswersFile
from jobs.workers.suite.asking import Asking
from studio.files import read_json
from studio.folders import SuiteRunFolder

ATTEMPT = "STUDIO_SUITE_ATTEMPT"  # environment variable: the how-manieth worker in a row that has not got further
SMALLER = "choose shorter answers or fewer columns"


def main(folder: SuiteRunFolder) -> int:
    return do_job(folder, lambda: work(folder), SMALLER)


def work(folder: SuiteRunFolder) -> dict[str, Any]:
    """What is told when every answer is there."""
    request, began, tell = read_json(folder.request), time.monotonic(), progress_of(folder)
    with AnswersFile(folder.answers) as answers:
        asking = Asking(folder, request, answers, int(os.environ.get(ATTEMPT, "1")))
        all_of_them = len(asking.prompts) * len(asking.columns)

        def say(doing: str) -> None:
            tell(len(answers.known) / all_of_them, doing, answered=len(answers.known))

        if asking.left:
            say("Loading the base model.")
            asking.load()
            asking.run(lambda: say("Answering."))
    return {"seconds": round(time.monotonic() - began, 3), "most_at_once": asking.most_at_once}


if __name__ == "__main__":
    sys.exit(main(SuiteRunFolder(sys.argv[1])))
