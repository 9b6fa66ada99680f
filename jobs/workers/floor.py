"""How near a training step comes to what its device can do: useful arithmetic per second against bare matrix products (MFU)."""

import statistics
import time

import torch

from studio.model_facts import ModelFacts

MOST = {"cpu": (512, 1536), "cuda": (4096, 8192)}  # rows and width of the products that are timed: milliseconds each
ROUNDS = 5  # the best one counts: whatever else the machine does only makes a product slower


ATTENDING = {"q_proj", "k_proj", "v_proj"}  # of the last layer, those that every position goes through


class Floor:
    """Counts as useful 4 operations per weight of the linear layers and token, 2 forward and 2 for the gradient passed on, and
    the same for the output layer at supervised positions alone. A frozen base needs no gradient of its weights (the usual 6
    per parameter would count it); attention, the adapter's own arithmetic and anything computed again are not counted, nor
    is what is never computed: tokens that rows share, or the last layer where nothing is learned.
    """

    def __init__(
        self,
        facts: ModelFacts,
        head: torch.nn.Module | None,
        device: torch.device,
        dtype: torch.dtype,
        shortened: bool = False,
    ):
        """`shortened`: behind its attention, the last layer is computed at supervised positions alone."""
        last = max((layer.layer for layer in facts.linear_layers if layer.layer is not None), default=None)
        self.of_a_token, self.of_a_trained_token = 0, 0 if head is None else 4 * head.weight.numel()
        for layer in facts.linear_layers:
            if shortened and layer.layer == last and layer.target not in ATTENDING:
                self.of_a_trained_token += 4 * layer.inputs * layer.outputs
            else:
                self.of_a_token += 4 * layer.inputs * layer.outputs
        layers = [(layer.inputs, layer.outputs) for layer in facts.linear_layers]
        widest = max(layers, key=lambda each: each[0] * each[1], default=(512, 512))
        self.rate = matrix_rate(*widest, device, dtype)
        self.shares: list[float] = []  # of every step of this attempt

    def share(self, tokens: int, trained: int, seconds: float, processes: int) -> float:
        """MFU of one step, 0 to 1: `tokens` and `trained` ones computed by all processes, each on a device like this one."""
        useful = self.useful(tokens, trained)
        self.shares.append(round(useful / max(seconds, 1e-6) / (self.rate * processes), 4))
        return self.shares[-1]

    def useful(self, tokens: int, trained: int) -> int:
        """Operations that so many tokens need, of which so many positions are learned from."""
        return tokens * self.of_a_token + trained * self.of_a_trained_token

    def median(self) -> float | None:
        return statistics.median(self.shares) if self.shares else None


def matrix_rate(inputs: int, outputs: int, device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a matrix product about the model's own shape, on this device with these threads."""
    rows, widest = MOST[device.type]
    inputs, outputs = min(inputs, widest), min(outputs, widest)
    left = torch.ones(rows, inputs, dtype=dtype, device=device)
    right = torch.ones(inputs, outputs, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        left.mm(right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2 * rows * inputs * outputs / best
