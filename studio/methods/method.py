"""What every training method declares: its name, its settings, how large it is and how it is put on a base model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from studio.model_facts import ModelFacts


class MethodSettings(BaseModel):
    """Settings of one method. Frozen, strict about types, and unknown fields are refused.

    A field's title, description, limits and json_schema_extra ({"advanced": True} folds it away, {"slider": [from, to]}
    offers that range) make its input on the form, its entry in the API's schema and its check: there is no second list
    of settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str


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
    """modules(settings, facts): (name, inputs, outputs) of every linear layer that the method changes: what memory and file size follow from."""
    add_to: Callable[[Any, Any], Any]
    """add_to(settings, model): the transformers model with the method's parameters added (a PeftModel). Imports torch inside."""
