"""What torch.compile costs and gains per layer: `python -m benchmarks.compiled_layers [whole | parts] [bench | builtin]`.

`whole` compiles every decoder layer, `parts` its MLP and norms. The same steps are computed as the engine computes them,
before and after; CPU-seconds are of this process and of the compilers that it starts. Losses and gradients are compared.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch
import torch._inductor.config

from benchmarks.training.workloads import ALPHA, RANK, SHAPE, row_lengths
from jobs.workers.engine import Engine
from jobs.workers.packing import Example

BATCHES, ROWS, LEARNED = 5, 8, 0.86
BUILTIN = Path(__file__).parents[1] / "studio/builtin/model"


def cpu_seconds() -> float:
    """Of this process and all that it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def adapted(which: str) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    if which == "builtin":
        base = AutoModelForCausalLM.from_pretrained(BUILTIN, dtype=torch.float32)
    else:
        base = AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen2", vocab_size=32_000, **SHAPE))
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
    return get_peft_model(base.requires_grad_(False), lora).train()


def batch(vocabulary: int, seed: int) -> list[Example]:
    random = np.random.default_rng(seed)
    made = []
    for length in row_lengths(ROWS, random):
        learned = np.arange(length) >= length * (1 - LEARNED)
        made.append(Example(0, random.integers(0, vocabulary, length).astype(np.int32), learned))
    return made


def step(engine: Engine, rows: list[Example]) -> tuple[float, float, float]:
    """CPU-seconds, loss, and the length of the gradient."""
    began = cpu_seconds()
    loss = engine.accumulate(engine.micro_batches(rows), 1 / len(rows))
    spent = cpu_seconds() - began
    found = [each.grad.norm() for each in engine.model.parameters() if each.grad is not None]
    engine.model.zero_grad()
    return spent, loss, float(torch.stack(found).norm())


def compile_layers(engine: Engine, how: str) -> None:
    for layer in engine.causal.get_decoder().layers:
        for part in [layer] if how == "whole" else [layer.mlp, layer.input_layernorm, layer.post_attention_layernorm]:
            part.compile(dynamic=True)


def main(how: str = "parts", which: str = "bench") -> None:
    torch.set_num_threads(1)
    torch._inductor.config.compile_threads = 1  # no pool of processes that nobody waits for: their time counts too
    model = adapted(which)
    engine = Engine(model, torch.device("cpu"), most_rows=16, most_tokens=4096)
    engine.choose()
    rows = [batch(engine.causal.config.vocab_size, seed) for seed in range(BATCHES)]
    step(engine, rows[0])
    plain = [step(engine, each) for each in rows]
    compile_layers(engine, how)
    first = step(engine, rows[0])
    compiled = [step(engine, each) for _ in range(2) for each in rows][-BATCHES:]  # the first round meets new lengths
    apart = max(abs(one[2] - other[2]) / other[2] for one, other in zip(compiled, plain, strict=True))
    seconds = {"eager": plain, "compiled": compiled}
    found = {name: [round(each[0], 3) for each in steps] for name, steps in seconds.items()}
    print(
        json.dumps(
            {"model": which, "compiled are": how, "first step": round(first[0], 1), **found, "gradients apart": apart}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
