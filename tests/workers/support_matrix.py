"""What every method really can, tried on a tiny model: `python -m tests.workers.support_matrix` writes it into docs/methods.md."""

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from jobs.workers import train as worker
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.methods import METHODS
from studio.plan import read_plan
from tests.workers.method_cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
BEGIN, END = "<!-- support matrix: python -m tests.workers.support_matrix -->", "<!-- end of the support matrix -->"
HEADINGS = ("Method", "Trains", "Resumes", "Plain PEFT", "Merges", "Answers in the chat", "On a 4-bit base")
MERGED_SAME = 2e-5  # of the largest logit
STEPS = 4
RATE = 2e-3  # for LoRA on the tiny model; other methods take their own multiple


@dataclass(frozen=True)
class Outcome:
    """One row of the table: what was seen, in words."""

    title: str
    trains: str
    resumes: str
    plain_peft: str
    merges: str
    answers: str
    on_nf4: str

    @property
    def row(self) -> str:
        return line(self.title, self.trains, self.resumes, self.plain_peft, self.merges, self.answers, self.on_nf4)


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def refused(settings, choice: str) -> str | None:
    """Why the method itself refuses this choice, as the form and the API say it."""
    return METHODS[settings.name].cannot(settings).get(choice)


def prove(place, title: str, method: dict, training: dict) -> Outcome:
    """Train it and try everything. `place` is a TrainingPlace with nothing in it yet."""
    from tests.workers.training_place import adapter_of, equal

    attempt, result = trained(place, "straight", method, training)
    settings = read_plan(read_json(attempt.run.plan)).method
    quantization = training.get("quantization", "none")
    resumed = adapter_of(stopped_and_resumed(place, method, training))
    return Outcome(
        title=title,
        trains="yes" if result["heldout_loss"] < result["base_heldout_loss"] else "no",
        resumes="bit for bit" if equal(adapter_of(attempt), resumed) else "no",
        plain_peft="the same" if in_plain_peft(place, attempt, quantization) else "no",
        merges=merging(place, attempt, settings, quantization),
        answers=answering(place, attempt, settings, quantization),
        on_nf4=on_nf4(place, settings, method, quantization),
    )


def trained(place, run: str, method: dict, training: dict) -> tuple[AttemptFolder, dict]:
    from tests.workers.plain_peft import Telling
    from tests.workers.training_place import train_here

    attempt, usual = queued(place, run, method, training), worker.Training
    worker.Training = Telling
    try:
        result = train_here(attempt)
    finally:
        worker.Training = usual
    assert result["status"] == "succeeded", result["problem"]
    return attempt, result


def queued(place, run: str, method: dict, training: dict) -> AttemptFolder:
    rate = min(0.1, RATE * METHODS[method["name"]].rate.times)
    numbers = {"evaluate_every": 1000, "checkpoint_every": 1000, "learning_rate": rate}
    return place.queue(run, resolved=numbers, method=method, training={"max_steps": STEPS, **training})


def stopped_and_resumed(place, method: dict, training: dict) -> AttemptFolder:
    from tests.workers.training_place import asking, train_here

    first = queued(place, "stopped", method, training)
    train_here(first, asking("pause", STEPS // 2))
    second = first.run.attempt(2).create()
    train_here(second)
    return second


def in_plain_peft(place, attempt: AttemptFolder, quantization: str) -> bool:
    """Whether every logit of the held-out rows is the worker's, on a fresh base with the adapter as anybody puts it there."""
    from tests.workers.plain_peft import SAME, difference

    return difference(place.data.base_model("tiny").model, attempt.adapter, quantization) <= SAME


def base_of(place, quantization: str):
    from jobs.workers.load import load_base_model

    return load_base_model(place.data.base_model("tiny").model, "fp32", "cpu", quantization)


def merging(place, attempt: AttemptFolder, settings, quantization: str) -> str:
    from jobs.workers.merge import merge_adapter
    from studio.errors import Invalid

    out = attempt.path / "merged"
    try:
        merged = merge_adapter(place.data.base_model("tiny").model, attempt.adapter, out, quantization)
    except Invalid as error:
        return f"no: {error.problem}" if error.problem == refused(settings, "merge") else f"refused otherwise: {error}"
    return "yes" if merged.difference <= MERGED_SAME else f"differs by {merged.difference:.1e}"


def answering(place, attempt: AttemptFolder, settings, quantization: str) -> str:
    """In one batch with the base, compared with PEFT's own answers; or in turn, where the method says so."""
    from jobs.workers.adapters_in_memory import RowAdapters, load_adapter
    from jobs.workers.self_check import GOOD, check_adapter
    from studio.tokens import ChatTokenizer

    base, tokenizer = base_of(place, quantization), ChatTokenizer.load(attempt.adapter)
    adapter = load_adapter(base, place.facts.fingerprint, "id", attempt.adapter)
    if adapter.alone:
        why = refused(settings, "batch")
        return f"in turn: {why}" if why else "in turn, and nobody says why"
    found = check_adapter(base, RowAdapters(base), tokenizer, adapter)
    return "in one batch with the base" if found in GOOD and not refused(settings, "batch") else found


def on_nf4(place, settings, method: dict, quantization: str) -> str:
    """Trained on a base in 4 bits, and the same on it in plain PEFT."""
    if quantization != "none":
        return "is on 4 bits" if quantization == "nf4" else "is on 8 bits"
    if why := refused(settings, "nf4"):
        return f"no: {why}"
    attempt, _ = trained(place, "nf4", method, {"quantization": "nf4", "max_steps": 2})
    return "yes" if in_plain_peft(place, attempt, "nf4") else "not the same"


def table(rows: list[str]) -> str:
    return "\n".join([BEGIN, "", line(*HEADINGS), line(*["---"] * len(HEADINGS)), *rows, "", END])


def rows_on_the_page() -> list[str]:
    between = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return [row for row in between.splitlines() if row.startswith("| ")][2:]


def main() -> None:
    from tests.workers.tiny_models import save_model_folder
    from tests.workers.training_place import training_place

    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        base = save_model_folder(Path(temporary) / "base")
        for number, case in enumerate(CASES):
            rows.append(prove(training_place(Path(temporary) / str(number), base), *case).row)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + table(rows) + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
