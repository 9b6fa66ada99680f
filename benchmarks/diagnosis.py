"""What verdict and doctor say of trainings as they should be and of spoilt ones: `python -m benchmarks.diagnosis`, about ten minutes on one core."""

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jobs.demo import a_runner
from studio import base_models, dataset_uploads, datasets, runs
from studio.doctor.diagnosis import diagnosis
from studio.doctor.reading import chart_of
from studio.plan import read_plan
from studio.records import TERMINAL
from studio.resolve import learning_rate
from studio.rows import iter_training_rows
from studio.settings import StudioSettings
from studio.studio import Studio

FEW_ROWS = 24


def plans(studio: Studio, folder: Path) -> Iterator[tuple[str, dict]]:
    """(name, plan) of each training."""
    sets = {each.builtin_id: each.id for each in datasets.list_datasets(studio, limit=200).items}
    for name, id in sets.items():
        yield name, {"dataset": id}
    pirate = sets["pirate"]
    facts = base_models.facts_of(base_models.ready_model(studio, base_models.BUILTIN))
    usual = learning_rate(read_plan({"base_model": base_models.BUILTIN, "dataset": pirate}), facts, {})
    for name, times in (("× 100", 100), ("× 10", 10), ("÷ 10", 0.1), ("÷ 100", 0.01)):
        yield f"pirate, learning rate {name}", {"dataset": pirate, "training": {"learning_rate": usual * times}}
    yield "pirate, 2 steps", {"dataset": pirate, "training": {"max_steps": 2}}
    few = folder / "few.jsonl"
    rows = [row for row, _ in zip(iter_training_rows(studio.data.dataset(pirate)), range(FEW_ROWS), strict=False)]
    few.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in rows))
    made = dataset_uploads.add_upload(studio, few, few.name, "A few rows")
    long = {"epochs": 20.0, "validation": 0.45, "batch_size": 4}
    yield "13 rows of pirate, 20 epochs", {"dataset": made.id, "training": long}


def told(studio: Studio, id: str) -> str:
    """One line of the table."""
    run = runs.get_run(studio, id)
    chart = chart_of(studio, run)
    said = "; ".join(f"{finding.title}: {finding.seen}" for finding in diagnosis(chart)) or "nothing"
    early = [step for step in range(1, run.step) if diagnosis(replace(chart.until(step), ended=False))]
    first = f" (while it ran: from step {early[0]} on)" if early else ""
    return f"| {run.name} | {run.base_heldout_loss:.2f} → {run.heldout_loss:.2f} | {run.verdict} | {said}{first} |"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        studio = Studio.open(StudioSettings(data_folder=Path(name) / "data"))
        base_models.add_builtin(studio)
        datasets.add_builtins(studio)
        queued = [
            runs.queue_run(studio, read_plan({"name": called, "base_model": base_models.BUILTIN, **plan})).id
            for called, plan in plans(studio, Path(name))
        ]
        with a_runner(studio):
            for id in queued:
                while runs.get_run(studio, id).state not in TERMINAL:
                    time.sleep(1)
                print(told(studio, id), flush=True)


if __name__ == "__main__":
    main()
