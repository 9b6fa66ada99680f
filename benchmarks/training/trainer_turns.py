"""Turns for everything built on transformers' Trainer: its own loop runs, and stops before each of its steps."""

import functools

from transformers import Trainer, TrainerCallback

from benchmarks.training.turns import Turns


class TrainerTurns(TrainerCallback):
    """Give it to the trainer as a callback. What the steps cost includes the collator, clipping and the optimiser."""

    def __init__(self, turns: Turns):
        self.turns, self.step = turns, {}
        Trainer.training_step = self.noted(Trainer.training_step)

    def noted(self, training_step):
        @functools.wraps(training_step)
        def noting(trainer, model, inputs, num_items_in_batch=None):
            slots, mask = inputs["input_ids"].numel(), inputs.get("attention_mask")
            tokens = slots if mask is None or mask.dim() != 2 else int(mask.sum())
            learned = inputs["labels"][..., 1:] != -100 if "labels" in inputs else inputs["completion_mask"]
            supervised = int(learned.sum())
            loss = training_step(trainer, model, inputs, num_items_in_batch)
            self.step = {"loss": float(loss), "tokens": tokens, "slots": slots, "supervised": supervised}
            return loss

        return noting

    def on_step_begin(self, arguments, state, control, **_):
        self.turns.wait()

    def on_step_end(self, arguments, state, control, **_):
        self.turns.done(**self.step)
