"""A model's weights as they lie on disk: safetensors headers read and checked without torch, and their fingerprint.

8 bytes   length n of the header, little-endian
n bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}
the rest  the tensors' bytes, without gaps
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import BadInput, clip
from studio.model_config import read_model_json

MOST_HEADER_BYTES = 16 << 20  # the largest real ones have some hundred kB
DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # those that are trained on
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.gguf", "*.onnx")
AGAIN = "Fetch it again from where the model came from."

WHOLE_BYTES = 1 << 30  # up to here every byte goes into the fingerprint
BLOCK, BLOCKS = 1 << 16, 9  # above, so many blocks of each tensor, spread evenly from its first byte to its last


@dataclass(frozen=True)
class Tensor:
    file: Path
    dtype: str  # "F32"
    shape: tuple[int, ...]
    start: int  # in the file
    size: int  # in bytes

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Weights:
    files: list[Path]
    tensors: dict[str, Tensor]

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    def fingerprint(self) -> str:
        """sha256 over names, types, shapes and contents, in the order of the names: the same however it is cut into files.

        Of models above 1 GiB the contents are sampled: nine blocks of 64 KiB of each tensor, first and last among them,
        so that 70 billion parameters take seconds. An adapter only has to know its base again, not to prove it.
        """
        whole = sum(tensor.size for tensor in self.tensors.values()) <= WHOLE_BYTES
        digest = hashlib.sha256(b"whole\n" if whole else b"sampled\n")
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name}\0{tensor.dtype}\0{tensor.shape}\n".encode())
            with open(tensor.file, "rb") as file:
                for start, size in _parts(tensor.size, whole):
                    file.seek(tensor.start + start)
                    digest.update(file.read(size))
        return digest.hexdigest()


def read_weights(folder: Path, root: Path | None = None) -> Weights:
    """All tensors of the model in this folder. Raises BadInput, naming the file, for what cannot be used.

    Files must lie below `root` (default: the folder itself), wherever links lead.
    """
    files = _files(folder)
    tensors: dict[str, Tensor] = {}
    for path in files:
        inside(path, root or folder)
        for name, tensor in read_header(path).items():
            if name in tensors:
                raise BadInput(f"The tensor {clip(name)} is in {tensors[name].file.name} and in {path.name}.", AGAIN)
            tensors[name] = tensor
    _check_index(folder, tensors)
    if not tensors:
        raise BadInput(f"{files[0].name} holds no weights.", AGAIN)
    return Weights(files, tensors)


def inside(path: Path, root: Path) -> Path:
    """The file that a path leads to. Raises BadInput when a link leads out of `root`."""
    found = path.resolve()
    if not found.is_relative_to(root.resolve()):
        raise BadInput(f"{path.name} is a link that leads out of the models folder.", "Put the file itself there.")
    return found


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, proved to lie within it."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        _check_kind(path.name, size, start + file.read(56))
        length = int.from_bytes(start, "little")
        if length > MOST_HEADER_BYTES:
            raise BadInput(
                f"{path.name} says that its header has {length:,} bytes: it is no safetensors file, whatever its name.",
                "Convert the weights to safetensors.",
            )
        if 8 + length > size:
            raise BadInput(
                f"{path.name} is cut off: its header alone needs {8 + length:,} bytes, and {size:,} are there.", AGAIN
            )
        file.seek(8)
        header = _parse(path.name, file.read(length))
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items() if name != "__metadata__"}
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].size)):
        if tensor.start != end:
            raise BadInput(f"{path.name}: the tensor {clip(name)} does not begin where the one before it ends.", AGAIN)
        end += tensor.size
    if end != size:
        raise BadInput(
            f"{path.name} is {'cut off' if end > size else 'too long'}: its tensors need {end:,} bytes, and {size:,} are there.",
            AGAIN,
        )
    return tensors


def _check_kind(name: str, size: int, start: bytes) -> None:
    """Say what a file is that only bears the name."""
    if start.startswith(b"version https://git-lfs"):
        raise BadInput(
            f"{name} is a Git LFS pointer, not the weights themselves.",
            "Run 'git lfs pull' where it came from, and bring the file that it fetches.",
        )
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise BadInput(
            f"{name} is a pickle under another name, which could run code when it is read.",
            "Convert the weights to safetensors where you trust them.",
        )
    if start.startswith(b"GGUF"):
        raise BadInput(f"{name} is a GGUF file under another name.", "Bring the safetensors of the same model.")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise BadInput(f"{name} is a web page, not weights.", "The download link led to a page; fetch the file itself.")
    if size < 10:
        raise BadInput(f"{name} has {size} bytes: it is no safetensors file.", AGAIN)


def _parse(name: str, header: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands in it twice")
        return found

    try:
        value = json.loads(header, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} has a header that cannot be read: {clip(error, 100)}.", AGAIN) from None
    if not isinstance(value, dict):
        raise BadInput(f"{name} has a header that is no JSON object.", AGAIN)
    return value


def _tensor(path: Path, name: str, entry: Any, data: int) -> Tensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
        if not whole or len(shape) > 8 or end - start != math.prod(shape) * DTYPE_BYTES[dtype]:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise BadInput(
            f"{path.name}: the header's entry for {clip(name)} is wrong: {clip(json.dumps(entry), 100)}.", AGAIN
        ) from None
    return Tensor(path, dtype, tuple(shape), data + start, end - start)


def _files(folder: Path) -> list[Path]:
    """The safetensors files that together are the model: model.safetensors, else the index's shards, else all shards, else the only one."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    found = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("adapter_"))
    if single in found:
        return [single]
    if index.is_file():
        names = sorted(set(_weight_map(index).values()))
        _refuse_missing([name for name in names if not (folder / name).is_file()], len(names))
        return [folder / name for name in names]
    shards = [(path, shard) for path in found if (shard := SHARD.fullmatch(path.name))]
    if shards:
        stem, total = shards[0][1][1], shards[0][1][3]
        names = [f"{stem}-{number:05d}-of-{total}.safetensors" for number in range(1, int(total) + 1)] or [
            f"{stem}-00001-of-{total}.safetensors"
        ]
        _refuse_missing([name for name in names if not (folder / name).is_file()], len(names))
        return [folder / name for name in names]
    if len(found) == 1:
        return found
    raise _no_weights(folder, found)


def _no_weights(folder: Path, found: list[Path]) -> BadInput:
    if found:
        names = clip(", ".join(path.name for path in found), 200)
        return BadInput(
            f"There are several safetensors files and no index that says how they belong together: {names}.",
            "Bring model.safetensors.index.json too.",
        )
    if (folder / "adapter_config.json").exists():
        return BadInput(
            "This folder holds an adapter, not a base model.", "Bring the base model that it was trained on."
        )
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        return BadInput(
            f"The weights are only there as {clip(pickles[0])}, which could run code when it is read.",
            "Convert them to safetensors where you trust them.",
        )
    return BadInput("There is no model.safetensors in the folder.", "Put the weights beside config.json.")


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_model_json(index).get("weight_map")
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(name, str) for name in weight_map.values())
    ):
        raise BadInput(f"{index.name} has no weight_map that names the files.", AGAIN)
    for name in weight_map.values():
        if "/" in name or "\\" in name or "\0" in name or not name.endswith(".safetensors"):
            raise BadInput(
                f"{index.name} names the file {clip(repr(name))}, which is no safetensors file of this folder.", AGAIN
            )
    return weight_map


def _check_index(folder: Path, tensors: dict[str, Tensor]) -> None:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        return
    for name, file in _weight_map(index).items():
        if name not in tensors or tensors[name].file.name != file:
            raise BadInput(f"{index.name} says that {clip(name)} is in {clip(file)}, and it is not.", AGAIN)


def _refuse_missing(missing: list[str], total: int) -> None:
    if missing:
        raise BadInput(
            f"Of {total} files of weights {len(missing)} are missing: {clip(', '.join(missing), 300)}.",
            "Fetch them from where the model came from.",
        )


def _parts(size: int, whole: bool) -> list[tuple[int, int]]:
    """(start, size) of the stretches of a tensor that go into the fingerprint."""
    if whole or size <= BLOCK * BLOCKS:
        return [(start, min(1 << 20, size - start)) for start in range(0, size, 1 << 20)]
    return [((size - BLOCK) * number // (BLOCKS - 1), BLOCK) for number in range(BLOCKS)]
