"""A base model's tensors as they lie on disk, by the names that they have in memory; read without torch."""

from collections.abc import Iterator
from pathlib import Path

import numpy

from studio.errors import BadInput
from studio.linear_layers import in_memory_names, parameters_of
from studio.lora_files import FLOATS
from studio.model_config import ARCHITECTURES
from studio.model_files import Tensor, read_header

CHUNK_NUMBERS = 1 << 22


def tensors_of(folder: Path, model_type: str) -> dict[str, Tensor]:
    """All parameters of a prepared model; masks and rotary tables are left out. Raises BadInput for a type that is no float."""
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= read_header(path)
    learned = parameters_of({name: tensor.shape for name, tensor in found.items()})
    shapes = in_memory_names(learned, ARCHITECTURES[model_type][1])
    named = dict(zip(shapes, learned, strict=True))  # in_memory_names keeps the order
    tensors = {name: found[on_disk] for name, on_disk in named.items()}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise BadInput(f"{name} is stored as {tensor.dtype}.", "Bring the model in 16 or 32 bits.")
    return tensors


def in_chunks(tensor: Tensor) -> Iterator[numpy.ndarray]:
    """Its numbers in 64 bits, a few at a time: an embedding may be larger than what else is in memory."""
    flat = numpy.memmap(tensor.file, FLOATS[tensor.dtype], "r", tensor.start, (tensor.count,))
    for start in range(0, tensor.count, CHUNK_NUMBERS):
        part = flat[start : start + CHUNK_NUMBERS]
        yield (part.astype("<u4") << 16).view("<f4").astype("<f8") if tensor.dtype == "BF16" else part.astype("<f8")


def change(before: Tensor, after: Tensor) -> tuple[float, float]:
    """(squared norm of the difference, squared norm of what was there)."""
    apart = there = 0.0
    for one, other in zip(in_chunks(before), in_chunks(after), strict=True):
        apart += float(numpy.sum((other - one) ** 2))
        there += float(numpy.sum(one**2))
    return apart, there
