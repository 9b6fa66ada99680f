"""Merge as a job: the base with the adapter in its weights, looked at as any model that is brought, so that it can be trained and compared again."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from jobs.workers.merge import merge_adapter
from studio.errors import StudioError
from studio.files import read_json, write_json
from studio.folders import AdapterJobFolder, data_of
from studio.model_facts import ModelFacts

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def merge(folder: AdapterJobFolder, request: dict[str, Any], tell: Callable[[float, str], None]) -> dict[str, Any]:
    """The new base model's folder, under the job's id. Raises StudioError when the adapter cannot be merged or answers otherwise.

    In the precision of the base: merged into more, the file would be larger than what was trained on.
    """
    tell(0.02, "Loading the base model and the adapter")
    base = data_of(folder).base_model(request["base_model"]["id"])
    facts = ModelFacts.model_validate(read_json(base.facts))
    [parent] = request["parents"]
    adapter = folder.parent(parent["id"])
    target = data_of(folder).base_model(folder.id).create()
    merged = merge_adapter(base.model, adapter.path, target.files, adapter.quantization, PRECISIONS[facts.dtype])
    tell(0.8, "Looking at the merged model")
    if facts.licence:  # the merged weights are the base's for the most part: its terms stay
        card = f"---\nlicense: other\nlicense_name: {facts.licence}\n---\n"
        (target.files / "README.md").write_text(card, encoding="utf-8")
    files = str(target.files)
    write_json(target.request, {"source": files, "root": files, "template": None, **request["limits"]})
    subprocess.run([sys.executable, "-m", "jobs.workers.intake", str(target.path)], check=False)
    if refusal := read_json(target.refusal):
        raise StudioError(refusal["problem"], refusal["fix"])
    return {"logit_difference": merged.difference}
