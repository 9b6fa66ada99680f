"""A whole training by transformers' Trainer and PEFT, padded, and ours, packed, on the same batches: the same steps and the same adapter."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments, set_seed

from jobs.workers.examples import Batches
from studio.tokens import ChatTokenizer
from tests.workers.test_packing import ARCHITECTURES
from tests.workers.tiny_models import save_model_folder
from tests.workers.training_place import adapter_of, small_data, steps_of, train_here, training_place

pytestmark = pytest.mark.training
STEPS, BATCH, RATE, SEED = 7, 4, 1e-3, 11  # one epoch of 20 rows is 5 steps: the second is shuffled anew
SAME_IN_BOTH = {"learning_rate": RATE, "weight_decay": 0.01, "max_grad_norm": 1.0}
CONV1D = ("gpt2",)


def rows_in_our_order(tokenizer: ChatTokenizer) -> list[dict]:
    """What the Trainer is given: rows one after the other as our batches take them."""
    encoded = [tokenizer.encode(row["messages"]) for row in small_data() if not row["heldout"]]
    rows = [
        {"input_ids": each.ids, "labels": [id if t else -100 for id, t in zip(each.ids, each.trained, strict=True)]}
        for each in encoded
    ]
    epochs = [Batches(rows, BATCH, SEED, epoch) for epoch in range(2)]
    return [row for epoch in epochs for batch in epoch for row in batch][: STEPS * BATCH]


def padded(rows: list[dict]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    filled = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
    filled_up = {
        name: [row[name] + [empty] * (longest - len(row[name])) for row in rows] for name, empty in filled.items()
    }
    return {name: torch.tensor(values) for name, values in filled_up.items()}


class InOrder(Trainer):
    """The Trainer's own loop, its rows as they come; each step's loss is noted as its micro-batches give it."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.micro_losses: list[float] = []

    def get_train_dataloader(self):
        return self.accelerator.prepare(torch.utils.data.DataLoader(self.train_dataset, BATCH // 2, collate_fn=padded))

    def training_step(self, *given, **named):
        loss = super().training_step(*given, **named)
        self.micro_losses.append(loss.item())
        return loss


def by_trainer(folder, out, fan_in_fan_out: bool) -> tuple[list[float], list[float], dict[str, torch.Tensor]]:
    """(loss of each step, length of its gradient, the adapter as PEFT saves it)"""
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    set_seed(SEED)
    lora = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "fan_in_fan_out": fan_in_fan_out}
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **lora))
    arguments = TrainingArguments(
        out, max_steps=STEPS, per_device_train_batch_size=BATCH // 2, gradient_accumulation_steps=2, lr_scheduler_type="constant",
        optim="adamw_torch_fused", logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, remove_unused_columns=False,
        disable_tqdm=True, log_level="error", seed=SEED, **SAME_IN_BOTH,
    )  # fmt: skip
    trainer = InOrder(
        model, arguments, train_dataset=rows_in_our_order(ChatTokenizer.load(folder)), data_collator=padded
    )
    trainer.train()
    losses = [sum(trainer.micro_losses[at : at + 2]) for at in range(0, 2 * STEPS, 2)]
    norms = [line["grad_norm"] for line in trainer.state.log_history if "grad_norm" in line]
    model.save_pretrained(out / "adapter", save_embedding_layers=False)
    return losses, norms, load_file(out / "adapter" / "adapter_model.safetensors")


WAYS = [(name, True) for name in ARCHITECTURES] + [("qwen2", False), ("gpt2", False)]


@pytest.mark.parametrize(
    ("name", "packing"), WAYS, ids=[f"{name}-{'packed' if way else 'padded'}" for name, way in WAYS]
)
def test_steps_and_adapter_are_those_of_transformers_trainer_with_peft(tmp_path, name, packing):
    folder = save_model_folder(tmp_path / "base", model_type=name, **ARCHITECTURES[name])
    losses, norms, adapter = by_trainer(folder, tmp_path / "trainer", name in CONV1D)

    place = training_place(tmp_path, folder)
    several = {"token_budget": 96, "evaluate_every": 1000, "checkpoint_every": 1000}  # micro-batches of a step
    training = {
        "batch_size": BATCH,
        "max_steps": STEPS,
        "seed": SEED,
        "packing": packing,
        "schedule": "constant",
    } | SAME_IN_BOTH
    method = {"rank": 4, "alpha": 8.0, "dropout": 0.0}
    attempt = place.queue("r1", resolved={"warmup_steps": 0, **several}, method=method, training=training)
    assert train_here(attempt)["status"] == "succeeded"
    steps, ours = steps_of(attempt), adapter_of(attempt)
    assert (sum(each["padding"] for each in steps) == 0) == packing
    assert [each["loss"] for each in steps] == pytest.approx(losses, rel=2e-6)
    assert [each["grad_norm"] for each in steps] == pytest.approx(norms, rel=2e-6)
    assert ours.keys() == adapter.keys()
    for (
        key,
        expected,
    ) in adapter.items():  # Adam divides by a gradient's own size: rounding of a tiny one is a small step
        assert (ours[key] - expected).abs().max() <= 0.01 * STEPS * RATE, key
        assert (ours[key] - expected).abs().mean() <= 1e-4 * STEPS * RATE, key
