"""AdamW over the adapter's parameters: gradients of all processes summed, clipped and applied, unless they are no numbers.

AdamW is torch's own (Loshchilov and Hutter 2019, arXiv:1711.05101); with its averages in 8 bits, or in memory that a full GPU
may page out, it is bitsandbytes' (Dettmers et al. 2022, arXiv:2110.02861).
"""

import math
from collections.abc import Callable, Iterable

import torch
from accelerate import Accelerator

from studio.methods import METHODS
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan
from studio.training_settings import TrainingSettings

TABLES = ("qmap1", "qmap2")  # what 8 bits stand for: the same for all parameters, and made anew when a run goes on
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
        rates: dict[str, float] | None = None,
    ):
        """`rates` are what the learning rate is multiplied by for a parameter; 1 for those that are not named."""
        self.parameters, self.resolved, self.settings, self.accelerator = parameters, resolved, settings, accelerator
        self.adamw = adamw_of(settings.optimizer, groups_of(parameters, rates or {}), settings.weight_decay)
        self.scaler = torch.amp.GradScaler(accelerator.device.type, enabled=resolved.precision == "fp16")
        self.broken_steps = 0  # in a row

    def weight(self, supervised: int) -> float:
        """What a sum of losses is multiplied with, so that its gradients are those of the batch's mean (and fp16 does not underflow)."""
        return float(self.scaler.scale(torch.ones((), device=self.accelerator.device))) / supervised

    def step(
        self, number: int, rate: float, loss: float, after_step: Callable[[int], None] = lambda number: None
    ) -> tuple[float, bool]:
        """Apply the gradients. Returns their length before clipping, and whether they were applied. Raises Diverged.

        `after_step` is called with the step's number once they were applied, while they are still there.
        """
        for group in self.adamw.param_groups:
            group["lr"] = rate * group["times"]
        if self.accelerator.num_processes > 1:
            self.sum_gradients()
        self.scaler.unscale_(self.adamw)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.max_grad_norm))
        finite = math.isfinite(loss) and (math.isfinite(norm) or self.scaler.is_enabled())
        if finite:
            self.scaler.step(self.adamw)  # fp16: passes over steps whose gradients overflowed, and lowers the scale
            self.scaler.update()
            if math.isfinite(norm):
                after_step(number)
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
        return {key: value for key, value in self.state().items() if isinstance(value, torch.Tensor)}

    def numbers(self) -> dict:
        """What a checkpoint keeps besides tensors, as JSON knows it."""
        counts = {key: value for key, value in self.state().items() if not isinstance(value, torch.Tensor)}
        return {"scaler": self.scaler.state_dict(), "broken_steps": self.broken_steps, "counts": counts}

    def state(self) -> dict[str, torch.Tensor | int]:
        return {
            f"{key}/{name}": value
            for name, parameter in self.parameters.items()
            for key, value in self.adamw.state.get(parameter, {}).items()
            if key not in TABLES
        }

    def restore(self, tensors: dict[str, torch.Tensor], numbers: dict) -> None:
        """Go on from there. Raises KeyError when there is a tensor for a parameter that is not trained."""
        for key, value in {**tensors, **numbers["counts"]}.items():
            kind, _, name = key.partition("/")
            self.restore_one(self.parameters[name], kind, value)
        self.scaler.load_state_dict(numbers["scaler"])
        self.broken_steps = numbers["broken_steps"]

    def restore_one(self, parameter: torch.nn.Parameter, kind: str, value: torch.Tensor | int) -> None:
        """Not by load_state_dict: torch's would turn averages in 8 bits into the parameter's own type."""
        state = self.adamw.state[parameter]
        if not state and hasattr(
            self.adamw, "init_state"
        ):  # bitsandbytes: where pages may be moved out, it must say so itself
            group = next(group for group in self.adamw.param_groups if any(parameter is one for one in group["params"]))
            self.adamw.init_state(group, parameter, 0, 0)
            state = self.adamw.state[parameter]
        if isinstance(value, torch.Tensor) and isinstance(state.get(kind), torch.Tensor):
            state[kind].copy_(value)
        else:
            state[kind] = value.to(parameter.device) if isinstance(value, torch.Tensor) else value


def rates_of(plan: TrainingPlan, names: Iterable[str]) -> dict[str, float]:
    """What the plan's method multiplies the learning rate with, by parameter."""
    rate_of = METHODS[plan.method.name].rate_of
    return {} if rate_of is None else {name: rate_of(plan.method, name) for name in names}


def groups_of(parameters: dict[str, torch.nn.Parameter], rates: dict[str, float]) -> list[dict]:
    """Parameter groups of the same rate, in the order of the parameters."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in parameters.items():
        groups.setdefault(rates.get(name, 1.0), []).append(parameter)
    return [{"params": members, "times": times} for times, members in groups.items()]


def adamw_of(name: str, parameters: list[dict], weight_decay: float) -> torch.optim.Optimizer:
    """The optimizer of that name in the plan; its learning rate is set before each step."""
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=weight_decay, fused=True)
    import bitsandbytes  # only here: it takes seconds to load, and most runs do without

    kinds = {"adamw_8bit": "AdamW8bit", "paged_adamw": "PagedAdamW", "paged_adamw_8bit": "PagedAdamW8bit"}
    return getattr(bitsandbytes.optim, kinds[name])(parameters, lr=0.0, weight_decay=weight_decay)


def learning_rate(step: int, steps: int, warmup: int, peak: float, settings: TrainingSettings) -> float:
    """For step 1 to `steps`: rises over `warmup` steps to the peak, then falls by the schedule to nearly 0.

    warmup-stable-decay stays at the peak and falls over the last `decay_ratio` of all steps by 1 - sqrt (Hägele et al. 2024,
    arXiv:2405.18392).
    """
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup - 1) / max(1, steps - warmup)
    match settings.schedule:
        case "constant":
            return peak
        case "linear":
            return peak * (1 - done)
        case "cosine":
            return peak * 0.5 * (1 + math.cos(math.pi * done))
    decay = max(1, round(settings.decay_ratio * steps))
    return peak * (1 - math.sqrt(max(0, step - 1 - max(warmup, steps - decay)) / decay))
