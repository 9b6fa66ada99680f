"""NEFTune: noise on the embeddings while training, so that little data is not learned by heart (Jain et al. 2023, arXiv:2310.05914)."""

import torch

from jobs.workers.engine import Engine
from jobs.workers.packing import MicroBatch


def add_noise_to_embeddings(engine: Engine, alpha: float) -> None:
    """From here on, in training mode, every embedding gets uniform noise of ±alpha / sqrt(tokens × width) added.

    `tokens` are those of the token's own document, as in the paper: packing a row beside others, padding it, or putting
    virtual tokens in front of it changes nothing. The noise comes from torch's generator, which each step seeds anew.
    """
    engine.shares = False  # each row has noise of its own, by its own length, from its first token on
    noise = _Noise(alpha)
    engine.before_inputs.append(lambda batch: noise.measure(batch, engine.prompt.slots))
    engine.causal.get_input_embeddings().register_forward_hook(noise.add)


class _Noise:
    def __init__(self, alpha: float):
        self.alpha = alpha
        self.tokens = torch.ones(())  # of each slot's document: [rows, slots, 1], or one number for all

    def measure(self, batch: MicroBatch, slots: int) -> None:
        """How long the document around each slot is without its `slots` virtual tokens, before embeddings are looked up."""
        if batch.lengths:
            counts = torch.tensor(batch.lengths, device=batch.input_ids.device)
            self.tokens = (counts - slots).repeat_interleave(counts).view(1, -1, 1)
        else:
            mask = torch.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
            self.tokens = (mask.sum(dim=1) - slots).view(-1, 1, 1)

    def add(self, embedding, _inputs, embedded: torch.Tensor) -> torch.Tensor | None:
        """embedded [rows, slots, width]"""
        if not embedding.training:
            return None
        reach = self.alpha / (self.tokens.to(embedded.device) * embedded.shape[-1]).sqrt()
        return embedded + torch.empty_like(embedded).uniform_(-1, 1) * reach.to(embedded.dtype)
