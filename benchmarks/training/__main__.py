"""Our training against its peers, in turn and on the same batches: `python -m benchmarks.training`, `make bench-train`."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.machine import machine, today
from benchmarks.training.measure import Found, measure, sides_of
from benchmarks.training.sides import KINDS
from benchmarks.training.table import markdown
from benchmarks.training.workloads import WORKLOADS

INTRODUCTION = """# Training against its peers, {day}

`{command}` on {machine}. {rounds} rounds after one that is not counted, batches of {batch} rows.

Each side is a process of its own that trains in its own loop: ours is the worker that the runner starts; the others are
transformers' Trainer with PEFT, TRL's SFTTrainer in its three ways and LLaMA-Factory, with their own collators; on pairs of
answers TRL's DPOTrainer, which asks the base in every step, or once before the first as ours does. They take
turns (A B C A B C), one thread each, from the same base model (Qwen2 architecture, hidden 512, 8 layers, random
weights), the same untrained adapter (LoRA rank 16 on all linear layers) and the same optimiser batches in 32-bit
arithmetic, AdamW at a constant rate, gradient checkpointing off everywhere. TRL's `packing=True` regroups the rows, so
it trains on the same kind of rows in other batches. Row lengths follow those of alpaca_en_demo (median 157 tokens, 45 to
682). CPU-seconds are user and system time of the process, so other work on the machine lengthens nothing but caches.
Sides that train on the same batches had the same losses within 1e-5 (1e-4 on pairs, whose loss is a small difference
between large numbers), or there would be no table. Tokens are those of the rows: what rows have in common at their beginning, or
what follows the last learned token, ours does not compute, and counts in the share of the matrix rate only what it does. Peak memory is the
process's own high-water mark. The matrix rate is that of the bare products that LoRA cannot do without (forward and
activation gradients of the linear layers; of the head where something is learned), measured in turn with the others.
CPU-seconds to the first step count from the start of the process, imports included.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="Default: all.")
    sides = [kind.name for kind in KINDS]
    parser.add_argument("--without", choices=sides, action="append", default=[], help="A side that is left out.")
    parser.add_argument("--batch", type=int, default=8, help="Rows per optimiser step.")
    parser.add_argument("--rounds", type=int, default=5, help="Steps of each side that are counted.")
    parser.add_argument("--results", type=Path, help="Also write the tables into this file.")
    options = parser.parse_args()
    command = f"python -m benchmarks.training --rounds {options.rounds} --batch {options.batch}"
    command += "".join(f' --without "{name}"' for name in options.without)
    said = {"day": today(), "machine": machine(), "rounds": options.rounds, "batch": options.batch, "command": command}
    sections, missing, versions = [INTRODUCTION.format(**said)], set(), {}
    for name in options.workload or WORKLOADS:
        workload = WORKLOADS[name]
        print(f"{workload.title}", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
            job, sides = measure(workload, options.batch, options.rounds, Path(folder), without=options.without)
        missing |= {kind.name for kind in sides_of(workload)[1]}
        versions |= {found.kind.name: versions_of(found) for found in sides}
        sections.append(markdown(workload, job, sides))
        print(sections[-1], flush=True)
        if options.results:
            options.results.write_text("\n".join([*sections, ending(versions, missing)]), encoding="utf-8")


def versions_of(found: Found) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.end["versions"].items())


def ending(versions: dict[str, str], missing: set[str]) -> str:
    """Versions, one line for all sides that share them, and what was not there."""
    shared: dict[str, list[str]] = {}
    for name, said in versions.items():
        shared.setdefault(said, []).append(name)
    lines = [f"- {', '.join(names)}: {said}" for said, names in shared.items()]
    absent = [kind.name for kind in KINDS if kind.name in missing]
    note = f"\nNot installed, so not measured: {', '.join(absent)}.\n" if absent else ""
    return "## Versions\n\n" + "\n".join(lines) + "\n" + note


if __name__ == "__main__":
    main()
