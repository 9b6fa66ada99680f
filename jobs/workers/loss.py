"""Loss of the supervised tokens only: logits are computed where something is learned, in chunks, and never all at once."""

import torch
from torch.nn.functional import cross_entropy

CHUNK_BYTES = {"cpu": 48 * 2**20, "cuda": 256 * 2**20}  # of float32 logits held at once; on a CPU more was no faster
LEAST_ROWS = 192  # with fewer, reading the output layer's weights takes longer than multiplying with them (measured)


class FrozenHeadLoss(torch.autograd.Function):
    """Cross-entropy of each token through a frozen output layer.

    The gradient of the hidden states is computed in the forward pass, chunk by chunk, because the layer itself needs
    none: two matrix products per chunk, and no logits are kept for the backward pass. A row of it depends on that row's
    loss alone, so whatever is made of the losses afterwards only scales the rows.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets):
        """hidden [n, size], weight [vocabulary, size], bias [vocabulary] or None, targets int64 [n] -> float32 [n]."""
        rows = max(LEAST_ROWS, CHUNK_BYTES[hidden.device.type] // (4 * weight.shape[0]))
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        logits = hidden.new_empty(min(rows, len(targets)), weight.shape[0])  # written over by every chunk
        for start in range(0, len(targets), rows):
            chunk = slice(start, start + rows)
            wanted = targets[chunk, None]
            made = logits[: len(wanted)]
            if bias is None:
                torch.mm(hidden[chunk], weight.t(), out=made)
            else:
                torch.addmm(bias, hidden[chunk], weight.t(), out=made)
            losses[chunk] = losses_in_place(made := made.float(), wanted)
            if gradient is not None:
                made.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=made.dtype))
                torch.mm(made.to(weight.dtype), weight, out=gradient[chunk])
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx, upstream):
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[:, None].to(gradient.dtype), None, None, None


def losses_in_place(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Cross-entropy [n] of float32 logits [n, vocabulary] for tokens [n, 1]. Afterwards `logits` holds the probabilities.

    The largest probability is 1 / sum(exp(logits - largest)), which the fused softmax has computed on its way.
    """
    largest, logit = logits.amax(dim=1), logits.gather(1, wanted).squeeze(1)
    torch.softmax(logits, dim=1, out=logits)
    return largest - logits.amax(dim=1).log() - logit


def frozen_head_losses(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each token, float32 [n]. hidden [n, size] must be of the head's own dtype."""
    return FrozenHeadLoss.apply(
        hidden, head.weight.detach(), None if head.bias is None else head.bias.detach(), targets
    )


def plain_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each token, float32 [n], for an output layer that is trained or that we do not know. logits [n, vocabulary]."""
    return cross_entropy(logits.float(), targets, reduction="none")
