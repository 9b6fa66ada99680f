"""What a learning rate gives: trainings of the built-in model on its own data sets, held-out loss by rate.

    python -m benchmarks.rates "prompt_tuning pirate 0.06 0.2 0.6" "lora pirate-pairs 6e-5 1.9e-4"

Each argument is a method, a built-in data set, and rates; everything else is what "auto" means. `<set>-pairs` is that set
as preference pairs, for DPO: the chosen answer is the set's, the rejected one the base's own to the same question.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from benchmarks.machine import machine, today
from studio import base_models, dataset_uploads, datasets, runs
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.plan import read_plan
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import ChatTokenizer

PROJECT = Path(__file__).parents[1]
PAIRS, ANSWER_TOKENS = 240, 40
SHOWN = ("base_heldout_loss", "heldout_loss", "heldout_accuracy", "heldout_margin", "heldout_rewards_chosen")


def write_pairs(studio: Studio, dataset: str, file: Path) -> None:
    """The first rows whose answer is not what the base says by itself."""
    folder = studio.data.base_model(base_models.BUILTIN).model
    tokenizer, model = ChatTokenizer.load(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    written = []
    for row in datasets.read_rows(studio.data.dataset(dataset), 0, PAIRS):
        *prompt, answer = row["messages"]
        ids = torch.tensor([tokenizer.prompt(prompt)])
        given = {
            "max_new_tokens": ANSWER_TOKENS,
            "do_sample": False,
            "eos_token_id": tokenizer.stop_ids,
            "pad_token_id": 0,
        }
        said = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **given)[0, ids.shape[1] :].tolist()
        own = tokenizer.decode([token for token in said if token not in tokenizer.stop_ids]).strip()
        if own and own != answer["content"]:
            pair = {"prompt": prompt, "chosen": [answer], "rejected": [{"role": "assistant", "content": own}]}
            written.append(json.dumps(pair) + "\n")
    file.write_text("".join(written), encoding="utf-8")


def dataset_of(studio: Studio, name: str) -> str:
    """Its id. Raises SystemExit for a name that is no built-in set's."""
    found = {each.builtin_id: each.id for each in datasets.list_datasets(studio).items}
    wanted = name.removesuffix("-pairs")
    if wanted not in found:
        raise SystemExit(f"There is no built-in data set '{wanted}', only: {', '.join(found)}.")
    if wanted == name:
        return found[name]
    file = studio.data.path / f"{name}.jsonl"
    write_pairs(studio, found[wanted], file)
    return dataset_uploads.add_upload(studio, file, file.name).id


def train(attempt: AttemptFolder) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    with open(attempt.log, "w") as log:
        command = [sys.executable, "-m", "jobs.workers.train", str(attempt.path)]
        subprocess.run(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
    return read_json(attempt.result, default={})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__.splitlines()[0])
    parser.add_argument("trainings", nargs="+", help='"METHOD SET RATE RATE ..."')
    print(f"{today()}, {machine()}", "", "| method | data | rate | " + " | ".join(SHOWN) + " |", sep="\n")
    print("|---" * (3 + len(SHOWN)) + "|", flush=True)
    asked = parser.parse_args().trainings
    with tempfile.TemporaryDirectory(prefix="bench-rates-") as folder:
        studio = Studio.open(StudioSettings(data_folder=Path(folder), device="cpu"))
        base_models.add_builtin(studio)
        datasets.add_builtins(studio)
        for method, data, *rates in map(str.split, asked):
            dataset = dataset_of(studio, data)
            for rate in rates:
                values = {"base_model": base_models.BUILTIN, "dataset": dataset, "method": {"name": method}}
                run = runs.queue_run(studio, read_plan({**values, "training": {"learning_rate": float(rate)}}))
                result = train(studio.data.run(run.id).attempt(1).create())
                runs.cancel_run(studio, run.id)
                shown = [f"{result[name]:.4f}" if result.get(name) is not None else "–" for name in SHOWN]
                print(f"| {method} | {data} | {rate} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
