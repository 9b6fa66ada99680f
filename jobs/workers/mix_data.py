"""Write the rows of a mix in a process with limits: `python -m jobs.workers.mix_data <folder>`.

The folder holds request.json. Left in it: messages.jsonl and report.json, or refusal.json with what is wrong.
"""

import sys

from jobs.workers.read_data import limited
from studio.folders import DatasetFolder
from studio.mixes.recipe import Mixing
from studio.mixes.writing import write_mix

if __name__ == "__main__":
    sys.exit(limited(DatasetFolder(sys.argv[1]), Mixing, write_mix))
