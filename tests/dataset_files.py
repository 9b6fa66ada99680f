"""Small data sets of each kind, and edits of them, for the tests of versions."""

import json
from pathlib import Path

from studio import datasets
from studio.records import Dataset
from studio.rows import iter_training_rows
from studio.studio import Studio
from studio.versions import lineage
from studio.versions.edits import Edit

COUNTING = [{"instruction": f"Count to {number}.", "output": f"{number}!"} for number in range(1, 601)]


def conversation(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def add_rows(studio: Studio, folder: Path, rows: list[dict], file_name: str = "counting.jsonl", **options) -> Dataset:
    path = folder / "upload"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return datasets.add_upload(studio, path, file_name, **options)


def rows_of(studio: Studio, id: str, version: int | None = None) -> list[dict]:
    return list(iter_training_rows(lineage.folder_of(studio, lineage.get_version(studio, id, version))))


def answers(studio: Studio, id: str, version: int | None = None) -> list[str]:
    return [row["messages"][-1]["content"] for row in rows_of(studio, id, version)]


def change(row: int, answer: str) -> Edit:
    return Edit(op="change", row=row, value=conversation(f"Count to {row}.", answer))
