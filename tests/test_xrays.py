"""X-rays: strength and directions of each module's update, and the smaller ranks that would be enough."""

import math
import subprocess

import numpy
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file

from studio import base_models, xrays
from studio.errors import BadInput
from studio.files import read_json, write_json
from studio.web import build_app
from studio.xrays import Xray, XrayedModule
from tests.lora_adapters import add_lora


@pytest.fixture
def pirate(studio):
    base_models.add_builtin(studio)
    return add_lora(studio, "pirate", rank=4, seed=1)


def test_an_x_ray_measures_the_update_of_each_module(studio, pirate):
    found = xrays.xray(studio, "pirate")
    tensors = load_file(studio.data.adapter("pirate").weights)
    for module in found.modules:
        up, down = (tensors[f"base_model.model.{module.name}.lora_{half}.weight"].astype("f8") for half in "BA")
        values = numpy.linalg.svd(2 * up @ down, compute_uv=False)[:4]
        assert module.values == pytest.approx(values, rel=1e-6)
        assert module.norm == pytest.approx(numpy.linalg.norm(2 * up @ down), rel=1e-6)
    assert sum(found.share(module) for module in found.modules) == pytest.approx(1)
    assert {module.layer for module in found.modules} == set(range(base_models.facts_of(pirate.model).layers))


def test_the_effective_rank_is_the_number_of_directions_when_they_are_equally_strong():
    assert XrayedModule("x", 4, [2.0] * 4).effective_rank == pytest.approx(4)
    assert XrayedModule("x", 4, [5.0, 0.0, 0.0, 0.0]).effective_rank == pytest.approx(1)
    shares = (0.5, 0.3, 0.2)
    entropy = -sum(share * math.log(share) for share in shares)
    assert XrayedModule("x", 3, [5.0, 3.0, 2.0]).effective_rank == pytest.approx(math.exp(entropy))
    assert XrayedModule("x", 4, [0.0] * 4).effective_rank == 0


def test_the_smallest_rank_is_offered_that_keeps_enough():
    found = Xray([XrayedModule("a", 3, [10.0, 1.0, 0.1]), XrayedModule("b", 3, [1.0, 1.0, 1.0])])
    assert found.rank_that_keeps(0.97) == 1
    assert found.rank_that_keeps(0.99) == 2
    assert found.rank_that_keeps(0.9999) == 3
    assert found.worst(1).name == "b"
    assert found.worst(1).kept(1) == pytest.approx(1 / 3)


def test_an_adapter_that_changes_nothing_has_an_x_ray_too():
    found = Xray([XrayedModule("a", 2, [0.0, 0.0])])
    assert (found.rank_that_keeps(0.99), found.kept(1), found.share(found.modules[0])) == (1, 1.0, 0.0)


def test_weights_are_looked_at_once(studio, pirate, monkeypatch):
    first = xrays.xray(studio, "pirate")
    monkeypatch.setattr(subprocess, "run", None)
    assert xrays.xray(studio, "pirate") == first


def test_the_api_gives_an_x_ray_or_says_why_there_is_none(studio, pirate):
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860") as client:
        answer = client.get("/api/v1/adapters/pirate/xray").json()
        assert (answer["rank"], [offer["share"] for offer in answer["offers"]]) == (4, [0.99, 0.999])
        assert len(answer["modules"]) == 2 * base_models.facts_of(pirate.model).layers
        add_lora(studio, "odd", seed=2, use_dora=True)
        assert "DoRA" in client.get("/api/v1/adapters/odd/xray").json()["error"]["problem"]
        assert client.get("/api/v1/adapters/gone/xray").status_code == 404


def test_an_adapter_whose_settings_are_damaged_has_no_x_ray(studio, pirate):
    config = studio.data.adapter("pirate").config
    write_json(config, {**read_json(config), "r": "four"})
    with pytest.raises(BadInput, match="rank is not a whole number"):
        xrays.xray(studio, "pirate")
