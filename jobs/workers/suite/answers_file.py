"""answers.jsonl: one line for each answer, on disk before the next is written, and read again by the worker that goes on."""

import json
import os
from pathlib import Path
from typing import Any


class AnswersFile:
    """Appends answers. A line that a killed worker left half-written is cut off when the file is opened."""

    def __init__(self, path: Path):
        self.path = path
        self.known: set[tuple[int, int]] = set()
        """(prompt, column) of what is answered."""

    def __enter__(self) -> "AnswersFile":
        self._file = open(self.path, "a+b")  # noqa: SIM115 closed in __exit__
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            answer = json.loads(line)
            self.known.add((answer["prompt"], answer["column"]))
            whole += len(line)
        self._file.truncate(whole)
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def add(self, prompt: int, column: int, answer: dict[str, Any]) -> None:
        """Written and on disk when this returns. A second answer to the same is not taken."""
        if (prompt, column) in self.known:
            return
        line = json.dumps({"prompt": prompt, "column": column, **answer}, ensure_ascii=False)
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.known.add((prompt, column))
