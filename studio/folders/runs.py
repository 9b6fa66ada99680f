"""The folder of a run, with one for each attempt at it and for each checkpoint."""

from pathlib import Path

from studio.folders.adapters import AdapterFolder
from studio.folders.folder import Folder


class AttemptFolder(Folder):
    """One attempt at a run; the worker writes nowhere else but for encoded rows. A later attempt has another folder, so a zombie cannot touch its files."""

    @property
    def run(self) -> "RunFolder":
        return RunFolder(self.path.parent)

    @property
    def resolved(self) -> Path:
        """Only where this attempt follows other numbers than its run: after memory ran out."""
        return self.path / "resolved.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        """What has been read of a long metrics.jsonl, in short, so that nobody need read it from its beginning again."""
        return self.path / "curves.json"

    @property
    def samples(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def start(self) -> Path:
        """What the adapter starts from, where the training data says it; a later attempt reads it too."""
        return self.path / "start.safetensors"

    @property
    def tokenizer(self) -> Path:
        """The base's tokenizer with the tokens that the plan adds, where it adds some."""
        return self.path / "tokenizer"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def result(self) -> Path:
        """Written by the worker: how it ended, in its own words."""
        return self.path / "result.json"

    @property
    def verdict(self) -> Path:
        """Written by the worker when its adapter is saved: how that stands against the base on the held-out rows."""
        return self.path / "verdict.json"

    @property
    def process(self) -> Path:
        """Written by the supervisor before the worker starts: pid, start time, boot id of itself and of the worker."""
        return self.path / "process.json"

    @property
    def exit(self) -> Path:
        """Written by the supervisor when nothing of the worker's tree lives any more: exit code or signal."""
        return self.path / "exit.json"

    @property
    def room(self) -> Path:
        """Held by the supervisor while it lives, so that on a full disk there is room for `exit`."""
        return self.path / ".room"

    @property
    def want(self) -> Path:
        """Written by the runner before it signals: "stop" (keep an adapter), "pause" or "cancel"."""
        return self.path / "want"


class CheckpointFolder(Folder):
    """What a training needs to go on (jobs/workers/checkpoint.py), and what it had learned by then. It may be dropped at any time."""

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def adapter(self) -> AdapterFolder:
        """As any other adapter, so that it can be asked; checkpoints of earlier versions have none."""
        return AdapterFolder(self.path / "adapter")


class RunFolder(Folder):
    @property
    def id(self) -> str:
        return self.path.name

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def resolved(self) -> Path:
        return self.path / "resolved.json"

    @property
    def estimate(self) -> Path:
        """Written when the run is queued: {"device", "memory": part → bytes, "correction"}, to be compared with the measured peak."""
        return self.path / "estimate.json"

    @property
    def origin(self) -> Path:
        """Written when the run is queued: {"name", "base_model": {id, name, source, location, revision}, "dataset": {id, name, version, sha256, rows}}.

        The worker has no database; the adapter's passport and card take their names from here."""
        return self.path / "origin.json"

    @property
    def reference(self) -> Path:
        """What the base thinks of the answers of the run's preference pairs: computed once, before its first step."""
        return self.path / "reference.safetensors"

    @property
    def saved(self) -> Path:
        """Written by the worker after each checkpoint: {"step"} of it, so that one that has gone is missed."""
        return self.path / "saved.json"

    @property
    def start_over(self) -> Path:
        """There while the person wants the next attempt to begin at the first step, whatever checkpoints there are."""
        return self.path / "start_over"

    def attempt(self, epoch: int) -> AttemptFolder:
        return AttemptFolder(self.path / f"attempt-{epoch}")

    def attempts(self) -> list[AttemptFolder]:
        """All attempts, oldest first."""
        found = (path for path in self.path.glob("attempt-*") if path.name[8:].isdigit())
        return [AttemptFolder(path) for path in sorted(found, key=lambda path: int(path.name[8:]))]

    def checkpoints(self) -> dict[int, CheckpointFolder]:
        """Those that the run keeps, by their steps; where two attempts saved the same step, the later one's."""
        found = [
            path for each in self.attempts() for path in each.checkpoints.glob("step-*") if path.name[5:].isdigit()
        ]
        found.sort(key=lambda path: int(path.name[5:]))  # a stable sort: a later attempt's comes after an earlier one's
        return {int(path.name[5:]): CheckpointFolder(path) for path in found}
