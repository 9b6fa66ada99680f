"""Which LoRA layers of a model are computed by our fused functions: those known exactly; all others keep PEFT's own forward.

Parameters, state dict and saved adapter stay PEFT's. Nothing is taken on trust: the engine tries the fused model against
the unfused one, loss and gradients, and undoes the fusing where they differ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from transformers.models.llama.modeling_llama import LlamaMLP
from transformers.pytorch_utils import Conv1D

from jobs.workers.fused_lora import ACTIVATIONS, Activation, GatedMlp, Projection, SharedInput
from jobs.workers.same_code import same_code


def known(layer: torch.nn.Module) -> bool:
    """Plain LoRA over one unquantised frozen linear layer, and one adapter: no DoRA or other variant, no bias of its own."""
    return (
        untouched(layer, LoraLinear)
        and any(untouched(layer.base_layer, kind) for kind in (torch.nn.Linear, Conv1D))
        and not any(parameter.requires_grad for parameter in layer.base_layer.parameters())
        and list(layer.lora_A) == layer.active_adapters
        and len(layer.lora_A) == 1
        and not layer.lora_variant
        and not any(layer.lora_bias.values())
        and not layer.lora_embedding_A
        and layer.base_layer.weight.is_floating_point()
    )


def untouched(layer: torch.nn.Module, kind: type) -> bool:
    """Exactly of this class, computing by it: no subclass, no forward of its own, nothing hooked in."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return type(layer) is kind and "forward" not in vars(layer) and not any(hooks)


def projection_of(layer: torch.nn.Module) -> Projection | None:
    """None where the layer is not known."""
    if untouched(layer, torch.nn.Linear) and not any(parameter.requires_grad for parameter in layer.parameters()):
        return Projection(layer, transposed=False)
    if not known(layer):
        return None
    [name] = layer.lora_A
    return Projection(
        layer.base_layer,
        isinstance(layer.base_layer, Conv1D),
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
        getattr(layer.lora_dropout[name], "p", 0.0),
    )


def as_made(layers: list[torch.nn.Module], x: torch.Tensor) -> bool:
    """Whether the adapters are on and unmerged, as they were when the layers were fused."""
    for layer in layers:
        if isinstance(layer, LoraLinear) and (
            layer.disable_adapters or layer.merged or layer.active_adapters != list(layer.lora_A)
        ):
            return False
    return isinstance(x, torch.Tensor) and x.dtype == weight_of(layers[0]).dtype


def weight_of(layer: torch.nn.Module) -> torch.Tensor:
    return getattr(layer, "base_layer", layer).weight


class Group:
    """LoRA layers that are called one after another with the same tensor: the first call computes for all of them."""

    def __init__(self, layers: list[LoraLinear]):
        self.layers = layers
        self.projections = [projection_of(layer) for layer in layers]
        self.waiting: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def install(self) -> None:
        for index, layer in enumerate(self.layers):
            layer.forward = self.forward_of(index, layer.forward)

    def remove(self) -> None:
        for layer in self.layers:
            del layer.forward  # the class's own is found again

    def forward_of(self, index: int, original: Callable) -> Callable:
        def forward(x, *args, **kwargs):
            if args or kwargs or not as_made(self.layers, x):
                return original(x, *args, **kwargs)
            if index:
                computed_of, output = self.waiting.pop(index, (None, None))
                return output if computed_of is x else self.outputs(x, [self.projections[index]])[0]
            first, *others = self.outputs(x, self.projections)
            self.waiting = {number: (x, output) for number, output in enumerate(others, start=1)}
            return first

        return forward

    def outputs(self, x: torch.Tensor, projections: list[Projection]) -> tuple[torch.Tensor, ...]:
        learned = [tensor for each in projections for tensor in each.learned]
        return SharedInput.apply(x, projections, self.layers[0].training, *learned)


class Mlp:
    """A gated MLP whose code is Llama's: three linear layers, adapted or not, as one function."""

    def __init__(self, module: torch.nn.Module, activation: Activation):
        self.module, self.activation = module, activation
        self.layers = [module.gate_proj, module.up_proj, module.down_proj]
        gate, up, self.down = (projection_of(layer) for layer in self.layers)
        self.pair = [gate, up]

    def install(self) -> None:
        original = self.module.forward
        learned = [tensor for each in (*self.pair, self.down) for tensor in each.learned]

        def forward(x):
            if not as_made(self.layers, x):
                return original(x)
            return GatedMlp.apply(x, self.pair, self.down, self.activation, self.module.training, *learned)

        self.module.forward = forward

    def remove(self) -> None:
        del self.module.forward


def activation_of(module: torch.nn.Module) -> Activation | None:
    """Which known function this module computes, told by what it makes of some numbers."""
    numbers = torch.linspace(-6, 6, 97)
    with torch.no_grad():
        found = module(numbers)
        return next((each for each in ACTIVATIONS if torch.allclose(each.forward(numbers), found, atol=1e-6)), None)


def gated_mlps(model: torch.nn.Module) -> list[Mlp]:
    """Those with at least one adapted layer, all of whose layers are known."""
    found = []
    for module in model.modules():
        layers = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
        if (
            any(isinstance(layer, LoraLinear) for layer in layers)
            and all(layer is not None and projection_of(layer) for layer in layers)
            and untouched(module, type(module))
            and same_code(type(module).forward, LlamaMLP.forward)
            and (activation := activation_of(module.act_fn))
        ):
            found.append(Mlp(module, activation))
    return found


def groups(model: torch.nn.Module, run: Callable[[], object]) -> list[Group]:
    """The known LoRA layers, those together that `run` (a forward pass) calls one after another with the same tensor."""
    calls: list[tuple[torch.nn.Module, object]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: calls.append((layer, given[0] if given else None)))
        for layer in model.modules()
        if known(layer)
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    together: list[list[torch.nn.Module]] = []
    seen, last = set(), None
    for layer, given in calls:
        if layer in seen:
            continue  # a layer that is used twice is computed alone each time after the first
        seen.add(layer)
        if together and given is last and layer.training == together[-1][-1].training:
            together[-1].append(layer)
        else:
            together.append([layer])
        last = given
    return [Group(layers) for layers in together]


@dataclass(frozen=True)
class Fused:
    """What was replaced, so that it can be put back."""

    parts: list[Mlp | Group]

    @property
    def layers(self) -> int:
        return sum(isinstance(layer, LoraLinear) for part in self.parts for layer in part.layers)

    def undo(self) -> None:
        for part in self.parts:
            part.remove()


def fuse(model: torch.nn.Module, run: Callable[[], object], mlps: bool = True) -> Fused:
    """Compute the known LoRA layers of the model by fused functions; `run` is a forward pass that shows which belong together."""
    whole = gated_mlps(model) if mlps else []
    inside = {layer for mlp in whole for layer in mlp.layers}
    parts = [*whole, *(group for group in groups(model, run) if not inside & set(group.layers))]
    for part in parts:
        part.install()
    return Fused(parts)
