"""What every training method declares: its name, its settings, how large it is, how it is put on a base model and what it cannot do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from studio.model_facts import ModelFacts

Shapes = dict[str, tuple[int, ...]]


class MethodSettings(BaseModel):
    """Settings of one method. Frozen, strict about types, and unknown fields are refused.

    A field's title, description, limits and json_schema_extra ({"advanced": True} folds it away, {"slider": [from, to]}
    offers that range) make its input on the form, its entry in the API's schema and its check: there is no second list
    of settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str


@dataclass(frozen=True)
class Rate:
    """The learning rate that "auto" means for a method, as a multiple of the one that suits LoRA on the same base."""

    times: float = 1.0
    because: str = ""
    """One sentence for the person on why it differs; empty where it does not."""


class StepHooks:
    """What a method does in each optimiser step besides getting gradients. This one does nothing.

    `Method.step_hooks(settings, model, steps)` makes one for a training, when the number of its steps is known.
    """

    def penalty(self) -> Any | None:
        """A scalar tensor that is added to the step's mean loss, or None. Its gradient counts once per optimiser step."""
        return None

    def after_step(self, step: int) -> None:
        """The parameters have just taken step `step` (from 1), and their gradients are still there."""

    def tensors(self) -> dict[str, Any]:
        """What a checkpoint must hold besides the trained parameters, so that the training goes on bit for bit."""
        return {}

    def restore(self, tensors: dict[str, Any]) -> None:
        """Go on from what `tensors` gave. The parameters have been put back already."""

    def before_save(self) -> None:
        """The model's parameters are about to be saved as its adapter, as they stand now."""


def _nothing_beside(settings: Any, model: Any, steps: int) -> StepHooks:
    return StepHooks()


def _no_positions(settings: Any) -> int:
    return 0


def _no_limits(settings: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Method:
    name: str
    title: str
    settings: type[MethodSettings]
    check: Callable[[Any, "ModelFacts"], None]
    """check(settings, facts): raises Invalid when the settings cannot be used on a model with these facts."""
    trainable_parameters: Callable[[Any, "ModelFacts"], int]
    """trainable_parameters(settings, facts): how many numbers this method would learn on that model."""
    modules: Callable[[Any, "ModelFacts"], list[tuple[str, int, int]]]
    """modules(settings, facts): (name, inputs, outputs) of every linear layer that the method changes: what memory follows from."""
    add_to: Callable[[Any, Any], Any]
    """add_to(settings, model): the transformers model with the method's parameters added (a PeftModel). Imports torch inside.
    A method whose settings have new_tokens is given token_ids=[...] too where there are some: their ids, in that order."""
    saved: Callable[[Any, "ModelFacts"], Shapes]
    """saved(settings, facts): name and shape of every tensor in its file."""
    summary: str = ""
    """One plain sentence beside its name on the form: what it learns, and when to take it."""
    place: int = 100
    """Where it stands among the methods on the form: lower ones first."""
    rate: Rate = field(default_factory=Rate)
    positions: Callable[[Any], int] = _no_positions
    """positions(settings): how many of the model's positions it takes in front of every row (virtual tokens)."""
    cannot: Callable[[Any], Mapping[str, str]] = _no_limits
    """cannot(settings): choice → why these settings do not work with it, a sentence for the person.

    The choices: "gradient_checkpointing" and "nf4", "int8" (refused before a run is queued), "merge" (refused when it
    is asked for), "batch" (its answers are written in turn, not in one batch with the base's).
    """
    step_hooks: Callable[[Any, Any, int], StepHooks] = _nothing_beside
    """step_hooks(settings, model, steps): what it does in each of the training's steps. Imports torch inside."""
    rate_of: Callable[[Any, str], float] | None = None
    """rate_of(settings, parameter name): what the learning rate is multiplied by for this parameter. None: 1 for all."""
    start_from_data: Callable[[Any, Any, Callable[[], list[dict]]], dict[str, Any]] | None = None
    """start_from_data(settings, model, batches): what the training starts from, as tensors by name, told by rows of the data.
    batches() gives some (dicts with input_ids and attention_mask); it is not called when these settings do not ask for it."""
    put_start: Callable[[Any, Any, dict[str, Any]], None] | None = None
    """put_start(settings, model, tensors): set the model to what start_from_data found: now, or before a checkpoint is loaded."""
    made_portable: Callable[[Any, Any, Path], None] | None = None
    """made_portable(settings, model, folder): rewrite the adapter that PEFT has saved so that it works on the base as it is."""

    def settings_told(self, told: Any) -> Any:
        """The settings that a passport tells; those that the method comes with where somebody else wrote it and they are none."""
        try:
            return self.settings.model_validate(told)
        except ValidationError:
            return self.settings(name=self.name)
