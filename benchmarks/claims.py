"""How many runs a second the queue hands out: 8 runner processes, 500 queued runs, a training that ends at once.

    python -m benchmarks.claims

Each run is claimed and settled: two transactions, each synced to the disk. Ends with an error when
a run was claimed twice or a process met a locked database.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.machine import machine, today
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.claimers import claim_all, fill, happened


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    print(f"{today()}, {machine()}.\n\n| runners | runs | seconds | runs a second |\n|---|---|---|---|")
    for runners in options.runners:
        with tempfile.TemporaryDirectory() as folder:
            studio = Studio.open(StudioSettings(data_folder=Path(folder)))
            fill(studio, options.runs, devices=runners)
            seconds, wrong = claim_all(studio, runners)
            twice = [run for run, events in happened(studio).items() if len(events) != 3]
            studio.database.close()
            if wrong or twice:
                raise SystemExit(f"{len(twice)} runs were not claimed exactly once. {wrong}")
            print(f"| {runners} | {options.runs} | {seconds:.1f} | {options.runs / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
