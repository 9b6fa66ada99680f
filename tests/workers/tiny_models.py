"""Tiny models with random weights, made on the spot: a base in a prepared folder, and adapters for it."""

from hashlib import sha256
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from studio.files import write_json
from studio.records import Adapter, BaseModel
from tests.workers.tiny_facts import facts_of

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEXT = "The lighthouse keeper counts the ships: one, two, three. Café, naïve, 你好, 😀 and a résumé. Tell me about your day! "
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def tiny_tokenizer(vocabulary: int = 400) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on one line, with a chat template whose turns end in <|end|>."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|begin|>", eos_token="<|end|>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def tiny_model(model_type: str = "llama", seed: int = 0, vocabulary: int = 400, context: int = 256, **changes):
    """A random model of this architecture in fp32, with weights wide enough that answers differ."""
    config = AutoConfig.for_model(
        model_type, **{**SIZES, "vocab_size": vocabulary, "max_position_embeddings": context, **changes}
    )
    config.pad_token_id, config.bos_token_id, config.eos_token_id = 0, 1, 2
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.3)
    return model


def save_model_folder(folder: Path, **options) -> Path:
    """A folder with config, safetensors and tokenizer, as a person would bring it and as transformers loads it."""
    tokenizer = tiny_tokenizer()
    tiny_model(**{"vocabulary": len(tokenizer), **options}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_adapter(folder: Path, model, seed: int = 1, strength: float = 0.3, **settings) -> Path:
    """A LoRA adapter with random weights (B too), saved by PEFT itself. `model` is left as it was."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    before = {name: bias.detach().clone() for name, bias in model.named_parameters() if name.endswith("bias")}
    adapted = get_peft_model(
        model,
        LoraConfig(task_type="CAUSAL_LM", **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings}),
    )
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_B" in name or (weights.requires_grad and name.endswith("bias")):
                weights.normal_(0, strength)
    adapted.save_pretrained(folder)
    adapted.unload()
    with torch.no_grad():
        for name, bias in before.items():
            model.get_parameter(name).copy_(bias)
    return folder


def add_tiny_base(studio, id: str = "tinybase", **options) -> BaseModel:
    """A ready base model of the studio, in its clean folder, with a chat template."""
    folder = studio.data.base_model(id).create()
    model = tiny_model(vocabulary=len(tiny_tokenizer()), **options)
    model.save_pretrained(folder.model)
    tiny_tokenizer().save_pretrained(folder.model)
    weights = (folder.model / "model.safetensors").read_bytes()
    facts = facts_of(folder.model).model_copy(
        update={"fingerprint": sha256(weights).hexdigest(), "size_bytes": len(weights)}
    )
    write_json(folder.facts, facts.model_dump())
    base = BaseModel(
        id=id,
        name=f"tiny {id}",
        source="local",
        location=id,
        parameters=facts.parameters,
        fingerprint=facts.fingerprint,
        facts=facts.model_dump(),
    )
    with studio.database.write() as session:
        session.add(base)
    return base


def add_tiny_adapter(studio, base: BaseModel, id: str = "tinyadapter", **options) -> Adapter:
    """A random adapter on this base, as a training leaves one behind."""
    folder = studio.data.adapter(id).create()
    save_adapter(folder.path, AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model), **options)
    write_json(folder.passport, {"version": 1, "base_model": {"id": base.id, "fingerprint": base.fingerprint}})
    weights = folder.weights.read_bytes()
    adapter = Adapter(
        id=id,
        name=f"adapter {id}",
        base_model=base.id,
        method="lora",
        rank=4,
        size_bytes=len(weights),
        sha256=sha256(weights).hexdigest(),
    )
    with studio.database.write() as session:
        session.add(adapter)
    return adapter
