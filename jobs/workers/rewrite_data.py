"""Write a version of a large data set in a process with limits: `python -m jobs.workers.rewrite_data <folder>`.

The folder holds request.json. Left in it: messages.jsonl and report.json, or refusal.json with what is wrong.
"""

import sys

from jobs.workers.read_data import limited
from studio.folders import DatasetFolder
from studio.versions.rewriting import Rewriting, rewrite

if __name__ == "__main__":
    sys.exit(limited(DatasetFolder(sys.argv[1]), Rewriting, rewrite))
