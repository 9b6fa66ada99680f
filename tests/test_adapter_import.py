"""Import: adapters made elsewhere are matched by shape, kept in the studio's form, or refused for what they are."""

import contextlib
import io
import json
import zipfile
from pathlib import Path

import numpy
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file, save_file

from jobs.workers import lab
from studio import adapter_job_queue, adapter_jobs, adapters, base_models
from studio.adapter_import import import_adapter
from studio.errors import BadInput, Invalid, NotFound, StudioError, TooLarge
from studio.files import read_json, write_json
from studio.folders import AdapterFolder
from studio.lab_settings import StackSettings
from studio.lora_files import read_lora
from studio.model_facts import LinearLayer, ModelFacts
from studio.records import BaseModel, ModelState
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app
from tests.lora_adapters import add_lora, write_lora

GPT2 = {"attn.c_attn": (768, 2304), "attn.c_proj": (768, 768), "mlp.c_fc": (768, 3072), "mlp.c_proj": (3072, 768)}
GEMMA3_270M = {
    "self_attn.q_proj": (640, 1024), "self_attn.k_proj": (640, 256), "self_attn.v_proj": (640, 256), "self_attn.o_proj": (1024, 640),
    "mlp.gate_proj": (640, 2048), "mlp.up_proj": (640, 2048), "mlp.down_proj": (2048, 640),
}  # fmt: skip


def add_base(studio, id: str, prefix: str, layers: int, modules: dict[str, tuple[int, int]], hidden: int) -> BaseModel:
    """A base model of these shapes, as far as an import looks at it: by its facts."""
    linear = [
        LinearLayer(
            name=f"{prefix}.{number}.{module}",
            target=module.rpartition(".")[2],
            layer=number,
            inputs=inputs,
            outputs=outputs,
        )
        for number in range(layers)
        for module, (inputs, outputs) in modules.items()
    ]
    facts = ModelFacts(
        architecture="Any", model_type="any", parameters=1, layers=layers, hidden_size=hidden, intermediate_size=1, heads=1, kv_heads=1, vocabulary=1000,
        context_length=512, dtype="float32", tied_embeddings=True, linear_layers=linear, has_chat_template=True, size_bytes=0, fingerprint=id * 8,
    )  # fmt: skip
    folder = studio.data.base_model(id).create()
    folder.model.mkdir()
    write_json(folder.facts, facts.model_dump())
    base = BaseModel(
        id=id,
        name=f"The {id}",
        source="local",
        location=id,
        state=ModelState.READY,
        parameters=1,
        fingerprint=facts.fingerprint,
        facts=facts.model_dump(),
    )
    with studio.database.write() as session:
        session.add(base)
    return base


@pytest.fixture
def bases(studio):
    add_base(studio, "gpt2", "transformer.h", 12, GPT2, 768)
    add_base(studio, "gemma", "model.layers", 18, GEMMA3_270M, 640)
    return studio


def files_of(folder: Path) -> list[tuple[str, Path]]:
    return [(path.name, path) for path in sorted(folder.iterdir()) if path.is_file()]


def zip_of(folder: Path, target: Path, top: str = "adapter/") -> list[tuple[str, Path]]:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files_of(folder):
            archive.write(path, top + name)
    return [(target.name, target)]


@pytest.mark.parametrize(
    ("name", "base", "rank", "modules", "targets"),
    [
        ("chessgpt_chetan", "gpt2", 8, 12, ["c_attn"]),  # its task_type is null
        ("gpt2-tigrinya_abrhaley", "gpt2", 8, 36, ["c_attn", "c_proj"]),
        ("gemma3-270m-svg_aowei", "gemma", 4, 72, ["k_proj", "o_proj", "q_proj", "v_proj"]),
        ("gemma3-270m-svg_aowei_seed123", "gemma", 4, 72, ["k_proj", "o_proj", "q_proj", "v_proj"]),
        (
            "gemma3-270m_fanyihan",
            "gemma",
            8,
            36,
            ["q_proj", "v_proj"],
        ),  # its base is a folder of a machine that is not ours
    ],
)
def test_a_real_adapter_finds_its_base_by_shape(bases, shared_data, name, base, rank, modules, targets):
    adapter = import_adapter(bases, files_of(shared_data / "adapters" / name), name=name)
    assert (adapter.base_model, adapter.rank, adapter.source, adapter.name) == (base, rank, "import", name)
    lora = read_lora(bases.data.adapter(adapter.id), name)
    assert len(lora.modules) == modules
    config = read_json(bases.data.adapter(adapter.id).config)
    assert (config["task_type"], config["base_model_name_or_path"]) == ("CAUSAL_LM", None)
    assert config["target_modules"] == targets


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("distilbert-imdb-SEQ_CLS_tashu", "made for SEQ_CLS and not for chat"),
        ("gpt2-peft_anirudh", "made for SEQ_CLS and not for chat"),
        ("lfs-pointer_phi3-unsloth", "is a Git LFS pointer, not the weights themselves"),
    ],
)
def test_a_real_adapter_that_is_none_for_chat_is_refused_by_name(bases, shared_data, name, said):
    with pytest.raises(BadInput, match=said):
        import_adapter(bases, files_of(shared_data / "adapters" / name))
    assert adapters.list_adapters(bases).items == []
    assert list(bases.data.incoming.iterdir()) == []


def test_the_wrong_base_is_refused_with_the_layer_that_does_not_fit(bases, shared_data):
    files = files_of(shared_data / "adapters" / "chessgpt_chetan")
    with pytest.raises(BadInput, match="changes 'transformer.h.0.attn.c_attn', and The gemma has no such layer"):
        import_adapter(bases, files, base_model="gemma")
    with pytest.raises(NotFound):
        import_adapter(bases, files, base_model="gone")


def test_without_its_base_in_the_studio_it_is_said_what_is_missing(studio, shared_data):
    with pytest.raises(BadInput, match="fits no base model of this studio: it changes 12 layers"):
        import_adapter(studio, files_of(shared_data / "adapters" / "chessgpt_chetan"))


def test_where_two_bases_fit_the_person_chooses(bases, shared_data):
    add_base(bases, "other", "transformer.h", 12, GPT2, 768)
    files = files_of(shared_data / "adapters" / "chessgpt_chetan")
    with pytest.raises(Invalid, match="fits several base models of this studio: The gpt2, The other"):
        import_adapter(bases, files)
    assert import_adapter(bases, files, base_model="other").base_model == "other"


@pytest.fixture
def small(studio):
    """A studio with the built-in base, and a folder with an adapter for it."""
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=2)
    return studio


def test_an_adapter_goes_from_one_studio_to_another_with_its_passport(small, tmp_path):
    source = small.data.adapter("pirate")
    passport = {
        **read_json(source.passport),
        "name": "Pirate",
        "results": {"heldout_loss": 0.8, "base_heldout_loss": 4.6},
        "plan": {"seed": 3},
    }
    write_json(source.passport, passport)
    (tmp_path / "a.zip").write_bytes(b"".join(adapters.zip_chunks(small, "pirate")))
    second = Studio.open(StudioSettings(data_folder=tmp_path / "second"))
    base_models.add_builtin(second)
    adapter = import_adapter(second, [("a.zip", tmp_path / "a.zip")])
    assert (adapter.name, adapter.sha256, adapter.base_model) == (
        "Pirate",
        adapters.get_adapter(small, "pirate").sha256,
        "builtin",
    )
    assert (adapter.heldout_loss, adapter.base_heldout_loss) == (0.8, 4.6)
    arrived = read_json(second.data.adapter(adapter.id).passport)
    assert (arrived["plan"], arrived["base_model"]["id"]) == ({"seed": 3}, "builtin")
    assert (second.data.adapter(adapter.id).path / "tokenizer.json").is_file()
    assert b"".join(adapters.zip_chunks(second, adapter.id))
    second.database.close()


def test_a_passport_of_other_weights_or_of_another_base_is_not_believed(small, tmp_path):
    folder = small.data.adapter("pirate")
    write_json(folder.passport, {"adapter_sha256": "0" * 64})
    with pytest.raises(BadInput, match="belongs to other weights"):
        import_adapter(small, files_of(folder.path))
    write_json(folder.passport, {"base_model": {"fingerprint": "0" * 64}})
    with pytest.raises(BadInput, match="by the fingerprint in its passport"):
        import_adapter(small, files_of(folder.path))
    with pytest.raises(BadInput, match="names another fingerprint"):
        import_adapter(small, files_of(folder.path), base_model="builtin")


def test_what_only_plain_peft_means_is_written_anew(small, tmp_path):
    folder = small.data.adapter("pirate")
    config = read_json(folder.config)
    write_json(
        folder.config,
        {
            **config,
            "target_modules": ".*(q|v)_proj",
            "base_model_name_or_path": "/content/base",
            "auto_mapping": {"a": 1},
        },
    )
    (folder.path / "chat_template.jinja").write_text("{{ messages }}")
    (folder.path / "run.py").write_text("print('never')")
    adapter = import_adapter(small, zip_of(folder.path, tmp_path / "My adapter.zip"))
    arrived = small.data.adapter(adapter.id)
    assert adapter.name == "My adapter"
    assert read_json(arrived.config)["target_modules"] == ["q_proj", "v_proj"]
    assert read_json(arrived.passport)["imported"]["base_named"] == "/content/base"
    assert (arrived.path / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not (arrived.path / "run.py").exists()


def broken(folder: AdapterFolder, how: str) -> None:
    """An adapter's folder, spoilt in one way."""
    if how == "not finite":
        tensors = load_file(folder.weights)
        next(iter(tensors.values()))[0, 0] = numpy.inf
        folder.weights.unlink()
        save_file(tensors, folder.weights)
    elif how == "no config":
        folder.config.unlink()
    elif how == "no weights":
        folder.weights.unlink()
    elif how == "pickle":
        folder.weights.rename(folder.path / "adapter_model.bin")
    elif how == "cut off":
        folder.weights.write_bytes(folder.weights.read_bytes()[:-1])
    elif how == "config is a list":
        folder.config.write_text("[]")
    elif how == "config is no json":
        folder.config.write_text("{")
    elif how == "passport is a list":
        folder.passport.write_text("[1]")
    elif how == "deep config":
        folder.config.write_text("[" * 100_000)
    elif how == "endless alpha":
        write_json(folder.config, {**read_json(folder.config), "lora_alpha": 10**400})
    elif how == "whole numbers":
        tensors = {name: value.astype("i4") for name, value in load_file(folder.weights).items()}
        folder.weights.unlink()
        save_file(tensors, folder.weights)
    elif how == "passport with NaN":
        folder.passport.write_text('{"results": {"heldout_loss": NaN}}')
    elif how == "half a character":
        folder.passport.write_text('{"name": "\\ud800"}')
    elif how == "deep passport":
        folder.passport.write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("not finite", "not finite"), ("no config", "adapter_config.json"), ("no weights", "no adapter_model.safetensors"), ("pickle", "could run code"),
        ("cut off", "is cut off"), ("config is a list", "no adapter_config.json"), ("config is no json", "not valid JSON"),
        ("passport is a list", "passport.json is not"), ("deep passport", "passport.json is not"),
        ("deep config", "not valid JSON"), ("endless alpha", "its alpha is not a number"), ("whole numbers", "no floating-point type"),
        ("passport with NaN", "passport.json is not"), ("half a character", "passport.json is not"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True], ids=["files", "zip"])
def test_what_is_broken_is_refused_in_words_and_leaves_nothing(small, tmp_path, how, said, packed):
    folder = small.data.adapter("pirate")
    broken(folder, how)
    files = zip_of(folder.path, tmp_path / "a.zip") if packed else files_of(folder.path)
    with pytest.raises(BadInput, match=said):
        import_adapter(small, files)
    assert len(adapters.list_adapters(small).items) == 1
    assert list(small.data.incoming.iterdir()) == []
    assert len(list((small.data.path / "adapters").iterdir())) == 1


def test_a_zip_is_not_unpacked_outside_and_not_beyond_the_limit(small, tmp_path):
    folder = small.data.adapter("pirate")
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder.config, "../../adapter_config.json")
        archive.write(folder.weights, "../../adapter_model.safetensors")
    assert import_adapter(small, [("hostile.zip", hostile)]).rank == 2
    assert not (tmp_path / "adapter_config.json").exists()
    with zipfile.ZipFile(hostile, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder.config, "adapter_config.json")
        archive.write(folder.weights, "adapter_model.safetensors")
        archive.writestr("passport.json", b" " * (9 << 20))
    with pytest.raises(TooLarge):
        import_adapter(small, [("hostile.zip", hostile)])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/adapter_config.json", "b/adapter_config.json"], "holds 2 adapters"),
        (["readme.txt"], "holds no adapter_config.json"),
        ([], "holds no adapter_config.json"),
    ],
)
def test_a_zip_with_none_or_several_adapters_is_refused(small, tmp_path, names, said):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    with pytest.raises(BadInput, match=said):
        import_adapter(small, [("a.zip", tmp_path / "a.zip")])


def test_any_bytes_at_all_are_refused_in_words(small, tmp_path):
    random = numpy.random.default_rng(0)
    good = zip_of(small.data.adapter("pirate").path, tmp_path / "good.zip")[0][1].read_bytes()
    for number in range(20):
        content = bytearray(good)
        for place in random.integers(0, len(content), 30 * number + 1):
            content[place] ^= int(random.integers(1, 256))
        (tmp_path / "any.zip").write_bytes(content[: int(random.integers(1, len(content)))] if number % 2 else content)
        with contextlib.suppress(StudioError):  # anything else would be a bug
            import_adapter(small, [("any.zip", tmp_path / "any.zip")])


def test_an_adapter_is_imported_through_the_api(small, tmp_path):
    sides = {
        layer.name: (layer.inputs, layer.outputs)
        for layer in base_models.facts_of(base_models.get_model(small, "builtin")).linear_layers
    }
    folder = write_lora(
        tmp_path / "adapter", {"model.layers.0.self_attn.q_proj": sides["model.layers.0.self_attn.q_proj"]}
    )
    packed = io.BytesIO(zip_of(folder.path, tmp_path / "a.zip")[0][1].read_bytes())
    with TestClient(build_app(small), base_url="http://127.0.0.1:7860") as client:
        made = client.post(
            "/api/v1/adapters", files={"file": ("a.zip", packed)}, data={"name": "From elsewhere"}
        ).json()
        assert (made["name"], made["source"], made["rank"]) == ("From elsewhere", "import", 4)
        loose = [("file", (path.name, path.read_bytes())) for path in folder.path.iterdir()]
        assert client.post("/api/v1/adapters", files=loose).status_code == 201
        refused = client.post("/api/v1/adapters", files={"file": ("a.zip", b"nonsense")})
        assert (refused.status_code, "adapter_config.json" in refused.json()["error"]["problem"]) == (400, True)
        assert client.post("/api/v1/adapters", files={"file": ("a.zip", b"x")}, data={"nmae": "x"}).status_code == 422
        assert json.loads(client.get(f"/api/v1/adapters/{made['id']}").text)["passport"]["imported"]


def test_two_real_adapters_of_one_family_are_stacked_exactly(bases, shared_data):
    ids = [
        import_adapter(bases, files_of(shared_data / "adapters" / name)).id
        for name in ("gemma3-270m-svg_aowei", "gemma3-270m-svg_aowei_seed123", "gemma3-270m_fanyihan")
    ]
    weights = (0.5, 0.5, -1.0)
    parents = [{"adapter": id, "weight": weight} for id, weight in zip(ids, weights, strict=True)]
    job = adapter_jobs.queue_job(bases, StackSettings(parents=parents))
    adapter_job_queue.claim(bases)
    lab.main(bases.data.adapter_job(job.id))
    assert adapter_job_queue.settle(bases, job).result["relative_error"] < 1e-6
    loras = [read_lora(bases.data.adapter(id), id) for id in (*ids, job.id)]
    made = loras.pop()
    assert (len(made.modules), made.widest) == (72, 16)
    for name, module in made.modules.items():
        parts = [
            (weight, lora.modules[name].factors())
            for weight, lora in zip(weights, loras, strict=True)
            if name in lora.modules
        ]
        whole = sum(weight * up @ down for weight, (up, down) in parts)
        up, down = module.factors()
        assert numpy.linalg.norm(up @ down - whole) <= 1e-6 * numpy.linalg.norm(whole)
