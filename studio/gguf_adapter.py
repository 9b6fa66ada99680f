"""A plain LoRA adapter as a GGUF file, which llama.cpp puts on a GGUF of the same base. Made while it is read.

"GGUF", version, counts; keys with values; names, sides and places of the tensors; then their numbers, each on a multiple of 32 bytes.
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names of tensors and the order of rotary rows as in llama.cpp's conversion)
"""

import re
import struct
from collections.abc import Iterator

import numpy

from studio import adapters, base_models
from studio.errors import Conflict, clip
from studio.lora_files import LoraModule, read_lora
from studio.model_facts import ModelFacts
from studio.studio import Studio

VERSION, ALIGNED = 3, 32
FLOAT32, STRING = 6, 8  # kinds of values
F32 = 0  # kind of a tensor
# Architectures whose files were loaded with llama.cpp, and answered as PEFT does: docs/adapters.md says with which version.
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
ROTATED = {"llama"}  # llama.cpp keeps the two halves of a head's rotary rows one beside the other there
LAYER = re.compile(r"model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)")
NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}  # fmt: skip


def file_name(studio: Studio, id: str) -> str:
    return f"{adapters.slug(adapters.get_adapter(studio, id))}.gguf"


def gguf_chunks(studio: Studio, id: str) -> Iterator[bytes]:
    """Raises NotFound, BadInput for what is no plain LoRA, Conflict for an architecture that was not checked."""
    adapter = adapters.get_adapter(studio, id)
    facts = base_models.facts_of(adapter.model)
    if facts.model_type not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise Conflict(
            f"A GGUF of an adapter of {facts.architecture} was not checked with llama.cpp, so it is not made.",
            f"Merge it into the base and convert that with llama.cpp's own script. Checked are: {known}.",
        )
    modules = read_lora(studio.data.adapter(id), adapter.name).modules
    named = [(gguf_name(module.name), module) for module in modules.values()]
    return written(adapter.name, ARCHITECTURES[facts.model_type], facts, named)


def gguf_name(module: str) -> str:
    """Raises Conflict for a module that llama.cpp has no place for."""
    found = LAYER.fullmatch(module)
    if found and found[2] in NAMES:
        return f"blk.{found[1]}.{NAMES[found[2]]}.weight"
    raise Conflict(
        f"'{clip(module)}' has no place in a GGUF adapter that was checked.", "Merge it into the base instead."
    )


def written(name: str, architecture: str, facts: ModelFacts, named: list[tuple[str, LoraModule]]) -> Iterator[bytes]:
    shapes = [
        (f"{at}.{half}", shape)
        for at, module in named
        for half, shape in (("lora_a", module.down.shape), ("lora_b", module.up.shape))
    ]
    yield aligned(header(name, architecture, shapes))
    for at, module in named:
        up, down = module.factors()
        heads = {"attn_q": facts.heads, "attn_k": facts.kv_heads}.get(at.split(".")[2])
        if architecture in ROTATED and heads:
            up = rotary_rows(up, heads)
        yield aligned(numpy.ascontiguousarray(down, "<f4").tobytes())
        yield aligned(numpy.ascontiguousarray(up, "<f4").tobytes())


def header(name: str, architecture: str, shapes: list[tuple[str, tuple[int, ...]]]) -> bytes:
    """alpha 0 means that the scale is in the matrices already: modules may have different ones."""
    values = [
        ("general.type", "adapter"),
        ("general.architecture", architecture),
        ("general.name", name),
        ("adapter.type", "lora"),
        ("adapter.lora.alpha", 0.0),
    ]
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(shapes), len(values))]
    for key, value in values:
        kind = struct.pack("<I", STRING) + text(value) if isinstance(value, str) else struct.pack("<If", FLOAT32, value)
        parts.append(text(key) + kind)
    place = 0
    for tensor, shape in shapes:
        sides = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        parts.append(text(tensor) + sides + struct.pack("<IQ", F32, place))
        place += aligned_size(4 * shape[0] * shape[1])
    return b"".join(parts)


def text(value: str) -> bytes:
    content = value.encode()
    return struct.pack("<Q", len(content)) + content


def aligned_size(size: int) -> int:
    return size + -size % ALIGNED


def aligned(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % ALIGNED)


def rotary_rows(matrix: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Rows of each head from (first half, second half) to pairs of both, as llama.cpp rotates them."""
    rows = matrix.shape[0]
    return matrix.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(matrix.shape)
