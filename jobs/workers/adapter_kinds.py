"""Adapters of the other methods, read for a shared batch: AdaLoRA, VeRA, IA3, OFT and learned prompts, each by PEFT's own rules."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    OFTConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    VeraConfig,
)
from peft.tuners.oft.layer import OFTRotationModule

from jobs.workers.adapter_checks import NAME, Weights, check_targets, default_of, refused, sides, targeted_modules
from jobs.workers.fronts import EmbeddedFront, Front, PrefixFront
from jobs.workers.row_updates import InputFactors, OutputFactors, Rotation, RowUpdate, SharedUpdate, Update
from studio.errors import clip

# Settings that only matter while training, or say where an adapter comes from.
WITHOUT_EFFECT = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "fan_in_fan_out",
}  # fmt: skip
TARGETS = {"target_modules", "layers_to_transform", "layers_pattern"}
FRONT = {"num_virtual_tokens", "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers"}
LARGEST = 2**20  # of any count in the settings: far more than any model has
Read = dict[str, RowUpdate] | Front


@dataclass(frozen=True)
class Kind:
    """How one kind of adapter is read. Every setting that is neither understood nor without effect must be off."""

    config: type[PeftConfig]
    numbers: tuple[str, ...]  # settings that must be whole numbers above 0
    understood: set[str]
    without_effect: set[str]
    read: Callable[[Any, Any, Weights], Read]  # read(model, config, weights)


def read_other(model, values: dict, weights: Weights) -> Read:
    """The updates by module, or what stands in front. `values` is adapter_config.json. Raises BadInput for what does not fit."""
    kind, name = KINDS.get(str(values.get("peft_type"))), weights.name
    if kind is None:
        known = ", ".join(["LORA", *KINDS])
        raise refused(name, f"its method is {clip(values.get('peft_type'))}, and what can be compared is {known}")
    found = kind.read(model, checked(kind, values, name), weights)
    weights.all_taken()
    return found


def checked(kind: Kind, values: dict, name: str) -> PeftConfig:
    if values.get("task_type") not in ("CAUSAL_LM", None):
        raise refused(name, f"it is made for {clip(values['task_type'])} and not for chat")
    defaults = {field.name: default_of(field) for field in dataclasses.fields(kind.config)}
    for key in values.keys() - kind.understood - set(kind.numbers) - kind.without_effect - WITHOUT_EFFECT:
        if values[key] not in (None, False, [], {}, defaults.get(key)):
            raise refused(name, f"its setting '{clip(key)}' is not one that can be compared")
    for key in kind.numbers:
        if type(values.get(key)) is not int or not 0 < values[key] <= LARGEST:
            raise refused(name, f"its setting '{key}' is not a whole number above 0")
    try:
        config = kind.config(**{key: values[key] for key in (kind.understood | set(kind.numbers)) & values.keys()})
    except (ValueError, TypeError, AttributeError) as error:
        raise refused(name, f"PEFT does not take its settings ({clip(error)})") from None
    if "target_modules" in kind.understood:
        check_targets(config, name)
    return config


def read_adalora(model, config: AdaLoraConfig, weights: Weights) -> Read:
    """Each module keeps the triplets that its pattern says; the scale is that of all at the start."""
    alpha, pattern, modules = (
        config.lora_alpha,
        config.rank_pattern or {},
        targeted_modules(model, config, weights.name),
    )
    if type(alpha) not in (int, float) or not 0 < alpha < float("inf"):
        raise refused(weights.name, "its alpha is not a finite number above 0")
    if not isinstance(pattern, dict) or not pattern.keys() <= {f"{module}.lora_E" for module in modules}:
        raise refused(weights.name, "its rank pattern is not one of this base model's layers")
    updates = {}
    for module in modules:
        kept = pattern.get(f"{module}.lora_E", [True] * config.init_r)
        if not isinstance(kept, list) or len(kept) != config.init_r or not all(type(each) is bool for each in kept):
            raise refused(weights.name, f"its rank pattern of '{clip(module)}' is not a list of what is kept")
        (inputs, outputs), rank, at = sides(model.get_submodule(module)), sum(kept), f"base_model.model.{module}"
        right = weights.take(f"{at}.lora_A", (rank, inputs))
        values = weights.take(f"{at}.lora_E", (rank, 1))
        left = weights.take(f"{at}.lora_B", (outputs, rank))
        down, up = (right * values).T.contiguous(), left.T.contiguous()
        updates[module] = Update(down, up, alpha / (config.init_r + 1e-5))
    return updates


def read_vera(model, config: VeraConfig, weights: Weights) -> Read:
    if not config.save_projection:
        raise refused(weights.name, "its random matrices are not in its file, and made anew they may be others")
    modules = targeted_modules(model, config, weights.name)
    widths = {module: sides(model.get_submodule(module)) for module in modules}
    shared_in = weights.take("base_model.vera_A", (config.r, max(inputs for inputs, _ in widths.values()))).T
    shared_out = weights.take("base_model.vera_B", (max(outputs for _, outputs in widths.values()), config.r)).T
    return {
        module: SharedUpdate(
            shared_in[:inputs],
            shared_out[:, :outputs],
            weights.take(f"base_model.model.{module}.vera_lambda_d", (config.r,)),
            weights.take(f"base_model.model.{module}.vera_lambda_b", (outputs,)),
        )
        for module, (inputs, outputs) in widths.items()
    }


def read_ia3(model, config: IA3Config, weights: Weights) -> Read:
    ends = config.feedforward_modules or set()
    if not isinstance(ends, set) or not all(isinstance(end, str) and NAME.fullmatch(end) for end in ends):
        raise refused(weights.name, "its feed-forward modules are not a list of names")
    updates = {}
    for module in targeted_modules(model, config, weights.name):
        inputs, outputs = sides(model.get_submodule(module))
        key = f"base_model.model.{module}.ia3_l"
        if module.endswith(tuple(ends)):
            updates[module] = InputFactors(weights.take(key, (1, inputs)).flatten())
        else:
            updates[module] = OutputFactors(weights.take(key, (outputs, 1)).flatten())
    return updates


def read_oft(model, config: OFTConfig, weights: Weights) -> Read:
    size = config.oft_block_size
    updates = {}
    for module in targeted_modules(model, config, weights.name):
        inputs, _ = sides(model.get_submodule(module))
        if inputs % size:
            raise refused(weights.name, f"its blocks of {size} do not divide the {inputs} inputs of '{clip(module)}'")
        count, numbers = inputs // size, size * (size - 1) // 2
        learned = weights.take(f"base_model.model.{module}.oft_R.weight", (count, numbers))
        turning = OFTRotationModule(count, numbers, size, inputs, use_cayley_neumann=config.use_cayley_neumann)
        turning.to(learned.device).weight.data = learned
        units = torch.eye(size, device=learned.device).repeat(1, count)  # row i: the i-th unit vector in every block
        with torch.no_grad():
            turned = turning(units).unflatten(-1, (count, size))
        updates[module] = Rotation(turned.transpose(0, 1).contiguous())
    return updates


def read_prompt(model, config: PeftConfig, weights: Weights) -> Read:
    width = model.get_input_embeddings().weight.shape[1]
    return EmbeddedFront(weights.take("prompt_embeddings", (config.num_virtual_tokens, width)))


def read_prefix(model, config: PrefixTuningConfig, weights: Weights) -> Read:
    """PEFT keeps one row for each token: all layers' keys and values in turn, head by head."""
    text = model.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    tokens, layers = config.num_virtual_tokens, text.num_hidden_layers
    if (config.num_layers, config.num_attention_heads, config.token_dim) != (layers, heads, heads * size):
        raise refused(weights.name, "its prefix is made for a model with other layers or heads")
    flat = weights.take("prompt_embeddings", (tokens, layers * 2 * heads * size))
    states = flat.view(tokens, layers, 2, heads, size).permute(1, 2, 3, 0, 4).contiguous()
    return PrefixFront([(layer[0][None], layer[1][None]) for layer in states])


PROMPT_START = {"prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"}
ENCODER = {"encoder_reparameterization_type", "encoder_hidden_size", "encoder_num_layers", "encoder_dropout"}
SCHEDULE = {"total_step", "tinit", "tfinal"}
KINDS = {
    "ADALORA": Kind(
        AdaLoraConfig, ("init_r",), TARGETS | SCHEDULE | {"lora_alpha", "rank_pattern"},
        {"r", "target_r", "deltaT", "beta1", "beta2", "orth_reg_weight", "lora_dropout", "init_lora_weights"}, read_adalora,
    ),
    "VERA": Kind(VeraConfig, ("r",), TARGETS | {"save_projection"}, {"projection_prng_key", "d_initial", "vera_dropout"}, read_vera),
    "IA3": Kind(IA3Config, (), TARGETS | {"feedforward_modules"}, {"init_ia3_weights"}, read_ia3),
    "OFT": Kind(OFTConfig, ("oft_block_size",), TARGETS | {"use_cayley_neumann"}, {"module_dropout", "eps", "init_weights"}, read_oft),
    "PREFIX_TUNING": Kind(
        PrefixTuningConfig, ("num_virtual_tokens",), FRONT, {"prefix_projection", "init_weights", "encoder_hidden_size"}, read_prefix,
    ),
    "PROMPT_TUNING": Kind(PromptTuningConfig, ("num_virtual_tokens",), FRONT, PROMPT_START, read_prompt),
    "P_TUNING": Kind(PromptEncoderConfig, ("num_virtual_tokens",), FRONT, ENCODER, read_prompt),
}  # fmt: skip
