"""Models that are broken or made to harm: each is refused with its reason, and nothing of it is left."""

import json
import os

import pytest

from studio import base_models
from studio.errors import BadInput
from studio.folders import BaseModelFolder
from studio.model_intake import prepare
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.model_folders import llama_config, llama_shapes, safetensors, tiny_llama
from tests.small_tokenizer import CHATML, small_tokenizer

VOCABULARY = small_tokenizer().get_vocab_size()


def change(**values):
    """Other values in config.json; None takes one out."""

    def apply(folder):
        (folder / "config.json").write_text(json.dumps(llama_config(VOCABULARY, **values)))

    return apply


def weights(dtype="F32", without="", **changes):
    def apply(folder):
        shapes = {
            name: shape
            for name, shape in llama_shapes(VOCABULARY, **changes).items()
            if not without or without not in name
        }
        (folder / "model.safetensors").write_bytes(safetensors(shapes, dtype))

    return apply


def file(name, content):
    def apply(folder):
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return apply


def one_shape(name, shape):
    def apply(folder):
        shapes = llama_shapes(VOCABULARY)
        assert name in shapes
        (folder / "model.safetensors").write_bytes(safetensors({**shapes, name: shape}))

    return apply


CASES = {
    "no config": (file("config.json", None), "no config.json"),
    "config is no JSON": (file("config.json", "{"), "config.json is not JSON"),
    "config is a list": (file("config.json", "[]"), "not a JSON object"),
    "config is nested deeply": (file("config.json", "[" * 200_000), "config.json is not JSON"),
    "config is huge": (file("config.json", " " * (5 << 20)), "which no such file needs"),
    "unknown architecture": (change(model_type="mamba9"), "model_type 'mamba9', an architecture that the studio does not know"),
    "architecture is a number": (change(model_type=7), "an architecture that the studio does not know"),
    "its own code": (change(model_type="mine", auto_map={"AutoModel": "x.y"}), "runs its own code"),
    "a classifier": (change(architectures=["LlamaForSequenceClassification"]), "LlamaForSequenceClassification, which does not answer in a chat"),
    "quantised": (change(quantization_config={"quant_method": "gptq", "bits": 4}), r"quantised \(gptq\)"),
    "quantised strangely": (change(quantization_config="4 bits"), "quantised"),
    "a million layers": (change(num_hidden_layers=1_000_000), "counts 1,000,000 layers, and the weights hold 2"),
    "fewer layers": (change(num_hidden_layers=1), "counts 1 layers, and the weights hold 2"),
    "no layers": (change(num_hidden_layers=0), "num_hidden_layers = 0, which must be a positive whole number"),
    "half a layer": (change(num_hidden_layers=1.5), "positive whole number"),
    "layers as a word": (change(num_hidden_layers="2"), "num_hidden_layers = '2', which is not a value that it can take"),
    "layers as truth": (change(num_hidden_layers=True), "not a value that it can take"),
    "no layers named": (change(num_hidden_layers=None), "positive whole number"),
    "no heads": (change(num_attention_heads=0), "positive whole number"),
    "another vocabulary": (change(vocab_size=999), rf"is {VOCABULARY} × 32 in the weights, and config\.json asks for 999 × 32"),
    "another width": (change(hidden_size=64, head_dim=8), rf"is {VOCABULARY} × 32 in the weights, and config\.json asks for {VOCABULARY} × 64"),
    "another inner width": (change(intermediate_size=50), r"gate_proj is 32 × 48 in the weights, and config\.json asks for 32 × 50"),
    "other heads": (change(num_key_value_heads=4), "k_proj is 32 × 16"),
    "rope is code": (change(rope_scaling={"rope_type": {"a": {"b": "c"}}}), "rope_scaling"),
    "activation is a path": (change(hidden_act="x" * 100), "hidden_act"),
    "context is negative": (change(max_position_embeddings=-1), "max_position_embeddings = -1"),
    "a layer lacks a weight": (weights(without="layers.1.mlp.up_proj"), r"Layer 1 has no mlp\.up_proj\.weight"),
    "all layers lack a weight": (weights(without="up_proj"), "hold no up_proj layers"),
    "no embedding": (weights(without="embed_tokens"), "hold 0 token embeddings"),
    "a layer of another shape": (one_shape("model.layers.1.mlp.up_proj.weight", (32, 48)), "is 32 × 48 in layer 1 and 48 × 32 in layer 0"),
    "no head": (change(tie_word_embeddings=False), "no output head"),
    "whole numbers": (weights("I8"), "stored as I8"),
    "weights are cut off": (lambda folder: os.truncate(folder / "model.safetensors", 5000), "cut off"),
    "weights are a pickle": (file("model.safetensors", b"\x80\x02}q\x00." * 50), "pickle under another name"),
    "weights are a pointer": (file("model.safetensors", "version https://git-lfs.github.com/spec/v1\n" * 3), "Git LFS pointer"),
    "no weights": (file("model.safetensors", None), "no model.safetensors"),
    "no tokenizer": (file("tokenizer.json", None), "no tokenizer.json"),
    "tokenizer is no JSON": (file("tokenizer.json", "{"), "tokenizer.json cannot be read"),
    "tokenizer config is no JSON": (file("tokenizer_config.json", "nope"), "tokenizer_config.json is not JSON"),
    "template does not compile": (file("chat_template.jinja", "{% if %}"), "chat template cannot be read"),
    "template refuses everything": (file("chat_template.jinja", "{{ raise_exception('never') }}"), "never"),
    "template drops the answer": (file("chat_template.jinja", "<|im_start|>hello"), "chat template"),
    "template hangs": (file("chat_template.jinja", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}" + CHATML), "does not end"),
    "template is huge": (file("chat_template.jinja", "x" * (2 << 20)), "more than 1 MB"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_its_reason_and_leaves_nothing(tmp_path, name):
    apply, said = CASES[name]
    source = tiny_llama(tmp_path / "model")
    apply(source)
    folder = BaseModelFolder(tmp_path / "base")
    with pytest.raises(BadInput, match=said) as refused:
        prepare(source, folder, tmp_path)
    assert refused.value.fix.endswith((".", ")"))
    assert not folder.model.exists()
    assert not folder.facts.exists()
    assert not folder.path.exists() or list(folder.path.iterdir()) == []


def test_the_folder_these_cases_start_from_is_taken(tmp_path):
    assert prepare(tiny_llama(tmp_path / "model"), BaseModelFolder(tmp_path / "base"), tmp_path).layers == 2


def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path):
    source = tiny_llama(tmp_path / "model")
    for rows, said in (
        (VOCABULARY - 9, f"tokens up to number {VOCABULARY - 1}, and the model knows {VOCABULARY - 9}"),
        (5000, "its vocabulary is missing"),
    ):
        (source / "config.json").write_text(json.dumps(llama_config(rows)))
        (source / "model.safetensors").write_bytes(safetensors(llama_shapes(rows)))
        with pytest.raises(BadInput, match=said):
            prepare(source, BaseModelFolder(tmp_path / "base"), tmp_path)


def test_a_model_that_could_never_stop_is_refused(tmp_path):
    plain = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    source = tiny_llama(tmp_path / "model", template=plain)
    (source / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    with pytest.raises(BadInput, match="names a token that ends an answer"):
        prepare(source, BaseModelFolder(tmp_path / "base"), tmp_path)


def test_any_file_that_is_a_link_out_of_the_models_folder_is_refused(tmp_path):
    root = tmp_path / "models"
    (tmp_path / "secret").write_text(CHATML)
    for name in ("chat_template.jinja", "README.md", "config.json", "tokenizer.json"):
        source = tiny_llama(root / f"model-{name}")
        (tmp_path / name).write_bytes((source / name).read_bytes() if (source / name).exists() else b"x")
        (source / name).unlink(missing_ok=True)
        (source / name).symlink_to(tmp_path / name)
        with pytest.raises(BadInput, match="link that leads out of the models folder"):
            prepare(source, BaseModelFolder(tmp_path / "base"), root)


@pytest.fixture
def studio(tmp_path):
    """One in which a model is looked at within little memory, so that eating it takes no time."""
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "data", parse_memory_mb=512))
    yield opened
    opened.database.close()


def added(studio, **options):
    tiny_llama(studio.settings.models_root / "tiny", **options)
    return base_models.add_local(studio, "tiny")


HARMFUL = {
    "loops": ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "does not end within"),
    "doubling": (
        "{% set x = namespace(t='a' * 1000) %}{% for a in range(60) %}{% set x.t = x.t + x.t %}{% endfor %}",
        "more memory",
    ),
    "joining": (
        "{% set x = namespace(t='a' * 1000) %}{% for a in range(60) %}{% set x.t = x.t ~ x.t %}{% endfor %}",
        "more memory",
    ),
    "format": ("{{ '%999999999999d' % 1 }}", "chat template"),
    "padding": ("{{ 'x'.ljust(99999999999) }}", "more memory"),
    "one long step": ("{{ ('a' * 3000000) | wordwrap(1) | wordwrap(1) | length }}", "does not end within 5 seconds"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_template_that_hangs_or_eats_memory_ends_only_its_own_process(studio, name):
    template, said = HARMFUL[name]
    with pytest.raises(BadInput, match=said):
        added(studio, template=template + CHATML)
    assert list((studio.data.path / "base_models").iterdir()) == []
    assert base_models.list_models(studio).items == []


def test_the_refusal_of_the_process_reaches_the_person_as_written(studio):
    with pytest.raises(BadInput, match="counts 7 layers, and the weights hold 2") as refused:
        added(studio, config={"num_hidden_layers": 7})
    assert refused.value.fix == "Bring the config.json and the weights of one and the same model."
    assert list((studio.data.path / "base_models").iterdir()) == []


def test_a_plain_template_can_take_the_place_of_a_hanging_one(studio):
    tiny_llama(
        studio.settings.models_root / "tiny",
        template="{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    )
    assert base_models.facts_of(base_models.add_local(studio, "tiny", template="plain")).template == "plain"


def test_a_gemma_folder_without_its_vocabulary_says_so(tmp_path, shared_data):
    source = tiny_llama(tmp_path / "model")
    (source / "tokenizer.json").unlink()
    for path in (shared_data / "tokenizers" / "gemma3-270m_config_only").iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    with pytest.raises(BadInput, match=r"no tokenizer\.json"):
        prepare(source, BaseModelFolder(tmp_path / "base"), tmp_path)
