"""The whole job without a browser: built-in model, built-in data, train, compare, save the adapter. `make demo` runs it."""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from studio import adapters, base_models, chat, compare, datasets, runs
from studio.compare_request import Column, CompareRequest
from studio.errors import StudioError
from studio.plan import read_plan
from studio.records import TERMINAL, Dataset, Run, Status
from studio.settings import StudioSettings
from studio.studio import Studio

PROJECT = Path(__file__).parents[1]
POLL_SECONDS = 0.3
WIDTH = 46  # characters of a column


def main(arguments: list[str]) -> int:
    chosen = read_arguments(arguments)
    try:
        studio = Studio.open(StudioSettings(**({"data_folder": chosen.data_folder} if chosen.data_folder else {})))
        base_models.add_builtin(studio)
        datasets.add_builtins(studio)
        with a_runner(studio):
            failed = [
                dataset.name for dataset in wanted(studio, chosen.dataset) if not teach(studio, dataset, chosen.out)
            ]
        chat.stop_worker(studio)
    except StudioError as error:
        print(f"{error.problem}\n{error.fix}", file=sys.stderr)
        return 2
    return 1 if failed else 0


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m jobs.demo", description=__doc__)
    parser.add_argument("--dataset", help="train on this built-in data set only (its id); default: on each of them")
    parser.add_argument(
        "--data-folder",
        type=Path,
        help="where everything is kept; default: the studio's own, so that the pages show it afterwards",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/demo"), help="where the adapters are unpacked (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def wanted(studio: Studio, builtin_id: str | None) -> list[Dataset]:
    """The built-in data sets, or the one that is named."""
    there = [dataset for dataset in datasets.list_datasets(studio, limit=200).items if dataset.source == "builtin"]
    found = [dataset for dataset in there if builtin_id in (None, dataset.id, dataset.builtin_id)]
    if not found:
        names = ", ".join(str(dataset.builtin_id) for dataset in there)
        raise StudioError(f"There is no built-in data set '{builtin_id}'.", f"Choose one of: {names}.")
    return found


@contextlib.contextmanager
def a_runner(studio: Studio) -> Iterator[None]:
    """The runner of a studio that is already open, or one of our own for as long as this lasts."""
    if runs.runner_alive(studio):
        yield
        return
    # its news of starts and ends would stand in the middle of the line that counts the steps
    environment = {**os.environ, **studio.settings.as_environment(), "STUDIO_LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.runner", "--until-stdin-closes"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


def teach(studio: Studio, dataset: Dataset, out: Path) -> bool:
    """Train on one data set with the defaults, compare on its held-out prompts, unpack the adapter. False when the run failed."""
    print(
        f"\n{dataset.name}: {dataset.rows - dataset.heldout_rows} rows to learn from, {dataset.heldout_rows} held out"
    )
    times: dict[str, float] = {}
    with timed(times, "train"):
        plan = read_plan(
            {"name": f"demo {dataset.name}", "base_model": base_models.BUILTIN, "dataset": dataset.id, "tags": ["demo"]}
        )
        run = wait_for(studio, runs.queue_run(studio, plan).id)
    if run.state != Status.SUCCEEDED:
        print(f"The run ended as {run.state}. {run.problem or ''} {run.fix or ''}")
        return False
    adapter = adapters.adapter_of_run(studio, run.id)
    with timed(times, "compare"):
        answers = [asyncio.run(ask(studio, adapter.id, prompt)) for prompt in datasets.builtin_example_prompts(dataset)]
    with timed(times, "save"):
        folder = unpack(studio, adapter.id, out)
    show(run, answers, times, folder)
    return True


@contextlib.contextmanager
def timed(times: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    times[stage] = time.monotonic() - started


def wait_for(studio: Studio, run_id: str) -> Run:
    """Follow a run to its end; on a terminal one line counts its steps."""
    on_terminal = sys.stdout.isatty()
    while (run := runs.get_run(studio, run_id)).state not in TERMINAL:
        if on_terminal:
            print(f"\r  {run.state}: step {run.step} of {run.steps} ", end="", flush=True)
        time.sleep(POLL_SECONDS)
    print("\r" if on_terminal else "", f"  {run.state}: step {run.step} of {run.steps} ", sep="")
    return run


async def ask(studio: Studio, adapter_id: str, prompt: str) -> tuple[str, str, str]:
    """(prompt, the base's answer, the adapter's answer), both without sampling."""
    columns = [Column(adapter=None), Column(adapter=adapter_id)]
    request = CompareRequest(
        base_model=base_models.BUILTIN,
        messages=[{"role": "user", "content": prompt}],
        columns=columns,
        temperature=0.0,
        max_new_tokens=80,
    )
    said = ["", ""]
    async for event in compare.stream(studio, request):
        if "text" in event:
            said[event["column"]] += event["text"]
    return prompt, *said


def unpack(studio: Studio, adapter_id: str, out: Path) -> Path:
    """The adapter's zip as a person downloads it, unpacked below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    packed = out / f"{adapter_id}.zip"
    with open(packed, "wb") as file:
        for chunk in adapters.zip_chunks(studio, adapter_id):
            file.write(chunk)
    with zipfile.ZipFile(packed) as archive:
        for member in archive.namelist():
            archive.extract(member, out)
        top = Path(archive.namelist()[0]).parts[0]
    packed.unlink()
    return out / top


def show(run: Run, answers: list[tuple[str, str, str]], times: dict[str, float], folder: Path) -> None:
    fell = 1 - run.heldout_loss / run.base_heldout_loss
    print(f"  held-out loss {run.base_heldout_loss:.3f} -> {run.heldout_loss:.3f} ({fell:.0%} lower)")
    print("  " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in times.items()) + f", adapter in {folder}")
    line = f"  +{'-' * (WIDTH + 2)}+{'-' * (WIDTH + 2)}+"
    print(f"{line}\n  | {'base':<{WIDTH}} | {'adapted':<{WIDTH}} |\n{line}")
    for prompt, base, adapted in answers:
        print(f"  | {textwrap.shorten('> ' + prompt, 2 * WIDTH + 3):<{2 * WIDTH + 3}} |")
        left, right = (textwrap.wrap(text, WIDTH) or [""] for text in (base, adapted))
        for number in range(max(len(left), len(right))):
            cells = (column[number] if number < len(column) else "" for column in (left, right))
            print("  | " + " | ".join(f"{cell:<{WIDTH}}" for cell in cells) + " |")
        print(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
