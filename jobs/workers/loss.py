"""Loss of the supervised tokens only: logits are computed where something is learned, in blocks, and never all at once."""

from itertools import pairwise

import torch
from torch.nn.functional import cross_entropy

BLOCK_BYTES = {
    "cpu": 12 * 2**20,
    "cuda": 256 * 2**20,
}  # of float32 logits held at once; on a CPU they stay in its cache
MOST_ROWS = 2048  # tokens at once: enough for a product to run at full speed (measured)
LEAST_COLUMNS = 1024  # of the vocabulary at once
ALIGNED = 64  # columns: a product whose rows begin anywhere took a sixth longer (measured)


class FrozenHeadLoss(torch.autograd.Function):
    """Cross-entropy of each token through a frozen output layer.

    The gradient of the hidden states is computed in the forward pass, because the layer itself needs none: two matrix
    products per block of the vocabulary, one pass over it, and no logits are kept. It depends on that row's loss alone,
    so whatever is made of the losses afterwards only scales the rows.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets):
        """hidden [n, size], weight [vocabulary, size], bias [vocabulary] or None, targets int64 [n] -> float32 [n]."""
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        most = min(len(targets), MOST_ROWS)
        columns = blocks(weight.shape[0], most, hidden.device)
        room = hidden.new_empty(
            most * max(each.stop - each.start for each in columns)
        )  # every block's logits lie in it
        for start in range(0, len(targets), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            others = Others(hidden[rows], targets[rows], gradient is not None)
            for each in columns:
                others.look_at(each, weight[each], None if bias is None else bias[each], room)
            losses[rows], share = others.losses()
            if gradient is not None:
                wanted = weight.index_select(0, targets[rows])
                torch.mul(others.mean - wanted, share[:, None], out=others.mean)
                gradient[rows] = others.mean
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx, upstream):
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[:, None].to(gradient.dtype), None, None, None


class Others:
    """All tokens of the vocabulary but the wanted one of each row, as far as they have been looked at.

    With s the sum of the others' probabilities, the gradient of a row is s · (their mean output row, weighted by
    probability, - the wanted token's). So nothing cancels where a model is sure of its answer, and block after block
    moves the mean: the online softmax of attention (Milakov and Gimelshein 2018, arXiv:1805.02867).
    """

    def __init__(self, hidden: torch.Tensor, targets: torch.Tensor, learning: bool):
        """hidden [n, size], targets [n]; `learning`: the mean is wanted too."""
        self.hidden, self.targets, self.learning = hidden, targets, learning
        self.logit = hidden.new_zeros(len(targets), dtype=torch.float32)  # of the wanted token
        self.total = torch.full_like(self.logit, -torch.inf)  # log of the sum of the others' exponentials
        self.mean = torch.zeros(hidden.shape, dtype=torch.float32, device=hidden.device)
        self.part = torch.empty_like(hidden)

    def look_at(self, columns: slice, weight: torch.Tensor, bias: torch.Tensor | None, room: torch.Tensor) -> None:
        """Take in the tokens `columns`, whose output rows are weight [tokens, size], at least two. `room`: for logits."""
        made = room[: len(self.targets) * len(weight)].view(len(self.targets), -1)
        if bias is None:
            torch.mm(self.hidden, weight.t(), out=made)
        else:
            torch.addmm(bias, self.hidden, weight.t(), out=made)
        logits = made.float()
        rows = ((self.targets >= columns.start) & (self.targets < columns.stop)).nonzero().squeeze(1)
        wanted = self.targets[rows] - columns.start
        self.logit[rows] = logits[rows, wanted]
        logits[rows, wanted] = -torch.inf
        largest = logits.amax(dim=1)
        torch.softmax(logits, dim=1, out=logits)
        # The largest probability is 1 / sum(exp(logits - largest)), which the fused softmax has computed on its way
        total = torch.logaddexp(self.total, found := largest - logits.amax(dim=1).log())
        if self.learning:
            torch.mm(logits.to(weight.dtype), weight, out=self.part)
            self.mean.lerp_(self.part.float(), (found - total).exp_()[:, None])
        self.total = total

    def losses(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy [n], the others' share of all probability [n])"""
        together = torch.logaddexp(self.total, self.logit)
        return together - self.logit, (self.total - together).exp_()


def blocks(vocabulary: int, rows: int, device: torch.device) -> list[slice]:
    """The vocabulary in blocks whose logits of so many rows stay within BLOCK_BYTES."""
    most = max(LEAST_COLUMNS, BLOCK_BYTES[device.type] // (4 * max(rows, 1)))
    size = most // ALIGNED * ALIGNED or most
    ends = [*range(0, vocabulary - 1, size), vocabulary]  # the last may be longer by one, so that none is of one token
    return [slice(start, end) for start, end in pairwise(ends)]


def frozen_head_losses(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each token, float32 [n]. hidden [n, size] must be of the head's own dtype."""
    return FrozenHeadLoss.apply(
        hidden, head.weight.detach(), None if head.bias is None else head.bias.detach(), targets
    )


def plain_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each token, float32 [n], for an output layer that is trained or that we do not know. logits [n, vocabulary]."""
    return cross_entropy(logits.float(), targets, reduction="none")
