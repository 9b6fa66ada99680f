"""A tokenizer that comes without a tokenizer.json gets one when the model is looked at, with the same ids."""

import json

import pytest

from studio import base_models
from studio.errors import BadInput
from studio.tokens import ChatTokenizer
from tests.model_folders import llama_config, llama_shapes, safetensors, tiny_llama

pytestmark = pytest.mark.training


def test_a_vocabulary_with_merges_becomes_a_tokenizer_json_with_the_same_ids(studio, shared_data):
    from transformers import AutoTokenizer

    source = shared_data / "tokenizers" / "qwen2.5-instruct"
    folder, rows = studio.settings.models_root / "qwen", 151_936
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert not (folder / "tokenizer.json").exists()
    config = llama_config(rows, hidden=8, layers=1, inner=8, model_type="qwen2", architectures=["Qwen2ForCausalLM"])
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(
        safetensors(llama_shapes(rows, hidden=8, layers=1, inner=8, keys=4), "BF16")
    )
    model = base_models.add_local(studio, "qwen")
    ours, theirs = ChatTokenizer.load(studio.data.base_model(model.id).model), AutoTokenizer.from_pretrained(source)
    messages = [
        {"role": "user", "content": "Hello  wörld 日本 🎉\n"},
        {"role": "assistant", "content": "Fine — thanks."},
    ]
    assert ours.encode(messages).ids == theirs.apply_chat_template(messages)["input_ids"]
    assert [ours.piece(id) for id in ours.stop_ids] == ["<|im_end|>"]
    assert base_models.facts_of(model).dtype == "bfloat16"
    assert not (folder / "tokenizer.json").exists()  # what the person brought stays as it was


def test_a_tokenizer_that_cannot_be_converted_is_refused_with_what_to_do(studio):
    folder = tiny_llama(studio.settings.models_root / "tiny")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"not sentencepiece")
    with pytest.raises(BadInput, match=r"cannot be turned into a tokenizer\.json") as refused:
        base_models.add_local(studio, "tiny")
    assert "save_pretrained" in refused.value.fix
    assert list((studio.data.path / "base_models").iterdir()) == []


def test_a_sentencepiece_model_becomes_a_tokenizer_json_with_the_same_ids(studio, tmp_path):
    import sentencepiece

    text = tmp_path / "text.txt"
    text.write_text(
        "".join(
            f"The {word} number {number} is green and round.\n"
            for number in range(300)
            for word in ("cat", "dog", "ball")
        )
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(tmp_path / "sp"),
        vocab_size=300,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    folder, rows = studio.settings.models_root / "sp", pieces.get_piece_size()
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes((tmp_path / "sp.model").read_bytes())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    )
    (folder / "config.json").write_text(json.dumps(llama_config(rows, hidden=8, layers=1, inner=8)))
    (folder / "model.safetensors").write_bytes(safetensors(llama_shapes(rows, hidden=8, layers=1, inner=8, keys=4)))
    model = base_models.add_local(studio, "sp", template="plain")
    tokenizer = ChatTokenizer.load(studio.data.base_model(model.id).model)
    for said in ("The cat number 7 is green.", "wörld 日本"):
        assert tokenizer.tokenizer.encode(said, add_special_tokens=False).ids == pieces.encode(said)
