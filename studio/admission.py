"""What must be true before a run may wait in the queue: its model and data are there, it fits the device, and the disk has room."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from studio import base_models, datasets
from studio.errors import Conflict, DoesNotFit, Invalid, NotFound, at_field
from studio.limits import check_room
from studio.memory import Estimate, estimate
from studio.plan import TrainingPlan
from studio.records import BaseModel, Dataset
from studio.studio import Studio
from studio.suites.lists import suites_named
from studio.versions.lineage import get_version

GIB = 2**30
BYTES_PER_PARAMETER = 12  # of a checkpoint: the parameter and two averages of AdamW, 4 bytes each


@dataclass(frozen=True)
class Admission:
    plan: TrainingPlan
    """The person's plan with its name and the version of its data filled in."""
    needs: Estimate
    origin: dict
    """Names of the model and the data as they are now, for the adapter's passport (RunFolder.origin)."""
    suites: list[str]
    """Ids of those that are to be answered after it."""


def admitted(studio: Studio, plan: TrainingPlan) -> Admission:
    """What the run is frozen with. Raises NotFound, Conflict, Invalid or DoesNotFit with what to do."""
    with at_field("base_model"):
        model = base_models.ready_model(studio, plan.base_model)
    with at_field("dataset"):
        dataset = datasets.get_dataset(studio, plan.dataset)
    if dataset.kind != "text" and not base_models.facts_of(model).has_chat_template:
        raise Conflict(
            f"{model.name} has no chat template, so there is no way to write a conversation for it.",
            "Choose one on its page: Models, then this model; or bring raw text, which needs none.",
        )
    with at_field("dataset_version"):
        version = get_version(studio, dataset.id, plan.dataset_version)
    plan = plan.model_copy(update={"dataset_version": version.number})
    needs = estimate(studio, plan)
    if needs.fits == "no":
        raise DoesNotFit(needs.total_bytes / GIB, needs.device_bytes / GIB)
    check_room(studio, 2 * BYTES_PER_PARAMETER * needs.trainable_parameters)
    name = plan.name or f"{dataset.name} on {model.name}"[:100]
    origin = {
        "name": name,
        "base_model": {name: getattr(model, name) for name in ("id", "name", "source", "location", "revision")},
        "dataset": {
            "id": dataset.id,
            "name": dataset.name,
            "version": version.number,
            "sha256": version.sha256,
            "rows": version.rows,
        },
    }
    return Admission(plan.model_copy(update={"name": name}), needs, origin, suites_after(studio, plan, model))


def suites_after(studio: Studio, plan: TrainingPlan, model: BaseModel) -> list[str]:
    """Ids of the suites that this plan wants answered after it. Raises NotFound, Conflict or Invalid at their setting."""
    suites = suites_named(studio, plan.training.suites)
    if suites and not base_models.facts_of(model).has_chat_template:
        raise Invalid(
            f"{model.name} has no chat template, so it can answer no suite.", "Leave the suites out.", "training.suites"
        )
    return [suite.id for suite in suites]


def check_still_there(session: Session, plan: TrainingPlan) -> None:
    """In the write that queues the run: who deletes a base or data looks for runs first, and may have been quicker than this one."""
    for kind, word, id in ((BaseModel, "base model", plan.base_model), (Dataset, "data set", plan.dataset)):
        if session.get(kind, id) is None:
            raise NotFound(word, id)
