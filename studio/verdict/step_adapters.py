"""A checkpoint becomes an adapter of its own: the step that a verdict says to keep, or any other that the run still has."""

import shutil
from datetime import UTC, datetime

from sqlalchemy import select

from studio import metrics, runs
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.errors import Conflict, clip
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, RunFolder, new_id
from studio.records import LOCAL_PERSON, Adapter, Run
from studio.studio import Studio

SOURCE = "checkpoint"
MOST_LETTERS = 100  # of a name


def adapter_of_step(studio: Studio, run_id: str, step: int, owner: str = LOCAL_PERSON) -> Adapter:
    """Asked again for the same step, the adapter that it made is answered.

    Raises NotFound for the run, Conflict where it has no such checkpoint (any more), BadInput where that is not whole.
    """
    run = runs.get_run(studio, run_id)
    kept = steps_kept(studio.data.run(run_id))
    if step not in kept:
        there = f"It has those of {', '.join(f'step {each}' for each in kept)}." if kept else "It has none."
        raise Conflict(
            f"'{clip(run.name)}' has no checkpoint of step {step:,}. {there}",
            "Clone the run with 'Adapter kept: best'.",
            "step",
        )
    source = studio.data.run(run_id).checkpoints()[step].adapter
    check_adapter(source)
    sha256 = sha256_of(source.weights)
    if known := _made_before(studio, run, sha256):
        return known
    id = new_id()
    folder = studio.data.adapter(id)
    put_in_place(source.path, folder.path)
    try:
        adapter = _described(studio, run, step, id, owner, folder, sha256)
        with studio.database.write() as session:
            session.add(adapter)
        return adapter
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def steps_kept(run: RunFolder) -> list[int]:
    """Steps whose checkpoints hold an adapter, in order."""
    return sorted(step for step, folder in run.checkpoints().items() if folder.adapter.weights.exists())


def _made_before(studio: Studio, run: Run, sha256: str) -> Adapter | None:
    same = (Adapter.source == SOURCE, Adapter.sha256 == sha256, Adapter.base_model == run.base_model)
    with studio.database.read() as session:
        return session.scalar(select(Adapter).where(*same).limit(1))


def _described(studio: Studio, run: Run, step: int, id: str, owner: str, folder: AdapterFolder, sha256: str) -> Adapter:
    """Its row; its passport is that of the run's adapter with this step's results, and says nothing that was not measured of it."""
    name = f"{run.name[: MOST_LETTERS - 20]} (step {step})"
    measured = metrics.series(studio, run.id, ("heldout_loss", "loss"), points=4000)
    at = {key: dict(zip(found["x"], found["y"], strict=True)).get(step) for key, found in measured.items()}
    whole = read_json(studio.data.adapter(run.id).passport, {})
    passport = {
        **read_json(folder.passport, {}),
        **{key: value for key, value in whole.items() if key not in ("verdict", "votes")},
    }
    results = {**(passport.get("results") or {}), "step": step, "loss": at["loss"], "heldout_loss": at["heldout_loss"]}
    for about_the_end in (
        "verdict",
        "heldout_accuracy",
        "heldout_margin",
        "best_step",
        "best_heldout_loss",
        "seconds",
        "tokens",
    ):
        results.pop(about_the_end, None)
    made = {"name": name, "run": run.id, "results": results, "adapter_sha256": sha256}
    write_json(
        folder.passport,
        {"version": 1, **passport, **made, "created_at": datetime.now(UTC).isoformat(timespec="seconds")},
    )
    card = f"# {name}\n\nThe adapter as it was at step {step} of a training in LoRA Studio; `passport.json` holds every setting.\n"
    folder.card.write_text(f"---\nlibrary_name: peft\npipeline_tag: text-generation\n---\n\n{card}", encoding="utf-8")
    method = read_json(studio.data.run(run.id).plan, {}).get("method", {})
    return Adapter(
        id=id, owner=owner, name=name, base_model=run.base_model, source=SOURCE, method=run.method, rank=method.get("rank"), size_bytes=size_of(folder.path), sha256=sha256,
        heldout_loss=at["heldout_loss"], base_heldout_loss=run.base_heldout_loss,
    )  # fmt: skip
