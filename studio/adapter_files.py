"""An adapter as files: is it whole, and is every number in it finite? Read without torch."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy

from studio import storage
from studio.errors import BadInput
from studio.folders import AdapterFolder, new_id
from studio.lora_files import FLOATS
from studio.model_files import read_header

CHUNK_NUMBERS = 4 * 2**20
BF16_EXPONENT = 0x7F80  # all its bits are set in infinities and in what is not a number


def check_adapter(folder: AdapterFolder) -> None:
    """Raises BadInput when the adapter is missing a part, is cut off, or holds a number that is none."""
    try:
        config = json.loads(folder.config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise bad("has no adapter_config.json") from None
    except ValueError:
        raise bad("has an adapter_config.json that is not JSON") from None
    if not isinstance(config, dict) or "peft_type" not in config:
        raise bad("has an adapter_config.json that names no peft_type")
    check_weights(folder.weights)


def check_weights(path: Path) -> None:
    if not path.is_file():
        raise bad(f"has no {path.name}")
    tensors = read_header(path)
    if not tensors:
        raise bad(f"has no tensor in {path.name}")
    data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
    for name, tensor in tensors.items():
        kind = FLOATS.get(tensor.dtype)
        if kind and not all(
            finite(numbers, tensor.dtype) for numbers in chunks(data, tensor.start, tensor.start + tensor.size, kind)
        ):
            raise bad(f"holds a number that is not finite, in {name}", "Train again with a lower learning rate.")


def chunks(data: numpy.ndarray, first: int, end: int, kind: str) -> Iterator[numpy.ndarray]:
    size = CHUNK_NUMBERS * numpy.dtype(kind).itemsize
    for start in range(first, end, size):
        yield data[start : min(start + size, end)].view(kind)


def finite(numbers: numpy.ndarray, dtype: str) -> bool:
    if dtype == "BF16":
        return bool(numpy.all(numbers & BF16_EXPONENT != BF16_EXPONENT))
    return bool(numpy.all(numpy.isfinite(numbers)))


def weights_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Exact size of a safetensors file with these tensors in fp32, as PEFT writes it: a padded JSON header, then the numbers."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(shapes):
        size = 4 * math.prod(shapes[name])
        header[name] = {"dtype": "F32", "shape": list(shapes[name]), "data_offsets": [place, place + size]}
        place += size
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + math.ceil(length / 8) * 8 + place


def bad(what: str, fix: str = "Look at the run's log, and train again.") -> BadInput:
    return BadInput(f"The adapter {what}.", fix)


def put_in_place(source: Path, target: Path) -> None:
    """All plain files of `source` as the folder `target`, whole or not at all; what was there before is replaced. Raises OSError."""
    beside = target.with_name(f".{target.name}.{new_id()}")
    storage.reached("fill", beside)
    copy_into(source, beside)
    storage.sync_below(beside)
    storage.remove(target)  # of a registration that was cut off before its row was written
    storage.rename(beside, target)
    storage.sync(target.parent)


def copy_into(source: Path, target: Path) -> None:
    """All plain files of `source` in the new folder `target`; links are left out."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.is_symlink():
            copy_or_link(path, target / path.name)


def copy_or_link(path: Path, copy: Path) -> None:
    """A second name costs no room; where the file system has none, a copy."""
    try:
        os.link(path, copy)
    except OSError:
        shutil.copyfile(path, copy)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
