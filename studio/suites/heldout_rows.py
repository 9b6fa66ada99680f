"""A suite from rows of a data set that trainings hold out: base and adapter are asked what the adapter has never seen."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from studio import datasets
from studio.errors import Conflict, Invalid, at_field
from studio.files import read_json
from studio.folders import DatasetFolder
from studio.heldout import choose_heldout, content_hash
from studio.records import LOCAL_PERSON, Suite
from studio.resolved_plan import ResolvedPlan
from studio.row_counts import share_of_rows
from studio.rows import iter_training_rows, read_sample
from studio.runs import get_run, plan_of
from studio.studio import Studio
from studio.suites.lists import make_suite
from studio.versions.lineage import folder_of, get_version

LABEL_LETTERS = 40  # an answer that is longer is no label
LABELS_RECUR = 2  # rows for each different answer, on average, from which on short answers are taken for labels


class HeldoutRows(BaseModel):
    """Which rows, of what."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str | None = Field(None, max_length=64, description="Id of a data set. Or give `run`.")
    version: int | None = Field(None, ge=1, description="Which version of it; left out, the newest.")
    run: str | None = Field(None, max_length=64, description="Id of a training: the rows that it held out.")
    rows: int = Field(50, ge=1, le=1000, title="Rows", description="How many, at most.")
    exact: bool | None = Field(
        None, description="Whether an answer must be exactly the row's. Left out: where the answers are labels."
    )
    name: str = Field("", max_length=100, title="Name", description="Empty: named after the data.")


def suite_of_heldout(studio: Studio, asked: HeldoutRows, owner: str = LOCAL_PERSON) -> Suite:
    """Always the same rows of the same version. Raises NotFound, Invalid or Conflict where there are none to ask."""
    if (asked.dataset is None) == (asked.run is None):
        raise Invalid("Say which rows: of a data set, or of a run.", "Give one of dataset and run.", "dataset")
    field = "run" if asked.run else "dataset"
    with at_field(field):
        run = get_run(studio, asked.run) if asked.run else None
        plan = plan_of(studio, run.id) if run else None
        dataset = datasets.get_dataset(studio, plan.dataset if plan else asked.dataset)
    if dataset.kind == "text":
        raise Conflict(
            f"'{dataset.name}' is text without questions.", "Choose conversations or preference pairs.", field
        )
    with at_field("version"):
        version = get_version(studio, dataset.id, plan.dataset_version or 1 if plan else asked.version)
    folder = folder_of(studio, version)
    resolved = ResolvedPlan.model_validate(read_json(studio.data.run(run.id).resolved)) if run else None
    places = held_out(folder, resolved, plan.training.seed if plan else 0)[: asked.rows]
    prompts = [prompt_of(row) for _, row in read_sample(folder, set(places))]
    if not prompts:
        raise Conflict(f"No row of '{dataset.name}' is held out.", "Choose other data, or write the prompts.")
    judged = asked.exact if asked.exact is not None else are_labels([prompt["expected"] for prompt in prompts])
    prompts = [{**prompt, "exact": judged} for prompt in prompts]
    whose = f"the run '{run.name}'" if run else "a training with the usual held-out share"
    about = f"{len(prompts)} rows of '{dataset.name}', version {version.number}, that {whose} holds out."
    return make_suite(
        studio, asked.name or f"Held out of {dataset.name}"[:100], prompts, owner, "heldout", about=about[:500],
        dataset=dataset.id, dataset_sha256=version.sha256,
    )  # fmt: skip


def held_out(folder: DatasetFolder, resolved: ResolvedPlan | None, seed: int) -> list[int]:
    """Places of the rows that a training measures on: of this plan, or of one with the usual share."""
    marked, contents = [], []
    for row in iter_training_rows(folder):
        marked.append(bool(row.get("heldout")))
        contents.append(content_hash(row))
    wanted = resolved.heldout_rows if resolved else sum(marked) or share_of_rows("auto", len(marked), {})
    return choose_heldout(marked, contents, wanted, seed if resolved and resolved.split != "content" else None)


def prompt_of(row: dict[str, Any]) -> dict[str, Any]:
    """The conversation up to its last answer; of a pair the chosen answer is the expected one."""
    messages = [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    messages += [{"role": m["role"], "content": m["content"]} for m in row.get("chosen", ())]
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    return {"id": f"row {row['row']}", "messages": messages[:last], "expected": messages[last]["content"]}


def are_labels(answers: list[str]) -> bool:
    """Whether they are a few short answers again and again."""
    short = all(len(answer) <= LABEL_LETTERS for answer in answers)
    return short and len({answer.strip() for answer in answers}) * LABELS_RECUR <= len(answers)
