"""How long pages and API take in a studio with 10,000 runs, and for a run with 1,000,000 rows of metrics.

    python -m benchmarks.pages_at_scale --results benchmarks/results/pages_at_scale.md

The real `python app.py` in a process of its own, asked over HTTP: what a browser asks when a page opens (the document, then
Gradio's load event), what its timer asks, and the API. Milliseconds are the median of the answers; CPU milliseconds are
the web process's own, which other work on the machine does not lengthen. The first answer of each is told apart: nothing
of this run is in the process's memory then.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks.full_studio import fill
from benchmarks.machine import machine, today

PROJECT = Path(__file__).parents[1]
LIMIT_MS = 300
TIMES = 9


@contextmanager
def serving(folder: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    command = [sys.executable, "app.py", "--port", "0", "--no-runner", "--data-folder", str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        address = next(found[1] for line in process.stdout if (found := re.search(r"ready at (\S+)", line)))
        try:
            with httpx.Client(base_url=address, timeout=120) as client:
                client.get("/healthz")
                yield client, psutil.Process(process.pid)
        finally:
            process.terminate()


class Page:
    """The events of a page, as a browser sends them."""

    def __init__(self, client: httpx.Client, path: str, query: str = ""):
        self.client, self.query = client, query
        config = client.get("/config").json()
        page = config["page"][path]
        self.parts = {part["id"]: part for part in config["components"] if part["id"] in page["components"]}
        self.events = [each for each in config["dependencies"] if each["id"] in page["dependencies"]]

    def named(self, name: str) -> list[Callable]:
        """Every event of this name with a handler in Python."""
        found = [
            each for each in self.events if each["backend_fn"] and any(told == name for _, told in each["targets"])
        ]
        if not found:
            raise SystemExit(f"The page has no event '{name}'.")
        return [lambda event=event: self.send(event) for event in found]

    def send(self, event: dict) -> None:
        data = [self.parts.get(id, {"props": {}})["props"].get("value") for id in event["inputs"]]
        body = {"data": data, "fn_index": event["id"], "session_hash": "bench", "event_data": None}
        answer = self.client.post(f"/gradio_api/run/predict{self.query}", json=body)
        if answer.status_code != 200 or "error" in answer.json():
            raise SystemExit(f"{event['targets']}: {answer.text[:500]}")


def all_of(client: httpx.Client, path: str, query: str, name: str) -> Callable[[], None]:
    events = Page(client, path, query).named(name)
    return lambda: [send() for send in events]


def questions(client: httpx.Client, long: str) -> dict[str, Callable]:
    """What is asked, by its words in the table."""

    def get(address: str) -> Callable:
        def ask() -> httpx.Response:
            return client.get(address).raise_for_status()

        return ask

    last = None
    for _ in range(10):  # ten pages on
        last = client.get("/api/v1/runs", params={"limit": 200, **({"cursor": last} if last else {})}).json()["next"]
    api, run = "/api/v1/runs", f"/api/v1/runs/{long}"
    return {
        "home: load events": all_of(client, "", "", "load"),
        "runs page: document": get("/runs"),
        "runs page: load events": all_of(client, "runs", "", "load"),
        "runs page: its timer": all_of(client, "runs", "", "tick"),
        "runs page, searched: load events": all_of(client, "runs", "?q=pirate&sort=Name", "load"),
        "run page: document": get(f"/run?id={long}"),
        "run page: load events": all_of(client, "run", f"?id={long}", "load"),
        "run page: its timer": all_of(client, "run", f"?id={long}", "tick"),
        "API: runs": get(api),
        "API: runs, 200 of them": get(f"{api}?limit=200"),
        "API: runs, 200 from the 2,001st on": get(f"{api}?limit=200&cursor={last}"),
        "API: runs, by name": get(f"{api}?sort=name"),
        "API: runs, by loss": get(f"{api}?sort=loss"),
        "API: runs, by state": get(f"{api}?sort=state"),
        "API: runs, searched": get(f"{api}?q=pirate+7"),
        "API: runs, searched for what is not there": get(f"{api}?q=nowhere"),
        "API: runs, queued": get(f"{api}?state=queued"),
        "API: runs with a tag": get(f"{api}?tag=final"),
        "API: adapters": get("/api/v1/adapters"),
        "API: one run": get(run),
        "API: metrics, 240 points": get(f"{run}/metrics"),
        "API: metrics, 5,000 points of 4": get(f"{run}/metrics?points=5000&names=loss,heldout_loss,grad_norm,learning_rate"),
        "API: log": get(f"{run}/log"),
        "API: diagnosis": get(f"{run}/diagnosis"),
    }  # fmt: skip


def measured(ask: Callable, process: psutil.Process) -> tuple[float, float, float]:
    """(first answer in ms, median of the later ones in ms, CPU ms of the web process for one of those)."""
    began = time.perf_counter()
    ask()
    first, spent = (time.perf_counter() - began) * 1000, []
    before = process.cpu_times()
    for _ in range(TIMES):
        began = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - began) * 1000)
    after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) * 1000 / TIMES
    return first, statistics.median(spent), cpu


def table(folder: Path, runs: int, rows: int) -> str:
    studio, long = fill(folder, runs, rows)
    studio.database.close()
    lines = ["| asked | first, ms | later, ms | CPU ms |", "|---|---|---|---|"]
    with serving(folder) as (client, process):
        for words, ask in questions(client, long).items():
            first, later, cpu = measured(ask, process)
            slow = " (too slow)" if cpu > LIMIT_MS else ""
            lines.append(f"| {words}{slow} | {first:.0f} | {later:.0f} | {cpu:.0f} |")
            print(lines[-1], flush=True)
        lines.append(f"\nMemory of the web process: {process.memory_info().rss / 2**20:.0f} MiB.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages_at_scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, help="write the table here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = table(Path(folder) / "data", options.runs, options.rows)
    command = "`python -m benchmarks.pages_at_scale`"
    head = f"# Pages of a full studio\n\n{today()}, {machine()}; other work was running. {command}\n\n{options.runs:,} runs, one with {options.rows:,} rows of metrics.\n"
    print(f"\n{head}\n{told}")
    if options.results:
        options.results.write_text(f"{head}\n{told}\n")


if __name__ == "__main__":
    main()
