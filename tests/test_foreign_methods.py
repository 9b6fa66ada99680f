"""What cannot be brought is refused for what it is, each with its own sentence; folders are taken like files."""

import json
import zipfile

import numpy
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file, save_file

from studio import adapters, base_models
from studio.adapter_import import import_adapter, import_folder
from studio.errors import BadInput, Invalid
from studio.files import read_json, write_json
from studio.folders import AdapterFolder
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app
from tests.lora_adapters import write_lora

LAYER = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def place(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "data", models_folder=tmp_path / "models"))
    base_models.add_builtin(opened)
    (tmp_path / "models").mkdir(exist_ok=True)
    yield opened
    opened.database.close()


def sides(studio) -> tuple[int, int]:
    facts = base_models.facts_of(base_models.get_model(studio, "builtin"))
    return next((layer.inputs, layer.outputs) for layer in facts.linear_layers if layer.name == LAYER)


@pytest.fixture
def made(place, tmp_path) -> AdapterFolder:
    return write_lora(tmp_path / "models" / "pirate", {LAYER: sides(place)}, rank=2)


def files_of(folder: AdapterFolder):
    return [(path.name, path) for path in sorted(folder.path.iterdir())]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"peft_type": "LOHA"}, "its method is LoHa, which this studio does not have. Known are LoRA"),
        ({"peft_type": "LOKR"}, "its method is LoKr, which"),
        ({"peft_type": "SOMETHING_NEW"}, "its method is SOMETHING_NEW, which"),
        ({"peft_type": None}, "its method is not named"),
        ({"peft_type": ["LORA"]}, "its method is"),
        ({"task_type": "SEQ_CLS"}, "made for SEQ_CLS and not for chat, it is a classifier"),
        ({"task_type": "SEQ_2_SEQ_LM"}, "made for SEQ_2_SEQ_LM and not for chat"),
        ({"layer_replication": [[0, 4], [2, 5]]}, "it repeats layers of its base"),
        ({"lora_bias": True}, "bias terms of their own"),
        ({"target_parameters": ["experts.down_proj"]}, "parameters inside of modules"),
        ({"alora_invocation_tokens": [1]}, "aLoRA"),
        ({"init_lora_weights": "pissa"}, r"changes the base model itself \(pissa\)"),
        ({"init_lora_weights": "loftq"}, r"changes the base model itself \(loftq\)"),
        ({"use_dora": True}, "the lengths of 'model.layers.0.self_attn.q_proj' are missing"),
        ({"trainable_token_indices": [3]}, "the rows of its trained tokens are missing"),
        ({"r": 3}, "its settings say rank 3"),
        ({"r": 10**30}, "its settings say rank"),
        ({"lora_alpha": 10**30}, "its alpha is not a number"),
        ({"rank_pattern": {"(a+)+$": 1}}, "plain names"),
        ({"brand_new_setting": 1}, "its setting 'brand_new_setting' is not one that this studio knows"),
        ({"bias": "some"}, "its bias is some"),
        ({"eva_config": json.loads("[" * 20 + "]" * 20)}, "nested more than"),
        ({"peft_type": "IA3", "lora_alpha": None, "r": None}, "no part of its method"),
        ({"peft_type": "VERA", "lora_alpha": None, "r": 2}, "its random matrices are not in its file"),
        (
            {"peft_type": "PROMPT_TUNING", "lora_alpha": None, "r": None, "num_virtual_tokens": 4},
            "no part of its method",
        ),
        (
            {"peft_type": "PROMPT_TUNING", "lora_alpha": None, "r": None, "num_virtual_tokens": 10**12},
            "not a whole number above 0",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_brought_is_refused_for_what_it_is(place, made, settings, said):
    write_json(made.config, {**read_json(made.config), **settings})
    with pytest.raises(BadInput, match=said):
        import_adapter(place, files_of(made))
    assert adapters.list_adapters(place).items == []
    assert list(place.data.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "shape", "said"),
    [
        ("base_model.model.score.weight", (2, 8), "holds 'base_model.model.score.weight', which is no part"),
        (f"base_model.model.{LAYER}.hada_w1_a", (2, 8), "which is no part of a LoRA"),
        ("base_model.model.lm_head.weight", (7, 8), "replaces 'lm_head.weight' by one of the shape"),
        ("base_model.model.model.embed_tokens.base_layer.weight", (7, 8), "save_embedding_layers=False"),
        (f"base_model.model.{LAYER}.lora_B.bias", (8,), "bias terms of their own"),
        (f"base_model.model.{LAYER}.lora_magnitude_vector", (8,), "do not say use_dora"),
        ("base_model.model.x.lora_A.weight", (2, 4), "'x' has no lora_B.weight"),
        ("base_model.model.y.lora_A.weight", (0, 4), "has the shape"),
        (f"{LAYER}.lora_A.weight", (2, 4), "PEFT's tensors begin with base_model.model."),
    ],
)
def test_a_tensor_without_a_place_is_named(place, made, key, shape, said):
    tensors = {**load_file(made.weights), key: numpy.ones(shape, "<f4")}
    made.weights.unlink()
    save_file(tensors, made.weights)
    with pytest.raises(BadInput, match=said):
        import_adapter(place, files_of(made))


def test_a_zip_that_holds_a_file_twice_or_a_link_is_refused(place, made, tmp_path):
    twice, link = tmp_path / "twice.zip", tmp_path / "link.zip"
    with zipfile.ZipFile(twice, "w") as archive:
        for _, path in files_of(made):
            archive.write(path, path.name)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("adapter_config.json", "{}")
    with zipfile.ZipFile(link, "w") as archive:
        archive.write(made.config, "adapter_config.json")
        entry = zipfile.ZipInfo("adapter_model.safetensors")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(BadInput, match="adapter_config.json is in the zip twice"):
        import_adapter(place, [("twice.zip", twice)])
    with pytest.raises(BadInput, match="is a link in the zip"):
        import_adapter(place, [("link.zip", link)])


def test_an_adapter_in_a_folder_below_the_models_folder_is_taken_by_its_name(place, made, tmp_path):
    assert base_models.local_candidates(place, "adapter_config.json") == ["pirate"]
    adapter = import_folder(place, "pirate")
    assert (adapter.name, adapter.source, adapter.rank) == ("pirate", "import", 2)
    assert made.weights.is_file()
    (tmp_path / "models" / "leads_out").symlink_to(tmp_path / "data")
    with pytest.raises(BadInput, match="leads out of the models folder"):
        import_folder(place, "leads_out")
    with pytest.raises(Invalid, match="does not name a folder below"):
        import_folder(place, "../data")
    made.config.unlink()
    made.config.symlink_to(place.data.path / "studio.sqlite")
    with pytest.raises(BadInput, match="leads out of the models folder"):
        import_folder(place, "pirate")


def test_a_folder_is_imported_through_the_api(place, made):
    with TestClient(build_app(place), base_url="http://127.0.0.1:7860") as client:
        answer = client.post("/api/v1/adapters/folder", json={"path": "pirate", "name": "Mine"})
        assert (answer.status_code, answer.json()["name"]) == (201, "Mine")
        assert answer.json()["passport"]["imported"]["matched"] == "q_proj ×1"
        assert client.post("/api/v1/adapters/folder", json={"path": "gone"}).status_code == 400


def test_the_bases_that_do_not_fit_are_named_with_what_is_in_the_way(place, tmp_path):
    wide = write_lora(tmp_path / "wide", {LAYER: (4096, 4096)})
    with pytest.raises(BadInput) as refusal:
        import_adapter(place, files_of(wide))
    inputs, outputs = sides(place)
    assert f"in Built-in it has {inputs} and {outputs}" in refusal.value.problem
