"""GGUF of an adapter: every matrix is where llama.cpp looks for it, with the scale in it and rotary rows in its order."""

import struct

import numpy
import pytest
from fastapi.testclient import TestClient

from studio import base_models, gguf_adapter
from studio.errors import BadInput, Conflict
from studio.files import read_json, write_json
from studio.lora_files import read_lora
from studio.pages.adapters_leave import gguf_link
from studio.records import BaseModel
from studio.web import build_app
from tests.lora_adapters import add_lora


@pytest.fixture
def pirate(studio):
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, use_rslora=True)
    return studio


def read_gguf(content: bytes) -> tuple[dict, dict[str, numpy.ndarray]]:
    """(keys with values, matrices by name) of a file with strings and 32-bit floats only."""
    place = 0

    def take(form: str):
        nonlocal place
        values = struct.unpack_from(f"<{form}", content, place)
        place += struct.calcsize(f"<{form}")
        return values[0] if len(values) == 1 else values

    def word() -> str:
        return take(f"{take('Q')}s").decode()

    assert take("4s") == b"GGUF"
    version, tensors, values = take("IQQ")
    assert version == 3
    keys = {word(): word() if take("I") == 8 else take("f") for _ in range(values)}
    about = []
    for _ in range(tensors):
        name, dimensions = word(), take("I")
        sides = [take("Q") for _ in range(dimensions)]
        about.append((name, sides[::-1], take("IQ")))
    start = place + -place % 32
    found = {}
    for name, shape, (kind, offset) in about:
        assert (kind, offset % 32) == (0, 0)
        count = shape[0] * shape[1]
        found[name] = numpy.frombuffer(content, "<f4", count, start + offset).reshape(shape)
    assert len(content) == start + sum(4 * each.size + -4 * each.size % 32 for each in found.values())
    return keys, found


def test_every_matrix_is_there_with_its_scale_and_rotary_rows_in_pairs(pirate):
    keys, found = read_gguf(b"".join(gguf_adapter.gguf_chunks(pirate, "pirate")))
    assert keys["general.architecture"] == "llama"
    assert (keys["general.type"], keys["adapter.type"], keys["adapter.lora.alpha"]) == ("adapter", "lora", 0.0)
    modules = read_lora(pirate.data.adapter("pirate"), "pirate").modules
    assert len(found) == 2 * len(modules)
    up, down = modules["model.layers.0.self_attn.v_proj"].factors()
    assert numpy.allclose(
        found["blk.0.attn_v.weight.lora_b"] @ found["blk.0.attn_v.weight.lora_a"], up @ down, rtol=1e-5, atol=1e-6
    )
    facts = base_models.facts_of(base_models.get_model(pirate, "builtin"))
    up, _ = modules["model.layers.0.self_attn.q_proj"].factors()
    size = up.shape[0] // facts.heads
    given = found["blk.0.attn_q.weight.lora_b"]
    for row in (0, 1, size // 2):  # of the first head: row i of the first half and of the second stand side by side
        assert numpy.allclose(given[2 * (row % (size // 2)) + (row >= size // 2)], up[row], rtol=1e-6)


def test_it_is_downloaded_under_its_name_and_offered_only_where_it_can_be_made(pirate):
    with TestClient(build_app(pirate), base_url="http://127.0.0.1:7860") as client:
        answer = client.get("/files/adapters/pirate/gguf")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"] == 'attachment; filename="the-pirate-pirate.gguf"'
        assert answer.content.startswith(b"GGUF")
        assert client.get("/api/v1/adapters/gone/gguf").status_code == 404
    assert "/files/adapters/pirate/gguf" in gguf_link(pirate, "pirate")
    config = pirate.data.adapter("pirate").config
    write_json(config, {**read_json(config), "use_dora": True})
    with pytest.raises(BadInput, match="DoRA"):
        gguf_adapter.gguf_chunks(pirate, "pirate")
    assert gguf_link(pirate, "pirate") == ""


def test_an_architecture_that_was_not_checked_is_refused_by_name(pirate):
    with pirate.database.write() as session:
        base = session.get_one(BaseModel, "builtin")
        base.facts = {**base.facts, "model_type": "phi3", "architecture": "Phi3ForCausalLM"}
    with pytest.raises(Conflict, match="of Phi3ForCausalLM was not checked"):
        gguf_adapter.gguf_chunks(pirate, "pirate")


@pytest.mark.parametrize(
    "module", ["lm_head", "model.embed_tokens", "model.layers.0.mlp.experts", "model.layers.x.mlp.up_proj"]
)
def test_a_module_without_a_place_is_named(module):
    with pytest.raises(Conflict, match="has no place in a GGUF adapter"):
        gguf_adapter.gguf_name(module)
