"""Base models of one's own: a local folder becomes a prepared one with facts, or is refused and leaves nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from studio import base_models
from studio.errors import BadInput, Conflict, Invalid, NotFound
from studio.methods import METHODS
from studio.plan import read_plan
from studio.records import Adapter, BaseModel, Comparison, Dataset, ModelState, Run
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import ChatTokenizer
from tests.model_folders import llama_shapes, safetensors, tiny_llama


@pytest.fixture
def models_root(studio):
    return studio.settings.models_root


def kept(studio) -> list[str]:
    return sorted(path.name for path in (studio.data.path / "base_models").iterdir())


def test_a_local_folder_becomes_a_base_model_with_its_facts(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    facts = base_models.facts_of(model)
    assert (model.name, model.source, model.location, model.state) == ("tiny", "local", "tiny", ModelState.READY)
    assert (facts.architecture, facts.layers, facts.hidden_size, facts.heads, facts.kv_heads) == (
        "LlamaForCausalLM",
        2,
        32,
        4,
        2,
    )
    assert (facts.context_length, facts.dtype, facts.tied_embeddings, facts.has_chat_template) == (
        256,
        "float32",
        True,
        True,
    )
    assert facts.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert (
        facts.parameters
        == model.parameters
        == facts.vocabulary * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32 + 2 * 32) + 32
    )
    assert len(model.fingerprint) == 64
    shown = base_models.shown(model)
    assert (shown["progress"], shown["size_bytes"], shown["state"]) == (1.0, facts.size_bytes, "ready")
    json.dumps(shown)


def test_the_prepared_folder_is_clean_and_its_weights_are_no_copies(studio, models_root):
    source = tiny_llama(
        models_root / "tiny",
        config={
            "auto_map": {"AutoModel": "x.Evil"},
            "_attn_implementation": "hub/kernel",
            "custom_pipelines": {},
            "trust_remote_code": True,
        },
    )
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "bos_token": "<s>",
                "eos_token": "</s>",
                "auto_map": {"AutoTokenizer": ["x.Evil", None]},
                "tokenizer_class": "Evil",
            }
        )
    )
    model = base_models.add_local(studio, "tiny")
    prepared = studio.data.base_model(model.id).model
    assert {path.name for path in prepared.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip
    written = (prepared / "config.json").read_text() + (prepared / "tokenizer_config.json").read_text()
    for name in ("auto_map", "_attn_implementation", "custom_pipelines", "trust_remote_code", "Evil"):
        assert name not in written
    assert (prepared / "model.safetensors").samefile(source / "model.safetensors")


def test_a_model_outlives_the_folder_it_came_from(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    shutil.rmtree(models_root / "tiny")
    assert base_models.ready_model(studio, model.id).id == model.id


def test_a_model_whose_weights_are_gone_or_changed_is_not_ready(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    weights = studio.data.base_model(model.id).model / "model.safetensors"
    os.truncate(weights, 100)
    with pytest.raises(Conflict, match="are gone or were changed"):
        base_models.ready_model(studio, model.id)
    weights.unlink()
    weights.symlink_to("/nowhere")
    with pytest.raises(Conflict, match="are gone or were changed"):
        base_models.ready_model(studio, model.id)


def test_sharded_weights_are_linked_with_an_index_of_our_own(studio, models_root):
    folder = tiny_llama(models_root / "tiny")
    (folder / "model.safetensors").unlink()
    vocabulary = ChatTokenizer.load(folder).vocabulary
    shapes = llama_shapes(vocabulary)
    for number in (1, 2):
        own = {name: shape for place, (name, shape) in enumerate(shapes.items()) if place % 2 == number - 1}
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(safetensors(own))
    model = base_models.add_local(studio, "tiny")
    prepared = studio.data.base_model(model.id).model
    index = json.loads((prepared / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(shapes)
    assert {path.name for path in prepared.glob("*.safetensors")} == set(index["weight_map"].values())
    assert base_models.ready_model(studio, model.id).id == model.id


def test_names_lead_only_below_the_models_folder(studio, models_root):
    tiny_llama(models_root.parent / "outside")
    (models_root / "link").symlink_to(models_root.parent / "outside")
    for path in (
        "../outside",
        "/etc",
        "a/../../outside",
        "",
        " ",
        ".",
        "~/x",
        "a\0b",
        "a\\b",
        "x" * 600,
        str(models_root.parent / "outside"),
    ):
        with pytest.raises((Invalid, BadInput)):
            base_models.add_local(studio, path)
    with pytest.raises(BadInput, match="link that leads out of the models folder"):
        base_models.add_local(studio, "link")
    with pytest.raises(BadInput, match="There is no folder 'nothing'"):
        base_models.add_local(studio, "nothing")
    assert kept(studio) == []


def test_folders_that_look_like_models_are_offered(studio, models_root):
    tiny_llama(models_root / "b")
    tiny_llama(models_root / "org" / "a")
    (models_root / "empty").mkdir()
    assert base_models.local_candidates(studio) == ["b", "org/a"]
    assert base_models.add_local(studio, "org/a").name == "a"


def test_names_are_shown_clean(studio, models_root):
    tiny_llama(models_root / "tiny")
    assert base_models.add_local(studio, "tiny", name="  My\u202emodel\n<b>  ").name == "Mymodel <b>"
    assert len(base_models.add_local(studio, "tiny", name="x" * 5000).name) == 200


def test_a_model_without_a_template_asks_for_one_and_takes_the_plain_one(studio, models_root):
    tiny_llama(models_root / "tiny", template=None)
    model = base_models.add_local(studio, "tiny")
    with pytest.raises(Conflict, match=r"no chat template.*Choose one for it on the Models page"):
        base_models.require_template(model)
    with pytest.raises(Invalid, match="There is no template 'fancy'"):
        base_models.choose_template(studio, model.id, "fancy")
    model = base_models.choose_template(studio, model.id, "plain")
    base_models.require_template(model)
    assert base_models.shown(model)["template"] == "plain"
    tokenizer = ChatTokenizer.load(studio.data.base_model(model.id).model)
    assert (
        tokenizer.render([{"role": "user", "content": "Hi"}], add_generation_prompt=True) == "<s>Question: Hi\nAnswer:"
    )
    assert base_models.choose_template(studio, model.id, "plain").id == model.id


def test_a_template_can_be_chosen_while_adding(studio, models_root):
    tiny_llama(models_root / "tiny", template=None)
    assert base_models.facts_of(base_models.add_local(studio, "tiny", template="plain")).template == "plain"
    with pytest.raises(Invalid):
        base_models.add_local(studio, "tiny", template="fancy")


def test_a_model_keeps_its_own_template(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    with pytest.raises(Conflict, match="has its own chat template"):
        base_models.choose_template(studio, model.id, "plain")


def test_the_licence_is_read_from_the_model_card(studio, models_root):
    folder = tiny_llama(models_root / "tiny")
    (folder / "README.md").write_text('---\nlanguage: en\nlicense: "apache-2.0"\n---\n# Tiny\nlicense: mit\n')
    assert base_models.facts_of(base_models.add_local(studio, "tiny")).licence == "apache-2.0"
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: tiny-licence\n---\n")
    assert base_models.facts_of(base_models.add_local(studio, "tiny")).licence == "tiny-licence"


def test_the_builtin_model_is_there_once_and_at_every_start(studio):
    model = base_models.add_builtin(studio)
    written = studio.data.base_model(model.id).facts.stat().st_mtime_ns
    assert base_models.add_builtin(studio).id == model.id == "builtin"
    assert studio.data.base_model(model.id).facts.stat().st_mtime_ns == written
    assert base_models.facts_of(model).has_chat_template
    assert [found.id for found in base_models.list_models(studio).items] == ["builtin"]
    with pytest.raises(Conflict, match="built-in model stays"):
        base_models.delete_model(studio, "builtin")
    shutil.rmtree(studio.data.base_model(model.id).path)  # somebody tidied up
    assert base_models.ready_model(studio, base_models.add_builtin(studio).id)


def test_models_are_listed_searched_and_paged(studio, models_root):
    tiny_llama(models_root / "tiny")
    base_models.add_builtin(studio)
    for name in ("first", "second", "100%_sure"):
        base_models.add_local(studio, "tiny", name=name)
    assert [model.name for model in base_models.list_models(studio).items][1:] == ["100%_sure", "second", "first"]
    assert [model.name for model in base_models.list_models(studio, q="SECOND").items] == ["second"]
    assert [model.name for model in base_models.list_models(studio, q="%_").items] == ["100%_sure"]
    page = base_models.list_models(studio, limit=3)
    assert [model.name for model in base_models.list_models(studio, limit=3, cursor=page.next).items] == ["first"]


def test_missing_and_unfinished_models_are_told_apart(studio):
    with pytest.raises(NotFound):
        base_models.ready_model(studio, "nothing")
    model = base_models.add_hub(studio, "someone/model")
    with pytest.raises(Conflict, match="still being downloaded"):
        base_models.ready_model(studio, model.id)
    with pytest.raises(Conflict, match="not ready"):
        base_models.facts_of(model)
    assert base_models.shown(model)["parameters"] == 0


def test_a_model_that_is_needed_stays_and_one_that_is_not_goes_with_its_files(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    dataset = Dataset(
        id="d", name="d", source="upload", file_name="d", format="alpaca", rows=1, size_bytes=1, sha256="0" * 64
    )
    run = Run(id="r", name="My run", base_model=model.id, dataset="d", method="lora")
    adapter = Adapter(id="a", name="My adapter", base_model=model.id, method="lora", size_bytes=1, sha256="0" * 64)
    with studio.database.write() as session:
        session.add(dataset)
        session.flush()
        session.add_all([run, adapter, Comparison(base_model=model.id)])
    for record, id, said in ((Run, "r", "needed by runs: My run"), (Adapter, "a", "needed by adapters: My adapter")):
        with pytest.raises(Conflict, match=said):
            base_models.delete_model(studio, model.id)
        with studio.database.write() as session:
            session.delete(session.get_one(record, id))
    base_models.delete_model(studio, model.id)
    assert kept(studio) == []
    with pytest.raises(NotFound):
        base_models.get_model(studio, model.id)
    assert (models_root / "tiny" / "model.safetensors").exists()


def test_stories260k_becomes_a_base_with_the_plain_template_that_ends_as_it_was_taught(tmp_path, shared_data):
    studio = Studio.open(StudioSettings(data_folder=tmp_path / "data", models_folder=shared_data / "models"))
    assert "stories260K" in base_models.local_candidates(studio)
    model = base_models.choose_template(studio, base_models.add_local(studio, "stories260K").id, "plain")
    facts = base_models.facts_of(model)
    assert (facts.parameters, facts.vocabulary, facts.context_length, facts.kv_heads) == (260_032, 512, 512, 4)
    tokenizer = ChatTokenizer.load(studio.data.base_model(model.id).model)
    assert (
        tokenizer.render([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}])
        .rstrip()
        .endswith("Yes<s>")
    )
    plan = read_plan({"base_model": model.id, "dataset": "x", "method": {"name": "lora", "rank": 16}})
    assert METHODS["lora"].trainable_parameters(plan.method, facts) == 92_480
    studio.database.close()


def test_looking_at_a_model_loads_no_torch(tmp_path, models_root):
    tiny_llama(models_root / "tiny")
    code = (
        "import sys; from pathlib import Path; from studio.folders import BaseModelFolder; from jobs.workers import intake\n"
        f"intake.prepare(Path({str(models_root / 'tiny')!r}), BaseModelFolder({str(tmp_path / 'x')!r}), Path({str(models_root)!r}))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_the_row_holds_what_a_person_searches_and_the_facts_the_rest(studio, models_root):
    tiny_llama(models_root / "tiny")
    model = base_models.add_local(studio, "tiny")
    with studio.database.read() as session:
        row = session.get_one(BaseModel, model.id)
        assert (row.parameters, row.fingerprint) == (row.facts["parameters"], row.facts["fingerprint"])
    assert json.loads(studio.data.base_model(model.id).facts.read_text()) == row.facts
