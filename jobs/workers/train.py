"""Train one adapter: `accelerate launch -m jobs.workers.train <attempt folder>`."""

import contextlib
import sys

import accelerate
import torch
from accelerate import Accelerator

from jobs.workers.ending import Request, ending_in_words
from jobs.workers.report import Report
from jobs.workers.training import Training
from studio.errors import BadInput, Invalid
from studio.files import read_json
from studio.folders import AttemptFolder, data_of
from studio.plan import TrainingPlan, read_plan
from studio.resolved_plan import ResolvedPlan


def plans_of(attempt: AttemptFolder) -> tuple[TrainingPlan, ResolvedPlan]:
    """What to train, and this attempt's numbers: its own where it has some (after memory ran out), else those of the run."""
    run = attempt.run
    plan, resolved = read_json(run.plan), read_json(attempt.resolved) or read_json(run.resolved)
    if plan is None or resolved is None:
        missing = "plan.json" if plan is None else "resolved.json"
        raise BadInput(f"The run's folder has no {missing}.", "Queue the run again.")
    return read_plan(plan), ResolvedPlan.model_validate(resolved)


def check_there(attempt: AttemptFolder, plan: TrainingPlan) -> None:
    """Raises BadInput when the base or the data went away while the run waited."""
    data = data_of(attempt.run)
    base, rows = data.base_model(plan.base_model), data.dataset(plan.dataset, plan.dataset_version)
    if not base.facts.exists() or not any(base.model.glob("*.safetensors")):
        raise BadInput(
            f"The files of the base model '{plan.base_model}' are not in the data folder any more.",
            "Bring the model again on the Models page, and train again with it.",
        )
    if not rows.messages.exists():
        raise BadInput(
            f"The rows of the data set '{plan.dataset}' are not in the data folder any more.",
            "Bring the data again on the Data page, and train again with it.",
        )


def start_accelerator(resolved: ResolvedPlan) -> Accelerator:
    if resolved.device == "cuda" and not torch.cuda.is_available():
        raise Invalid(
            "The run was planned for a GPU, and the worker sees none.",
            "Look at the driver with nvidia-smi, or start the studio with --device cpu.",
        )
    mixed = "no" if resolved.precision == "fp32" else resolved.precision
    accelerator = Accelerator(mixed_precision=mixed, cpu=resolved.device == "cpu")
    if accelerator.num_processes != resolved.processes:  # started wrongly, accelerate silently trains in one process
        raise Invalid(
            f"The plan asks for {resolved.processes} processes and {accelerator.num_processes} came together.",
            "Start the run again; if it repeats, choose one device.",
            "resources.gpus",
        )
    return accelerator


def train(attempt: AttemptFolder, report: Report, request: Request) -> int:
    plan, resolved = plans_of(attempt)
    check_there(attempt, plan)
    accelerator = start_accelerator(resolved)
    report.writes = accelerator.is_main_process
    libraries = f"torch {torch.__version__}, accelerate {accelerate.__version__}, {torch.get_num_threads()} threads"
    report.say(f"Training '{plan.name or attempt.run.id}': {libraries}.")
    training = Training(attempt, plan, resolved, accelerator, report, request)
    training.load()
    training.resume()
    return training.run()


def main(folder: str, request: type[Request] = Request) -> int:
    attempt = AttemptFolder(folder)
    report = Report(attempt)
    try:
        return train(attempt, report, request(attempt))
    except Exception as error:
        ended = ending_in_words(error)
        if ended is None:
            said = f"The training stopped at an error of the program: {type(error).__name__}."
            report.result("failed", 1, "bug", said, "Look at the end of the log, and report it.")
            raise
        report.say(f"{ended.problem} {ended.fix}")
        with contextlib.suppress(OSError):  # where nothing can be written any more, the exit code still says it
            report.result(ended.status, ended.code, ended.kind, ended.problem, ended.fix)
        return ended.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
