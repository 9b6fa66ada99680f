"""Facts of a tiny model, read off the model itself, for tests that do not go through the intake."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from studio.model_facts import LinearLayer, ModelFacts, OtherModule


def facts_of(folder: Path) -> ModelFacts:
    """Facts of a saved model, read off the model itself."""

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = model.config.get_text_config()
    linear = [
        LinearLayer(
            name=name,
            target=name.rpartition(".")[2],
            layer=next((int(part) for part in name.split(".") if part.isdigit()), None),
            inputs=module.nx if isinstance(module, Conv1D) else module.in_features,
            outputs=module.nf if isinstance(module, Conv1D) else module.out_features,
            bias=0 if module.bias is None else module.bias.numel(),
        )
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not model.get_output_embeddings()
    ]
    head, tied = model.get_output_embeddings(), bool(config.tie_word_embeddings)
    others = [
        OtherModule(name=name, head=module is head, shapes={kind: list(each.shape) for kind, each in own.items()})
        for name, module in model.named_modules()
        if name not in {layer.name for layer in linear}
        and not (tied and module is head)
        and (own := dict(module.named_parameters(recurse=False)))
    ]
    return ModelFacts(
        architecture=type(model).__name__, model_type=config.model_type, parameters=sum(each.numel() for each in model.parameters()), layers=config.num_hidden_layers,
        hidden_size=config.hidden_size, intermediate_size=getattr(config, "intermediate_size", 4 * config.hidden_size), heads=config.num_attention_heads,
        kv_heads=getattr(config, "num_key_value_heads", config.num_attention_heads), vocabulary=config.vocab_size, context_length=config.max_position_embeddings,
        dtype="float32", tied_embeddings=bool(config.tie_word_embeddings), linear_layers=linear, other_modules=others, has_chat_template=True,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()), fingerprint="0" * 64,
    )  # fmt: skip
