"""One adapter on the model by PEFT itself: the measure of our own batch, and the way to answer where that batch would not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


@contextmanager
def with_peft(model, folder: Path) -> Iterator:
    """The adapted model. Afterwards `model` is as it was, trained bias terms included, which PEFT writes over the base's own."""
    from peft import PeftModel

    biases = {name: bias.detach().clone() for name, bias in model.named_parameters() if name.endswith("bias")}
    adapted = PeftModel.from_pretrained(model, folder).eval()
    try:
        yield adapted
    finally:
        adapted.unload()
        with torch.no_grad():
            for name, bias in biases.items():
                model.get_parameter(name).copy_(bias)
