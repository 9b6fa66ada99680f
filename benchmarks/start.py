"""How much CPU the studio takes until its first page is served, and how much of that is importing gradio alone.

    python -m benchmarks.start

Prints CPU-seconds of the web process (without the runner) from its start to the first answered page, three times, beside a
process that only imports gradio.
"""

import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

PROJECT = Path(__file__).parents[1]


def importing_gradio() -> float:
    code = "import gradio, time; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def first_page(folder: Path) -> float:
    command = [sys.executable, "app.py", "--port", "0", "--no-runner", "--data-folder", str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        address = next(found[1] for line in process.stdout if (found := re.search(r"ready at (\S+)", line)))
        with urllib.request.urlopen(address, timeout=60) as page:
            page.read()
        times = psutil.Process(process.pid).cpu_times()
        process.terminate()
    return times.user + times.system


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            print(
                f"gradio alone {importing_gradio():.1f} CPU-s, first page {first_page(Path(folder) / 'data'):.1f} CPU-s ({'new' if number == 0 else 'known'} data folder)"
            )
            time.sleep(0.1)


if __name__ == "__main__":
    main()
