"""How fast and in how much memory a large file of Alpaca rows is read and checked, beside datasets.load_dataset("json") on the same file.

    OMP_NUM_THREADS=1 python -m benchmarks.read_data [rows] [--alone]

The rows are those of benchmarks/alpaca_rows.py, about 840 bytes each. Each reader is a process of its own; printed are rows and MB per
CPU-second, and the peak of resident memory. The peer parses and converts to Arrow, and checks nothing; ours checks every row, with
the row checks of the first pass, and writes messages.jsonl with its hash. --alone: JSON Lines only, and no peer.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.alpaca_rows import write_rows
from benchmarks.machine import machine, today

PROJECT = Path(__file__).parents[1]
OURS = """
import sys
from pathlib import Path
from studio.dataset_reading import ReadingRequest, read_file
from studio.folders import DatasetFolder
report = read_file(ReadingRequest(file=Path(sys.argv[1]), file_name="rows"), DatasetFolder(sys.argv[2]).create())
print(report.rows_ready)
"""
PEER = """
import sys
from datasets import load_dataset
print(len(load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])))
"""


def measure(name: str, code: str, path: Path, folder: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # VmHWM, not ru_maxrss: that one starts with the size of the process that started it.
    seen = f"{code}\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    output = subprocess.run([sys.executable, "-c", seen, str(path), str(folder)], cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows, peak_kib = (int(line) for line in output.split()[-2:])
    megabytes = path.stat().st_size / 1e6
    print(
        f"{name:18} {rows:9,} rows {megabytes:7,.0f} MB {seconds:6.1f} CPU-s {rows / seconds:8,.0f} rows/CPU-s "
        f"{megabytes / seconds:6.1f} MB/CPU-s  peak {peak_kib / 1024:5,.0f} MiB",
        flush=True,
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("rows", type=int, nargs="?", default=100_000)
    asked.add_argument("--alone", action="store_true")
    wanted = asked.parse_args()
    print(f"{today()}, {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        lines, array = Path(folder) / "rows.jsonl", Path(folder) / "rows.json"
        write_rows(lines, wanted.rows)
        if wanted.alone:
            measure("studio, .jsonl", OURS, lines, Path(folder) / "studio")
            return
        array.write_text("[" + lines.read_text(encoding="utf-8").strip().replace("\n", ",\n") + "]", encoding="utf-8")
        for path in (lines, array):
            measure(f"studio, {path.suffix}", OURS, path, Path(folder) / f"studio{path.suffix}")
            measure(f"datasets, {path.suffix}", PEER, path, Path(folder) / f"peer{path.suffix}")


if __name__ == "__main__":
    main()
