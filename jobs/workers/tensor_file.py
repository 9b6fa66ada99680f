"""A safetensors file written tensor by tensor: arrays that were computed, and tensors of other files, copied as they are."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy

from studio.model_files import Tensor

CHUNK_BYTES = 1 << 22
KINDS = {"float32": "F32", "float64": "F64", "float16": "F16"}
ALIGNED = 8  # of the header's length, so that every tensor can be looked at in place


def write_tensors(path: Path, tensors: Mapping[str, numpy.ndarray | Tensor]) -> None:
    """In the order of the names, whatever their order in `tensors`: the same tensors are the same file."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name in sorted(tensors):
        one = tensors[name]
        dtype, size = (one.dtype, one.size) if isinstance(one, Tensor) else (KINDS[one.dtype.name], one.nbytes)
        header[name] = {"dtype": dtype, "shape": list(one.shape), "data_offsets": [place, place + size]}
        place += size
    content = json.dumps(header, separators=(",", ":")).encode()
    content += b" " * (-len(content) % ALIGNED)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(content)) + content)
        for name in sorted(tensors):
            one = tensors[name]
            if isinstance(one, Tensor):
                copy(one, file)
            else:
                file.write(memoryview(numpy.ascontiguousarray(one)).cast("B"))


def copy(tensor: Tensor, target: IO[bytes]) -> None:
    left = tensor.size
    with open(tensor.file, "rb") as source:
        source.seek(tensor.start)
        while left and (chunk := source.read(min(CHUNK_BYTES, left))):
            target.write(chunk)
            left -= len(chunk)
