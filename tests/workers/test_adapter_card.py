"""What the model card says is true of this training and can be done by whoever reads it."""

import pytest

from jobs.workers.adapter_card import card_of

pytestmark = pytest.mark.training


def passport(steps=30, **base):
    return {
        "name": "Pirate",
        "base_model": {
            "name": "Small", "source": "local", "location": "gpt2", "revision": None, "architecture": "GPT2LMHeadModel", "parameters": 1000, **base,
        },
        "dataset": {"name": "Pirates"},
        "method": {"name": "lora", "rank": 8},
        "training": {"quantization": "none"},
        "embedding_rows": None,
        "resolved": {"batch_size": 16, "epochs": 6.0, "learning_rate": 1e-3, "precision": "fp32"},
        "results": {"step": steps, "train_rows": 150, "heldout_rows": 8, "trainable_parameters": 100},
        "layers": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resolved", "results", "told"),
    [
        ({}, {}, ("all answers of conversations", "150 rows trained on")),
        ({"answers": "last"}, {}, ("last answers of conversations",)),
        ({"objective": "text"}, {}, ("raw text", "150 pieces of text trained on")),
        (
            {"objective": "preference"},
            {"heldout_accuracy": 0.875, "base_heldout_loss": 0.693, "heldout_loss": 0.4},
            ("(DPO)", "150 pairs trained on", "preferred in 88% of the held-out pairs"),
        ),
    ],
)
def test_the_card_says_what_was_learned_from(resolved, results, told):
    made = passport()
    made["resolved"] |= resolved
    made["results"] |= results
    card = card_of(made)
    assert all(words in card.replace("\\", "") for words in told)


@pytest.mark.parametrize(
    ("steps", "told"),
    [(60, "60 steps of 16 rows, 6 epochs"), (5, "5 steps of 16 rows, 0.5 epochs"), (1234, ", 123.4 epochs")],
)
def test_the_epochs_are_those_that_were_trained_whatever_was_planned(steps, told):
    assert told in card_of(passport(steps))


def test_a_base_from_the_hub_is_named_with_its_commit():
    card = card_of(passport(source="hub", location="owner/name", revision="abc123"))
    assert 'base_model: "owner/name"' in card
    assert "from_pretrained('owner/name', revision='abc123')" in card


def test_a_folder_of_ones_own_is_not_taken_for_a_model_of_the_hub():
    card = card_of(passport())
    assert "base_model:" not in card
    assert "'gpt2'" not in card
    assert 'from_pretrained("path/of/the/base")' in card


def test_a_quantised_base_is_loaded_as_it_was_trained():
    card = card_of({**passport(), "training": {"quantization": "nf4"}})
    assert "1,000 parameters, loaded in nf4" in card
    assert 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)' in card
    assert 'from_pretrained("path/of/the/base", quantization_config=small)' in card


def test_tokens_of_its_own_need_a_longer_embedding():
    assert "base.resize_token_embeddings(402)" in card_of({**passport(), "embedding_rows": 402})
