"""One training step: forward and backward over the micro-batches of a batch, by the fastest way that is right for this model."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from jobs.workers import attention
from jobs.workers.fusing import Fused
from jobs.workers.last_layer import LastLayer
from jobs.workers.loss import frozen_head_losses, plain_losses
from jobs.workers.packing import Example, MicroBatch, packed, padded, split_for_packing, split_for_padding
from jobs.workers.prefixes import shared, split_for_sharing
from jobs.workers.prompted import NoPrompt, prompt_of
from jobs.workers.trying import choose_attention, choose_fused, choose_last_layer, choose_norms, choose_sharing, close
from studio.errors import Invalid

PROBE = (7, 10)  # tokens of the two documents that every model is tried on before it is trained
ALIKE = (32, 36, 39)  # tokens that two more have in common, and tokens of each


class Engine:
    """Computes losses and gradients of a model with an adapter.

    Which way is taken is decided by trying it on the model itself (`choose`), not by its name: an architecture that is
    not computed right when packed is padded instead, and one whose logits are more than its output layer times the
    hidden states is asked for its own logits.
    """

    def __init__(self, model, device: torch.device, most_rows: int, most_tokens: int, autocast: Callable = nullcontext):
        self.model, self.device, self.autocast = model, device, autocast
        self.causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.most_rows, self.most_tokens = most_rows, most_tokens
        self.takes_positions = "position_ids" in inspect.signature(self.causal.forward).parameters
        self.prompt = prompt_of(model)
        self.before_inputs: list[Callable[[MicroBatch], None]] = []  # told of each micro-batch before it is computed
        self.packs = False
        self.shares = False  # what packed rows have in common at their beginning is computed once
        self.head = "whole"  # "frozen": chunked; "trained": at supervised positions; "whole": the model's own logits
        self.fused: Fused | None = None  # LoRA layers that are computed by our functions
        self.last_layer: LastLayer | None = None  # computed only where something is learned

    def choose(self, packing: bool = True, sharing: bool = True) -> list[str]:
        """Take the fast ways that give what transformers gives on a small probe. Returns what was chosen, in words."""
        self.model.eval()
        with torch.no_grad(), self.autocast():
            expected = [self.expected_logits(probe) for probe in self.probes()]
            said = [
                self.choose_packing(expected) if packing else self.choose_padding("packing is off"),
                self.choose_head(expected),
            ]
        if self.packs and sharing:
            said.append(choose_sharing(self))
        if self.packs and self.device.type == "cuda":
            said.append(choose_attention(self))
        said += [choose_fused(self), choose_norms(self), *([] if self.head == "whole" else [choose_last_layer(self)])]
        self.model.train()
        return said

    @property
    def exact(self) -> bool:
        """Whether the base computes in fp32, so that two right ways differ by next to nothing."""
        return self.causal.dtype == torch.float32

    def choose_packing(self, expected: list[torch.Tensor]) -> str:
        if not self.prompt.packs:
            return self.choose_padding("this method passes its prefix as cached keys and values")
        before = self.causal.config._attn_implementation
        try:
            self.causal.set_attn_implementation(attention.NAME)
            together = self.packed_logits(self.probes())
            moved = self.packed_logits(self.probes(first_differs=True))
        except Exception as error:  # whatever an unknown architecture stumbles over, padding it is right
            self.causal.set_attn_implementation(before)
            return self.choose_padding(f"this architecture cannot be packed here: {error}")
        second = slice(PROBE[0], None)
        if close(together, torch.cat(expected)) and torch.equal(together[second], moved[second]):
            self.packs = True
            return "Rows are packed: no padding is computed, and no row sees another."
        self.causal.set_attn_implementation(before)
        return self.choose_padding("this architecture computes packed rows differently")

    def choose_padding(self, reason: str) -> str:
        self.packs = False
        return f"Rows are padded to the longest of similar length ({reason})."

    def choose_head(self, expected: list[torch.Tensor]) -> str:
        head = self.causal.get_output_embeddings()
        trained = head is None or any(parameter.requires_grad for parameter in head.parameters())
        probe = self.prompt.in_front_of(self.probes()[0])
        try:
            batch = padded([probe], self.device)
            known = close(head(self.hidden(batch)), expected[0][batch.supervised - self.prompt.slots])
        except Exception:
            known = False
        if not known:
            self.head = "whole"
            self.check_prompt(probe, expected[0])
            return "Logits are computed by the model itself, at every position."
        self.head = "frozen" if not trained and type(head) is torch.nn.Linear else "trained"
        return "Logits are computed only where something is learned."

    def check_prompt(self, probe: Example, expected: torch.Tensor) -> None:
        """Raises Invalid where this architecture computes rows with a prompt otherwise than PEFT does with it."""
        found = self.own_logits(padded([probe], self.device))[self.prompt.slots :]
        if type(self.prompt) is not NoPrompt and not close(found, expected):
            raise Invalid(
                f"{type(self.causal).__name__} cannot be given virtual tokens.",
                "Choose LoRA or another method.",
                "method.name",
            )

    def undo_fusing(self) -> None:
        if self.fused is not None:
            self.fused.undo()
            self.fused = None

    def probes(self, first_differs: bool = False) -> list[Example]:
        ids = [self.some_ids(count, 11 * count) for count in PROBE]
        if first_differs:
            ids[0] = self.some_ids(PROBE[0], 11 * PROBE[0] + 3)
        return [Example(0, each, np.ones(len(each), bool)) for each in ids]

    def alike_probes(self) -> list[Example]:
        """Two documents that begin alike, to try on what shares beginnings."""
        beginning, *ids = (self.some_ids(count, 7 * count) for count in ALIKE)
        rows = [np.concatenate([beginning, each[len(beginning) :]]) for each in ids]
        return [Example(0, each, np.ones(len(each), bool)) for each in rows]

    def some_ids(self, count: int, first: int) -> np.ndarray:
        vocabulary = min(self.causal.get_input_embeddings().weight.shape[0], 997)
        return ((np.arange(count) * 37 + first) % vocabulary).astype(np.int32)

    def expected_logits(self, probe: Example) -> torch.Tensor:
        """As transformers and PEFT give them for this row alone, [tokens, vocabulary]."""
        ids = torch.from_numpy(probe.ids.astype(np.int64))[None].to(self.device)
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0, -len(probe) :]

    def packed_logits(self, probes: list[Example]) -> torch.Tensor:
        """Of these rows in one sequence, as the model itself gives them, [tokens, vocabulary]."""
        batch = packed([self.prompt.in_front_of(probe) for probe in probes], self.device)
        with attention.DOCUMENTS.of(batch):
            return self.own_logits(batch)[(batch.position_ids >= self.prompt.slots).flatten()]

    def own_logits(self, batch: MicroBatch) -> torch.Tensor:
        """Logits as the model itself gives them, [slots, vocabulary]. Call inside `DOCUMENTS.of(batch)`."""
        return self.causal(**self.inputs(batch)).logits.flatten(0, 1)

    def hidden(self, batch: MicroBatch) -> torch.Tensor:
        """Last hidden states of the supervised positions, [n, size]. Call inside `DOCUMENTS.of(batch)`."""
        decoder, inputs = self.causal.get_decoder(), self.inputs(batch)
        if self.last_layer is not None:
            return decoder(**inputs, learned_rows=batch.supervised).last_hidden_state.flatten(0, 1)
        return decoder(**inputs).last_hidden_state.flatten(0, 1)[batch.supervised]

    def inputs(self, batch: MicroBatch) -> dict:
        for tell in self.before_inputs:
            tell(batch)
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "use_cache": False}
        given |= {"position_ids": batch.position_ids} if self.takes_positions else {}
        return self.prompt.added_to(given, batch)

    def token_losses(self, batch: MicroBatch) -> torch.Tensor:
        """Loss of each supervised token, float32 [n], as `batch.targets`. Call inside `DOCUMENTS.of(batch)`."""
        if self.head == "whole":
            return plain_losses(self.own_logits(batch)[batch.supervised], batch.targets)
        hidden, head = self.hidden(batch), self.causal.get_output_embeddings()
        if self.head == "frozen":
            return frozen_head_losses(hidden.to(head.weight.dtype), head, batch.targets)
        return plain_losses(head(hidden), batch.targets)

    def loss_sum(self, batch: MicroBatch) -> torch.Tensor:
        """Sum of the losses of the supervised tokens, float32. Call inside `DOCUMENTS.of(batch)`."""
        return self.token_losses(batch).sum()

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """The model without its adapter, while this holds."""
        learned = {each: each.requires_grad for each in self.model.parameters()}
        with self.model.disable_adapter(), self.prompt.off():
            yield
        for each, was in learned.items():
            each.requires_grad_(was)  # PEFT turns on what belongs to the adapter, whatever it was before

    def groups(self, rows: list) -> list[list]:
        """Rows (of any kind that has a length in tokens) by what is computed at once."""
        split = split_for_sharing if self.shares else split_for_packing if self.packs else split_for_padding
        return split(rows, self.most_rows, self.most_tokens)

    def micro_batch(self, examples: list[Example]) -> MicroBatch:
        examples = [self.prompt.in_front_of(example) for example in examples]
        made = shared if self.shares else packed if self.packs else padded
        return made(examples, self.device)

    def micro_batches(self, examples: list[Example]) -> list[MicroBatch]:
        return [self.micro_batch(group) for group in self.groups(examples)]

    def accumulate(self, batches: Iterable[MicroBatch], weight: float) -> float:
        """Add the gradients of weight × (sum of losses) over the micro-batches. Returns the sum of losses."""
        total = 0.0
        for batch in batches:
            if not len(batch.targets):
                continue  # its rows are of a batch of which other rows are learned from
            with attention.DOCUMENTS.of(batch):
                with self.autocast():
                    loss = self.loss_sum(batch)
                (loss * weight).backward()
            total += loss.item()
        return total

    def measure(self, examples: Iterable[Example]) -> np.ndarray:
        """Sum of the losses of each example's supervised tokens, without learning, float64 [examples]."""
        rows = list(examples)
        places, found = {id(row): place for place, row in enumerate(rows)}, np.zeros(len(rows))
        self.model.eval()
        try:
            with torch.no_grad(), self.autocast():
                for group in self.groups(rows):
                    batch = self.micro_batch(group)
                    if not len(batch.targets):
                        continue
                    with attention.DOCUMENTS.of(batch):
                        losses = self.token_losses(batch)
                    of, losses = batch.documents.cpu().numpy(), losses.double().cpu().numpy()
                    found[[places[id(row)] for row in group]] = np.bincount(of, losses, minlength=len(group))
        finally:
            self.model.train()
        return found
