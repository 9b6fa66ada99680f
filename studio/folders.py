"""The only code that knows file names under the data folder.

<data folder>/
  studio.sqlite
  models/<name>/               local base models, put there by the person (or elsewhere: --models-folder)
  base_models/<id>/            facts.json; model/ is the clean folder that transformers loads; download.json while it comes from the Hub
  datasets/<id>/               the data set's first version: messages.jsonl, index.json (where its rows begin), report.json;
                               tokens-<key>.json (lengths for one base); encoded-<key>/ (every row as token ids of one base)
  datasets/<id>/versions/<n>/  each later version, with the same files
  runs/<id>/                   plan.json, resolved.json, estimate.json, reference.safetensors (of preference pairs); attempt-<epoch>/ for each attempt (AttemptFolder)
  adapters/<id>/               what PEFT loads, the tokenizer with its template, README.md, passport.json
  adapter_jobs/<id>/           one piece of work on finished adapters (AdapterJobFolder); what it makes is moved out of here when it is whole
  suite_runs/<id>/             the prompts of a suite and the answers of several models (SuiteRunFolder)
  xrays/<sha256>.json          what an adapter's weights look like inside, by the sha256 of the weights
  chat/                        worker.json, log.txt, socket of the chat worker (the socket elsewhere when the path is too long for one);
                               checkpoints/ (adapters of runs' checkpoints that were asked)
"""

import re
import secrets
from pathlib import Path

from studio.errors import NotFound
from studio.files import read_json

QUANTIZATIONS = ("none", "nf4", "int8")  # ways to load a base model: in full, in 4 or in 8 bits
KEPT_CHECKPOINT = re.compile(
    r"[A-Za-z0-9]{1,64}-[0-9]{1,10}-[0-9a-f]{16}"
)  # run, step, beginning of the weights' sha256
ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no letters that are mistaken for each other


def new_id() -> str:
    """A random id (59 bits): opaque, safe as a folder's name and in an address."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(12))


class Folder:
    """One thing's folder. Files are named here and nowhere else."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def create(self):
        self.path.mkdir(parents=True, exist_ok=True)
        return self


class BaseModelFolder(Folder):
    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def facts(self) -> Path:
        return self.path / "facts.json"

    @property
    def request(self) -> Path:
        """Written for the processes that fetch and check the model: where it comes from."""
        return self.path / "request.json"

    @property
    def refusal(self) -> Path:
        """Written by them when the model cannot be used: problem and fix."""
        return self.path / "refusal.json"

    @property
    def files(self) -> Path:
        """What the Hub gave, as it came."""
        return self.path / "files"

    @property
    def download(self) -> Path:
        """Written while files come from the Hub: {"bytes_done", "bytes_total", "revision", "at"}."""
        return self.path / "download.json"

    @property
    def download_log(self) -> Path:
        return self.path / "download.log"


class DatasetFolder(Folder):
    @property
    def messages(self) -> Path:
        return self.path / "messages.jsonl"

    @property
    def index(self) -> Path:
        """Byte offsets of every 256th row of messages.jsonl, so that a page of rows is found at once."""
        return self.path / "index.json"

    @property
    def request(self) -> Path:
        """Written for the process that reads an upload: what to read, and how."""
        return self.path / "request.json"

    @property
    def refusal(self) -> Path:
        """Written by that process when the file cannot be used: problem and fix."""
        return self.path / "refusal.json"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    def tokens(self, key: str) -> Path:
        return self.path / f"tokens-{key}.json"

    def encoding(self, key: str) -> Path:
        """Every row as token ids of one base model (jobs/workers/token_store.py); may go at any time, and is made again."""
        return self.path / f"encoded-{key}"

    def encodings(self) -> list[Path]:
        """All of them, the one used last first."""
        found = [path for path in self.path.glob("encoded-*") if path.is_dir()]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    @property
    def encoding_lock(self) -> Path:
        """Held while an encoding is looked for or made."""
        return self.path / "encoding.lock"


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
    def want(self) -> Path:
        """Written by the runner before it signals: "stop" (keep an adapter), "pause" or "cancel"."""
        return self.path / "want"


class CheckpointFolder(Folder):
    """What a training needs to go on (jobs/workers/checkpoint.py), and what it had learned by then. It may be dropped at any time."""

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def adapter(self) -> "AdapterFolder":
        """As any other adapter, so that it can be asked; checkpoints of earlier versions have none."""
        return AdapterFolder(self.path / "adapter")


class RunFolder(Folder):
    @property
    def id(self) -> str:
        return self.path.name

    @property
    def data(self) -> "DataFolder":
        return DataFolder(self.path.parent.parent)

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


class AdapterFolder(Folder):
    @property
    def config(self) -> Path:
        return self.path / "adapter_config.json"

    @property
    def weights(self) -> Path:
        return self.path / "adapter_model.safetensors"

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    @property
    def passport(self) -> Path:
        return self.path / "passport.json"

    @property
    def quantization(self) -> str:
        """How the base was loaded when this was trained, as its passport says: one of QUANTIZATIONS."""
        try:
            said = read_json(self.passport, {})["training"]["quantization"]
        except (ValueError, KeyError, TypeError, OSError):  # it is looked at again, in words, when it is loaded
            return "none"
        return said if said in QUANTIZATIONS else "none"


class JobFolder(Folder):
    """A piece of work that a worker process does on its own: what was asked, who does it, how far it is, how it ended."""

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def data(self) -> "DataFolder":
        return DataFolder(self.path.parent.parent)

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


class ChatFolder(Folder):
    @property
    def checkpoints(self) -> Path:
        """Adapters of checkpoints that were asked, which their runs may drop at any time."""
        return self.path / "checkpoints"

    def checkpoint(self, name: str) -> AdapterFolder:
        """One of them. Raises NotFound for what is no name of one."""
        if not KEPT_CHECKPOINT.fullmatch(name):
            raise NotFound("checkpoint", name)
        return AdapterFolder(self.checkpoints / name)

    @property
    def worker(self) -> Path:
        """Which process answers now, for which base model."""
        return self.path / "worker.json"

    @property
    def lock(self) -> Path:
        """Held while a chat worker is started or stopped."""
        return self.path / "worker.lock"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def socket(self) -> Path:
        return self.path / "socket"


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
    def runner_call(self) -> Path:
        """A named pipe: who writes to it wakes the runner."""
        return self.path / "runner.call"

    @property
    def runner_log(self) -> Path:
        return self.path / "runner.log"

    def _inside(self, folder: str, kind: str, id: str) -> Path:
        if not (id.isascii() and id.isalnum() and len(id) <= 64):
            raise NotFound(kind, id)
        return self.path / folder / id
