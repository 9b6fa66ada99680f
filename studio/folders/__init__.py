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
  imports/<id>/                rows of a data set on the Hub, on their way or waiting to be taken (ImportFolder)
  xrays/<sha256>.json          what an adapter's weights look like inside, by the sha256 of the weights
  logs/                        studio.log, runner.log, and older ones numbered
  set-aside/<day>/             what the doctor has found that nothing names; the person looks through it
  chat/                        worker.json, log.txt, socket of the chat worker (the socket elsewhere when the path is too long for one);
                               checkpoints/ (adapters of runs' checkpoints that were asked)
"""

from studio.folders.adapters import AdapterFolder
from studio.folders.base_models import QUANTIZATIONS, BaseModelFolder
from studio.folders.chat import KEPT_CHECKPOINT, ChatFolder
from studio.folders.data import DataFolder, data_of
from studio.folders.datasets import DatasetFolder
from studio.folders.folder import ID_ALPHABET, Folder, new_id
from studio.folders.imports import ImportFolder
from studio.folders.jobs import AdapterJobFolder, JobFolder, SuiteRunFolder
from studio.folders.runs import AttemptFolder, CheckpointFolder, RunFolder

__all__ = [
    "AdapterFolder",
    "AdapterJobFolder",
    "AttemptFolder",
    "BaseModelFolder",
    "ChatFolder",
    "CheckpointFolder",
    "DataFolder",
    "DatasetFolder",
    "Folder",
    "ID_ALPHABET",
    "ImportFolder",
    "JobFolder",
    "KEPT_CHECKPOINT",
    "QUANTIZATIONS",
    "RunFolder",
    "SuiteRunFolder",
    "data_of",
    "new_id",
]
