"""LoRA: freeze the base model and learn two small matrices beside each targeted layer (Hu et al. 2021, arXiv:2106.09685)."""

import warnings

from studio.methods import lora_start
from studio.methods.lora_checks import cannot, check
from studio.methods.lora_settings import LoraSettings
from studio.methods.lora_targets import pattern_key, saved, trainable_parameters
from studio.methods.method import Method
from studio.methods.targeting import keeps_weights_transposed, peft_targets, targeted

FULL_SVD_UP_TO = 1024  # hidden size; above it PiSSA's fast decomposition is as good and many times faster
PISSA_ROUNDS = 16  # of the fast decomposition, as in PiSSA's paper


def add_to(settings: LoraSettings, model, token_ids: list[int] | None = None):
    """The model as a PeftModel with an untrained adapter named "default". `token_ids` are those of `new_tokens`, in that order."""
    from peft import LoraConfig, get_peft_model  # here, not above: the web process must never load torch

    whole = _modules_trained_whole(settings, model)
    tied = model.get_output_embeddings() is not None and _tied(model)
    with warnings.catch_warnings():
        # of ways to save PiSSA and to find EVA's start that are not the ones taken here (lora_start.py)
        warnings.filterwarnings("ignore", "Using Rank-Stabilized LoRA|lora with eva initialization", UserWarning)
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            bias=settings.bias,
            use_rslora=settings.rslora,
            use_dora=settings.dora,
            rank_pattern=dict(settings.rank_pattern),
            alpha_pattern=dict(settings.alpha_pattern),
            target_modules=peft_targets(settings, model),
            init_lora_weights=_start(settings, model),
            modules_to_save=whole or None,
            ensure_weight_tying=bool(whole) and tied,
            trainable_token_indices=_rows(model, token_ids, tied),
            fan_in_fan_out=keeps_weights_transposed(model),
            **lora_start.eva_options(settings),
        )
        adapted = get_peft_model(model, config)
    lora_start.remember(settings, adapted)
    return adapted


def rate_of(settings: LoraSettings, name: str) -> float:
    """LoRA+: the second matrix, which starts at zero, takes larger steps (Hayou et al. 2024, arXiv:2402.12354)."""
    return settings.loraplus_ratio if ".lora_B." in name else 1.0


def _start(settings: LoraSettings, model) -> str | bool:
    if settings.init == "default":
        return True
    if settings.init == "pissa" and model.config.hidden_size > FULL_SVD_UP_TO:
        return f"pissa_niter_{PISSA_ROUNDS}"
    return settings.init


def _modules_trained_whole(settings: LoraSettings, model) -> list[str]:
    """Full names: PEFT takes any name that ends like one of the list, "input_layernorm" for "norm" too."""
    return [
        name
        for name, module in model.named_modules()
        if pattern_key(settings.modules_to_save, name) and next(module.parameters(recurse=False), None) is not None
    ]


def _rows(model, token_ids: list[int] | None, tied: bool) -> dict[str, list[int]] | None:
    """The rows that are trained of the embedding, and of an output layer of its own."""
    if not token_ids:
        return None
    tables = [model.get_input_embeddings(), *([] if tied else [model.get_output_embeddings()])]
    return {name: sorted(token_ids) for name, module in model.named_modules() if any(module is one for one in tables)}


def _tied(model) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


METHOD = Method(
    name="lora",
    title="LoRA",
    settings=LoraSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    saved=saved,
    add_to=add_to,
    summary="Two small matrices beside each layer. The usual choice: quick, small, and mostly as good as training every weight.",
    place=10,
    cannot=cannot,
    rate_of=rate_of,
    start_from_data=lora_start.start_from_data,
    put_start=lora_start.put_start,
    made_portable=lora_start.made_portable,
)
