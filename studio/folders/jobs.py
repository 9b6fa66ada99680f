"""The folders of work that a process does on its own: jobs on adapters, and suites being answered."""

from pathlib import Path

from studio.folders.adapters import AdapterFolder
from studio.folders.folder import Folder


class JobFolder(Folder):
    """A piece of work that a worker process does on its own: what was asked, who does it, how far it is, how it ended."""

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def request(self) -> Path:
        """Written when the job is queued; each kind of job says what is in it."""
        return self.path / "request.json"

    @property
    def lock(self) -> Path:
        """Held by the worker for as long as it lives."""
        return self.path / "worker.lock"

    @property
    def process(self) -> Path:
        """Written by the worker: who it is."""
        return self.path / "process.json"

    @property
    def progress(self) -> Path:
        """Written by the worker while it works: {"done": from 0 to 1, "doing": in words}."""
        return self.path / "progress.json"

    @property
    def result(self) -> Path:
        """Written last, when the work is whole: what was measured."""
        return self.path / "result.json"

    @property
    def refusal(self) -> Path:
        """Written when it cannot be done: problem and fix."""
        return self.path / "refusal.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"


class AdapterJobFolder(JobFolder):
    """One job on adapters. Its worker reads nothing else but the base model, and writes nowhere else but the folder of a merged model.

    Its request: {"name", "settings", "base_model": {id, name, ...}, "parents": [{id, name, sha256, weight}], "limits" of looking at a model}
    """

    def parent(self, id: str) -> AdapterFolder:
        """An adapter that goes in, as it was when the job was queued: deleting it meanwhile takes nothing away."""
        return AdapterFolder(self.path / "parents" / id)

    @property
    def files(self) -> Path:
        """What was fetched from the Hub, as it came."""
        return self.path / "files"

    @property
    def token(self) -> Path:
        """A named pipe through which a token comes from the web process to the worker; nothing of it is ever on the disk."""
        return self.path / "token"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"


class SuiteRunFolder(JobFolder):
    """One suite being answered. Its worker reads the base model and the adapters, and writes nowhere else.

    Its request: {"base_model": id, "quantization", "columns": [as the chat worker takes them], "prompts": [SuitePrompt],
    "max_new_tokens", "temperature", "top_p", "seed"}
    """

    @property
    def answers(self) -> Path:
        """One line of JSON for each answer, in the order in which they were finished; only ever appended to."""
        return self.path / "answers.jsonl"
