"""An adapter as anybody loads it: on a fresh base, by PEFT alone. `python -m tests.workers.plain_peft FILE` is a process that does nothing else."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from jobs.workers import attention
from jobs.workers.packing import Example, packed, padded
from jobs.workers.training import Training
from studio.folders import AdapterFolder
from studio.tokens import ChatTokenizer, Encoded
from tests.workers.training_place import small_data

SAME = 2e-5  # of the largest logit
Logits = dict[str, torch.Tensor]
"""By the number of a held-out row, [tokens, vocabulary]."""


def heldout_rows(tokenizer: ChatTokenizer) -> list[tuple[int, Encoded]]:
    return [(row["row"], tokenizer.encode(row["messages"])) for row in small_data() if row["heldout"]]


class Telling(Training):
    """The worker's own training; what its model answers when it has ended is written beside the adapter."""

    def ended(self, *given) -> int:
        save_file(self.logits(), self.attempt.path / "logits.safetensors")
        return super().ended(*given)

    def logits(self) -> Logits:
        self.model.eval()
        return {str(row): self.logits_of(encoded) for row, encoded in heldout_rows(self.tokenizer)}

    def logits_of(self, encoded: Encoded) -> torch.Tensor:
        """By the engine that has trained it: fused functions, packed attention, the prompt in front where there is one."""
        ids = torch.tensor(encoded.ids, dtype=torch.int32).numpy()
        whole = self.engine.prompt.in_front_of(Example(0, ids, torch.tensor(encoded.trained).numpy()))
        batch = (packed if self.engine.packs else padded)([whole], self.engine.device)
        with torch.no_grad(), attention.DOCUMENTS.of(batch):
            return self.engine.own_logits(batch)[-len(ids) :].clone()


def plain_logits(base: Path, adapter: Path, quantization: str = "none") -> Logits:
    """By PEFT on a base that was just loaded, one row at a time."""
    from peft import PeftModel
    from transformers import AutoTokenizer

    model = fresh_base(base, quantization)
    if "resize_token_embeddings" in AdapterFolder(adapter).card.read_text():
        model.resize_token_embeddings(len(AutoTokenizer.from_pretrained(adapter)))
    model = PeftModel.from_pretrained(model, adapter).eval()
    found = {}
    for row, encoded in heldout_rows(ChatTokenizer.load(adapter)):
        ids = torch.tensor([encoded.ids])
        with torch.no_grad():
            found[str(row)] = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1] :]
    return found


def fresh_base(folder: Path, quantization: str):
    """transformers' own; a quantised one as the worker loads it, since bitsandbytes alone computes otherwise after an evaluation."""
    from transformers import AutoModelForCausalLM

    from jobs.workers.load import load_base_model

    if quantization != "none":
        return load_base_model(folder, "fp32", "cpu", quantization)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def difference(base: Path, adapter: Path, quantization: str = "none") -> float:
    """The largest between the worker's logits and those of plain PEFT, as a share of the largest logit."""
    said, found = load_file(adapter.parent / "logits.safetensors"), plain_logits(base, adapter, quantization)
    assert said.keys() == found.keys()
    assert said
    return max(((found[row] - said[row]).abs().max() / said[row].abs().max()).item() for row in said)


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text())
    told = {title: difference(Path(base), Path(adapter), kind) for title, (base, adapter, kind) in cases.items()}
    print(json.dumps(told))
