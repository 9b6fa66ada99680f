"""AdamW over the adapter's parameters: gradients of all processes summed, clipped and applied, unless they are no numbers."""

import math

import torch
from accelerate import Accelerator

from studio.resolved_plan import ResolvedPlan
from studio.training_settings import TrainingSettings

MOST_BROKEN_STEPS = 3  # steps in a row without a finite loss before a training is given up


class Diverged(Exception):
    def __init__(self, step: int, learning_rate: float):
        super().__init__(f"diverged at step {step}")
        self.step, self.learning_rate = step, learning_rate


class Optimizer:
    """One step at a time, the same in every process."""

    def __init__(
        self,
        parameters: dict[str, torch.nn.Parameter],
        resolved: ResolvedPlan,
        settings: TrainingSettings,
        accelerator: Accelerator,
    ):
        self.parameters, self.resolved, self.settings, self.accelerator = parameters, resolved, settings, accelerator
        self.adamw = torch.optim.AdamW(parameters.values(), lr=0.0, weight_decay=settings.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(accelerator.device.type, enabled=resolved.precision == "fp16")
        self.broken_steps = 0  # in a row

    def weight(self, supervised: int) -> float:
        """What a sum of losses is multiplied with, so that its gradients are those of the batch's mean (and fp16 does not underflow)."""
        return float(self.scaler.scale(torch.ones((), device=self.accelerator.device))) / supervised

    def step(self, number: int, rate: float, loss: float) -> tuple[float, bool]:
        """Apply the gradients. Returns their length before clipping, and whether they were applied. Raises Diverged."""
        for group in self.adamw.param_groups:
            group["lr"] = rate
        if self.accelerator.num_processes > 1:
            self.sum_gradients()
        self.scaler.unscale_(self.adamw)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.max_grad_norm))
        finite = math.isfinite(loss) and (math.isfinite(norm) or self.scaler.is_enabled())
        if finite:
            self.scaler.step(self.adamw)  # fp16: passes over steps whose gradients overflowed, and lowers the scale
            self.scaler.update()
        self.adamw.zero_grad(set_to_none=True)
        self.broken_steps = 0 if finite else self.broken_steps + 1
        if self.broken_steps == MOST_BROKEN_STEPS:
            raise Diverged(number, self.resolved.learning_rate)
        return norm, finite

    def sum_gradients(self) -> None:
        """Over all processes: each has those of its own rows, already divided by the whole batch's tokens."""
        every = list(self.parameters.values())
        flat = torch.cat([(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in every])
        flat = self.accelerator.reduce(flat, "sum")
        for each, gradient in zip(every, flat.split([each.numel() for each in every]), strict=True):
            each.grad = gradient.view_as(each).clone()

    def tensors(self) -> dict[str, torch.Tensor]:
        """AdamW's state by the names of its parameters; a parameter without a step yet has none."""
        return {
            f"{key}/{name}": value
            for name, parameter in self.parameters.items()
            for key, value in self.adamw.state.get(parameter, {}).items()
        }

    def numbers(self) -> dict:
        return {"scaler": self.scaler.state_dict(), "broken_steps": self.broken_steps}

    def restore(self, tensors: dict[str, torch.Tensor], numbers: dict) -> None:
        """Go on from there. Raises KeyError when there is a tensor for a parameter that is not trained."""
        state = {name: {} for name in self.parameters}
        for key, value in tensors.items():
            kind, _, name = key.partition("/")
            state[name][kind] = value
        numbered = {index: state[name] for index, name in enumerate(self.parameters) if state[name]}
        self.adamw.load_state_dict({"state": numbered, "param_groups": self.adamw.state_dict()["param_groups"]})
        self.scaler.load_state_dict(numbers["scaler"])
        self.broken_steps = numbers["broken_steps"]


def learning_rate(step: int, steps: int, warmup: int, peak: float, schedule: str) -> float:
    """For step 1 to `steps`: rises over `warmup` steps to the peak, then falls by the schedule to nearly 0."""
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup - 1) / max(1, steps - warmup)
    return peak * {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[schedule]
