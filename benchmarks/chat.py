"""Answers of base and adapters in one batch against the same answers in turn, and against PEFT's own mixed batch: `python -m benchmarks.chat`.

CPU-seconds of this process, variants interleaved on the same prompts, medians over the rounds. All variants must write the
same tokens, or the numbers mean nothing and the program ends with an error.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several threads on a busy machine measure the machine

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from jobs.workers.adapters_in_memory import LoadedAdapter, RowAdapters, load_adapter
from jobs.workers.columns.mixes import Mix, stacked
from jobs.workers.decode import Answer, finish

PROMPT_TOKENS = 40
BUILTIN_SIZE = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
}


class Answers:
    """The same questions answered in several ways; each way returns the tokens of all columns."""

    def __init__(self, folder: Path | None, tokens: int, scratch: Path):
        self.tokens = tokens
        torch.manual_seed(0)
        torch.set_grad_enabled(False)
        self.model = (
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            if folder
            else LlamaForCausalLM(LlamaConfig(**BUILTIN_SIZE))
        )
        self.model.eval()
        self.prompt = torch.randint(10, self.model.config.vocab_size, (1, PROMPT_TOKENS))
        self.adapters = [self._made_adapter(scratch / name, name) for name in ("first", "second", "third")]
        self.rows = RowAdapters(self.model)
        # PEFT wraps its own copy: its layers would slow the plain model down.
        other = (
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            if folder
            else LlamaForCausalLM(self.model.config)
        )
        other.load_state_dict(self.model.state_dict())
        self.peft = PeftModel.from_pretrained(other, self.adapters[0].folder, adapter_name="first")
        for adapter in self.adapters[1:]:
            self.peft.load_adapter(adapter.folder, adapter_name=adapter.id)
        self.peft.eval()

    def _made_adapter(self, folder: Path, name: str) -> LoadedAdapter:
        adapted = get_peft_model(
            self.model, LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
        )
        for parameter, weights in adapted.named_parameters():
            if "lora_B" in parameter:
                weights.normal_(0, 0.02)
        adapted.save_pretrained(folder)
        adapted.unload()
        return load_adapter(self.model, None, name, folder)

    def _columns(self, count: int) -> list[LoadedAdapter | None]:
        return [None, *self.adapters][:count]

    def one_batch(self, count: int) -> list[list[int]]:
        answers = [
            Answer(self.prompt[0].tolist(), frozenset(), self.tokens, adapter) for adapter in self._columns(count)
        ]
        return [answer.ids for answer in finish(self.model, self.rows, answers)]

    def with_mix(self, count: int) -> list[list[int]]:
        """As many columns, the last of them a mix of all adapters."""
        stack = stacked(self.adapters, None)
        rows = [*self._columns(count)[:-1], Mix("mix", stack, [0.5, -0.25, 1.0])]
        answers = [Answer(self.prompt[0].tolist(), frozenset(), self.tokens, each) for each in rows]
        return [answer.ids for answer in finish(self.model, self.rows, answers)]

    def first_token_seconds(self) -> tuple[float, float]:
        """CPU-seconds to the first token of the base alone, and of base and adapter in one batch for each of the two."""
        alone, _ = cpu_seconds(lambda: self._first([None]))
        both, _ = cpu_seconds(lambda: self._first(self._columns(2)))
        return alone, both / 2

    def _first(self, rows: list) -> list[Answer]:
        answers = [Answer(self.prompt[0].tolist(), frozenset(), 1, each) for each in rows]
        return finish(self.model, self.rows, answers)

    def in_turn(self, count: int) -> list[list[int]]:
        return [
            finish(self.model, self.rows, [Answer(self.prompt[0].tolist(), frozenset(), self.tokens, adapter)])[0].ids
            for adapter in self._columns(count)
        ]

    def peft_batch(self, count: int) -> list[list[int]]:
        names = [adapter.id if adapter else "__base__" for adapter in self._columns(count)]
        return self._generated(self.peft, self.prompt.repeat(count, 1), adapter_names=names)

    def peft_in_turn(self, count: int) -> list[list[int]]:
        written = []
        for adapter in self._columns(count):
            if adapter:
                self.peft.set_adapter(adapter.id)
                written += self._generated(self.peft, self.prompt)
            else:
                written += self._generated(self.model, self.prompt)
        return written

    def _generated(self, model, prompts: torch.Tensor, **more) -> list[list[int]]:
        settings = {
            "max_new_tokens": self.tokens,
            "min_new_tokens": self.tokens,
            "do_sample": False,
            "eos_token_id": None,
            "pad_token_id": 0,
        }
        return model.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), **settings, **more)[
            :, prompts.shape[1] :
        ].tolist()


def cpu_seconds(work: Callable[[], list]) -> tuple[float, list]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def measure(answers: Answers, count: int, rounds: int) -> dict[str, float]:
    """Median CPU-seconds of each way to write `count` columns."""
    ways = {
        "in turn": answers.in_turn,
        "one batch": answers.one_batch,
        "PEFT in turn": answers.peft_in_turn,
        "PEFT mixed batch": answers.peft_batch,
    }
    ways["one batch, the last one a mix"] = answers.with_mix
    times: dict[str, list[float]] = {name: [] for name in ways}
    expected = answers.in_turn(count)
    with_mix = answers.with_mix(count)
    for turn in range(rounds):
        first = turn % len(ways)
        for name in [*ways][first:] + [*ways][:first]:
            seconds, found = cpu_seconds(lambda way=ways[name]: way(count))
            times[name].append(seconds)
            if found != (with_mix if name.endswith("mix") else expected):
                raise SystemExit(f"'{name}' wrote other tokens than 'in turn'.")
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", type=Path, help="A base model's folder; without it a random one of the built-in model's size."
    )
    parser.add_argument("--tokens", type=int, default=64, help="Length of each answer.")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        answers = Answers(options.model, options.tokens, Path(scratch))
        for count in (2, 4):
            found = measure(answers, count, options.rounds)
            print(
                f"{count} columns of {options.tokens} tokens, CPU-seconds (median of {options.rounds}), and as a share of our own answers in turn:"
            )
            for name, seconds in found.items():
                print(f"  {name:29} {seconds:7.3f}  {seconds / found['in turn']:5.2f}")
        firsts = [answers.first_token_seconds() for _ in range(4 * options.rounds)]
        alone, beside = (statistics.median(values) for values in zip(*firsts, strict=True))
        print(
            f"First token, CPU-milliseconds of each row: the base alone {1000 * alone:.1f}, base and adapter {1000 * beside:.1f}"
        )


if __name__ == "__main__":
    main()
