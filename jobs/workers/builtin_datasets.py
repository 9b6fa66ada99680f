"""Write the built-in instruction data sets; the same code always writes the same files.

python -m jobs.workers.builtin_datasets
"""

import argparse
import csv
import io
import json
import zlib
from pathlib import Path
from types import ModuleType

from jobs.workers.builtin_sets import orders_to_json, pirate, review_labels, two_turn_robot
from jobs.workers.pretrain_world.wording import Voice

FOLDER = Path(__file__).parents[2] / "studio" / "builtin" / "datasets"
SETS = [pirate, orders_to_json, review_labels, two_turn_robot]
HELD_OUT = 10  # one prompt in ten


def name_of(made_by: ModuleType) -> str:
    return made_by.__name__.rpartition(".")[2]


def rows_of(made_by: ModuleType) -> tuple[list[dict], list[dict]]:
    """The rows to train on and those held out: no prompt is in both, and none comes twice."""
    voice, seen, train, held = Voice(name_of(made_by)), set(), [], []
    while len(train) + len(held) < made_by.ROWS:
        row = made_by.row(voice)
        prompt = made_by.prompt_of(row)
        plain = prompt.lower().strip(" .?!")  # "Hello" and "hello!" are one prompt
        conversation = json.dumps(row) if "conversations" in row else plain
        if conversation in seen:
            continue
        seen.add(conversation)
        (held if zlib.crc32(plain.encode()) % HELD_OUT == 0 else train).append(row)
    return train, held


def written(rows: list[dict], extension: str) -> str:
    if extension == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if extension == "json":
        return "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def files() -> dict[str, str]:
    """Every file of the folder with its content."""
    index, contents = [], {}
    for made_by in SETS:
        name, extension = name_of(made_by), made_by.EXTENSION
        train, held = rows_of(made_by)
        file, heldout_file = f"{name}.{extension}", f"{name}.heldout.{extension}"
        contents |= {file: written(train, extension), heldout_file: written(held, extension)}
        index.append(
            {
                "id": name,
                "title": made_by.TITLE,
                "description": made_by.DESCRIPTION,
                "format": made_by.FORMAT,
                "file": file,
                "heldout_file": heldout_file,
                "rows": len(train),
                "heldout_rows": len(held),
                "example_prompts": made_by.EXAMPLES,
                "licence": "the licence of LoRA Studio; written by its own generator",
            }
        )
    return contents | {"index.json": json.dumps(index, indent=2, ensure_ascii=False) + "\n"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=FOLDER)
    folder = options.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")
        print(f"{name}: {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
