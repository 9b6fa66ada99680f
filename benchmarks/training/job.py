"""What all sides are given: a base model, an untrained adapter, and every optimiser batch in its order, as files."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """Also read by sides that run in another Python than ours, so nothing but the standard library is needed."""

    folder: str
    model: str  # folder of the base, as transformers loads it
    attempt: str  # folder of our own run's attempt
    batch_size: int
    rank: int
    dropout: float
    learning_rate: float
    linear_parameters: int  # of the layers, without the output head
    layer_shapes: list[tuple[int, int]]  # inputs and outputs of each linear layer
    hidden_size: int
    vocabulary: int
    dpo_beta: float = 0.1

    @property
    def adapter(self) -> str:
        """Folder of the untrained adapter, so that every side starts from the same numbers."""
        return str(Path(self.folder) / "adapter")

    @property
    def scratch(self) -> str:
        return str(Path(self.folder) / "scratch")

    @property
    def tokenized(self) -> str:
        """The rows as a data set of the `datasets` library on disk."""
        return str(Path(self.folder) / "tokenized")

    @property
    def _batches(self) -> Path:
        return Path(self.folder) / "batches.json"

    @property
    def rows(self) -> list[dict]:
        """All rows in the order in which they are trained on: {"input_ids", "labels", "attention_mask"}; of pairs
        {"prompt_ids", "chosen_ids", "rejected_ids"}."""
        return [row for batch in json.loads(self._batches.read_text(encoding="utf-8")) for row in batch]

    def write_batches(self, batches: list[list[dict]]) -> None:
        self._batches.write_text(json.dumps(batches), encoding="utf-8")

    def write(self) -> None:
        (Path(self.folder) / "job.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: str) -> "Job":
        return cls(**json.loads((Path(folder) / "job.json").read_text(encoding="utf-8")))
