"""The base as it was before the first step, in a model that has been trained since."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from jobs.workers.engine import Engine
from studio.methods.lora_targets import REPLACES_BASE
from studio.plan import TrainingPlan

Tensors = dict[str, torch.Tensor]


def remember_base(plan: TrainingPlan, model, parameters: Tensors) -> Tensors:
    """What turning the adapter off does not bring back: the start of PiSSA and OLoRA, which took that part out of the base's
    weights, and the base's own biases where they are trained. `parameters`: the trained ones, before the first step."""
    if getattr(plan.method, "init", None) in REPLACES_BASE:
        start = {name: model.start.get(name.replace(".default.", ".")) for name in parameters}
        return {name: values for name, values in start.items() if values is not None}
    own = (name for name in parameters if name.endswith(".bias") and "modules_to_save" not in name)
    return {name: parameters[name].detach().clone() for name in own if "lora_" not in name}


@contextmanager
def as_base(engine: Engine, plan: TrainingPlan, parameters: Tensors, remembered: Tensors) -> Iterator[None]:
    """The model answers and measures as the base, while this holds. The trained parameters come back afterwards."""
    trained = {name: parameters[name].detach().clone() for name in remembered}
    put(parameters, remembered)
    try:
        if getattr(plan.method, "init", None) in REPLACES_BASE:
            yield  # with its start put back the adapter is what was taken out of the base
        else:
            with engine.as_base():
                yield
    finally:
        put(parameters, trained)


def put(parameters: Tensors, values: Tensors) -> None:
    with torch.no_grad():
        for name, each in values.items():
            parameters[name].copy_(each)
