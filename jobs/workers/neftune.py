"""NEFTune: noise on the embeddings while training, so that little data is not learned by heart (Jain et al. 2023, arXiv:2310.05914)."""

import torch

from jobs.workers import attention


def add_noise_to_embeddings(model, alpha: float) -> None:
    """From here on, in training mode, every embedding gets uniform noise of ±alpha / sqrt(tokens × width) added.

    `tokens` are those of the token's own document, as in the paper: packing a row beside others, or padding it, changes
    nothing. The noise comes from torch's generator, which each step seeds anew.
    """
    causal = model.get_base_model()
    noise = _Noise(alpha)
    causal.get_decoder().register_forward_pre_hook(noise.measure, with_kwargs=True)
    causal.get_input_embeddings().register_forward_hook(noise.add)


class _Noise:
    def __init__(self, alpha: float):
        self.alpha = alpha
        self.tokens: torch.Tensor | float = 1.0  # of each slot's document: [rows, slots, 1], or one number for all

    def measure(self, _decoder, _arguments, given: dict) -> None:
        """How long the document around each slot is, before the embeddings of these ids are looked up."""
        ids, mask, lengths = given["input_ids"], given.get("attention_mask"), attention.DOCUMENTS.lengths
        if lengths:
            counts = torch.tensor(lengths, device=ids.device)
            self.tokens = counts.repeat_interleave(counts).view(1, -1, 1)
        elif mask is not None and mask.dim() == 2:
            self.tokens = mask.sum(dim=1).view(-1, 1, 1)
        else:
            self.tokens = float(ids.shape[-1])

    def add(self, embedding, _inputs, embedded: torch.Tensor) -> torch.Tensor | None:
        """embedded [rows, slots, width]"""
        if not embedding.training:
            return None
        reach = self.alpha / (torch.as_tensor(self.tokens, device=embedded.device) * embedded.shape[-1]).sqrt()
        return embedded + torch.empty_like(embedded).uniform_(-1, 1) * reach.to(embedded.dtype)
