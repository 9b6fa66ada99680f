"""The root of everything that the studio keeps."""

from pathlib import Path

from studio.errors import NotFound
from studio.folders.adapters import AdapterFolder
from studio.folders.base_models import BaseModelFolder
from studio.folders.chat import ChatFolder
from studio.folders.datasets import DatasetFolder
from studio.folders.folder import Folder
from studio.folders.imports import ImportFolder
from studio.folders.jobs import AdapterJobFolder, JobFolder, SuiteRunFolder
from studio.folders.runs import RunFolder


class DataFolder(Folder):
    """The root of everything the studio keeps."""

    def create(self) -> "DataFolder":
        for name in (
            "base_models",
            "datasets",
            "runs",
            "adapters",
            "adapter_jobs",
            "suite_runs",
            "xrays",
            "chat",
            "incoming",
            "imports",
            "logs",
        ):
            (self.path / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def base_model(self, id: str) -> BaseModelFolder:
        return BaseModelFolder(self._inside("base_models", "model", id))

    def dataset(self, id: str, version: int | None = 1) -> DatasetFolder:
        """A version's own folder; runs from before there were versions name none, and have learned from the first."""
        first = DatasetFolder(self._inside("datasets", "dataset", id))
        return first if version in (None, 1) else DatasetFolder(first.path / "versions" / str(int(version)))

    def run(self, id: str) -> RunFolder:
        return RunFolder(self._inside("runs", "run", id))

    def adapter(self, id: str) -> AdapterFolder:
        return AdapterFolder(self._inside("adapters", "adapter", id))

    def adapter_job(self, id: str) -> AdapterJobFolder:
        return AdapterJobFolder(self._inside("adapter_jobs", "adapter job", id))

    def suite_run(self, id: str) -> SuiteRunFolder:
        return SuiteRunFolder(self._inside("suite_runs", "suite run", id))

    def data_import(self, id: str) -> ImportFolder:
        return ImportFolder(self._inside("imports", "import", id))

    @property
    def imports(self) -> Path:
        return self.path / "imports"

    def xray(self, sha256: str) -> Path:
        return self._inside("xrays", "x-ray", sha256).with_suffix(".json")

    @property
    def chat(self) -> ChatFolder:
        return ChatFolder(self.path / "chat")

    @property
    def incoming(self) -> Path:
        """Uploads on their way in; emptied at each start."""
        return self.path / "incoming"

    @property
    def runner_lock(self) -> Path:
        return self.path / "runner.lock"

    @property
    def web_lock(self) -> Path:
        """Held, with others, by every web app that serves this folder."""
        return self.path / "web.lock"

    @property
    def runner_call(self) -> Path:
        """A named pipe: who writes to it wakes the runner."""
        return self.path / "runner.call"

    @property
    def logs(self) -> Path:
        """What web app and runner have said, beside the terminal: studio.log and runner.log, older ones numbered."""
        return self.path / "logs"

    def _inside(self, folder: str, kind: str, id: str) -> Path:
        if not (id.isascii() and id.isalnum() and len(id) <= 64):
            raise NotFound(kind, id)
        return self.path / folder / id


def data_of(folder: RunFolder | JobFolder) -> DataFolder:
    """The data folder that a run or a job lies in: a worker is told its own folder, and no more."""
    return DataFolder(folder.path.parent.parent)
