"""How fast and in how much memory a large JSON Lines file is read and checked, beside datasets.load_dataset("json") on the same file.

    python benchmarks/read_data.py [megabytes]

Each reader is a process of its own; printed are rows and MB per CPU-second, and the peak of resident memory. The peer parses and
converts to Arrow, and checks nothing; ours checks every row, with the row checks of the first pass, and writes messages.jsonl with its hash.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

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
WORDS = [
    "count",
    "list",
    "name",
    "the",
    "a",
    "of",
    "harbour",
    "kettle",
    "green",
    "seven",
    "quickly",
    "letter",
    "because",
    "river",
    "and",
    "wrote",
    "under",
    "café",
    "„quoted“",
    "\\n",
]


def write_rows(path: Path, megabytes: int) -> None:
    """Rows of 100 to 1,500 characters, as instruction data has them."""
    draw = random.Random(0)
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            prompt, answer = (" ".join(draw.choices(WORDS, k=draw.randint(8, most))) for most in (40, 220))
            file.write(json.dumps({"instruction": prompt, "input": "", "output": answer}, ensure_ascii=False) + "\n")


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
        f"{name:28} {rows:9,} rows  {seconds:7.1f} CPU-s  {rows / seconds:9,.0f} rows/CPU-s  {megabytes / seconds:7.1f} MB/CPU-s  peak {peak_kib / 1024:7.0f} MiB"
    )


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        lines, array = Path(folder) / "rows.jsonl", Path(folder) / "rows.json"
        write_rows(lines, megabytes)
        array.write_text("[" + lines.read_text(encoding="utf-8").strip().replace("\n", ",\n") + "]", encoding="utf-8")
        for path in (lines, array):
            measure(f"studio, {path.suffix}", OURS, path, Path(folder) / f"studio{path.suffix}")
            measure(f"datasets, {path.suffix}", PEER, path, Path(folder) / f"peer{path.suffix}")


if __name__ == "__main__":
    main()
