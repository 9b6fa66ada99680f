"""Model folders as people bring them, written without torch: a tiny Llama with random numbers, and safetensors of any shape."""

import json
import random
import struct
from pathlib import Path

from tests.small_tokenizer import CHATML, small_tokenizer, write_tokenizer


def safetensors(tensors: dict[str, tuple[int, ...]], dtype: str = "F32", seed: int = 0) -> bytes:
    """A file with these shapes and random contents."""
    size = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "I64": 8}[dtype]
    header, place = {}, 0
    for name, shape in tensors.items():
        count = size
        for side in shape:
            count *= side
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + count]}
        place += count
    written = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(written)) + written + random.Random(seed).randbytes(place)


def llama_shapes(
    vocabulary: int, hidden: int = 32, layers: int = 2, inner: int = 48, keys: int = 16, head: bool = False
) -> dict[str, tuple[int, ...]]:
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": (hidden, hidden),
            f"{at}.self_attn.k_proj.weight": (keys, hidden),
            f"{at}.self_attn.v_proj.weight": (keys, hidden),
            f"{at}.self_attn.o_proj.weight": (hidden, hidden),
            f"{at}.mlp.gate_proj.weight": (inner, hidden),
            f"{at}.mlp.up_proj.weight": (inner, hidden),
            f"{at}.mlp.down_proj.weight": (hidden, inner),
            f"{at}.input_layernorm.weight": (hidden,),
            f"{at}.post_attention_layernorm.weight": (hidden,),
        }
    return shapes | ({"lm_head.weight": (vocabulary, hidden)} if head else {})


def llama_config(vocabulary: int, hidden: int = 32, layers: int = 2, inner: int = 48, **changes) -> dict:
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": inner, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": hidden // 4, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "torch_dtype": "float32",
    }  # fmt: skip
    return {name: value for name, value in {**config, **changes}.items() if value is not None}


def tiny_llama(
    folder: Path, template: str | None = CHATML, hidden: int = 32, config: dict | None = None, **shapes
) -> Path:
    """A complete, loadable folder."""
    vocabulary = small_tokenizer().get_vocab_size()
    write_tokenizer(folder, template)
    (folder / "config.json").write_text(json.dumps(llama_config(vocabulary, hidden, **(config or {}))))
    (folder / "model.safetensors").write_bytes(
        safetensors(llama_shapes(vocabulary, hidden, keys=hidden // 2, **shapes))
    )
    return folder
