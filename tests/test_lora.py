"""LoRA's settings on a model: what they mean, how many numbers they learn, and what is refused at which setting."""

import pytest

from studio.errors import Invalid
from studio.methods import METHODS
from studio.methods.lora_targets import pattern_key, places
from studio.model_facts import ModelFacts, OtherModule
from tests.test_resolve import llama, plan

LORA = METHODS["lora"]


def model(tied: bool = True, **changes) -> ModelFacts:
    facts = llama(hidden=64, layers=2, vocabulary=100)
    head = [] if tied else [OtherModule(name="lm_head", shapes={"weight": [100, 64]}, head=True)]
    others = [
        OtherModule(name="model.embed_tokens", shapes={"weight": [100, 64]}),
        *(OtherModule(name=f"model.layers.{n}.input_layernorm", shapes={"weight": [64]}) for n in range(2)),
        OtherModule(name="model.norm", shapes={"weight": [64]}),
        *head,
    ]
    return facts.model_copy(update={"tied_embeddings": tied, "other_modules": others, **changes})


def settings(**values):
    return plan(method=values).method


def test_a_pattern_means_the_end_of_a_modules_name():
    assert pattern_key(["q_proj"], "model.layers.0.self_attn.q_proj") == "q_proj"
    assert pattern_key(["layers.1.mlp.up_proj", "up_proj"], "model.layers.0.mlp.up_proj") == "up_proj"
    assert pattern_key(["proj"], "model.layers.0.self_attn.q_proj") is None
    assert pattern_key(["0.self_attn.q_proj"], "model.layers.10.self_attn.q_proj") is None


def test_the_first_pattern_that_fits_decides_a_modules_rank_and_alpha():
    found = places(
        settings(rank=8, rank_pattern={"layers.0.up_proj": 2, "up_proj": 4}, alpha_pattern={"v_proj": 1}), model()
    )
    ranks = {place.layer.name: (place.rank, place.alpha) for place in found}
    assert ranks["model.layers.0.up_proj"] == (2, 32)
    assert ranks["model.layers.1.up_proj"] == (4, 32)
    assert ranks["model.layers.1.v_proj"] == (8, 1)


@pytest.mark.parametrize(
    ("values", "tied", "more"),
    [
        ({"dora": True}, True, 2 * (64 + 32 + 32 + 64 + 192 + 192 + 64)),
        ({"modules_to_save": ["embed_tokens"]}, True, 6400),
        ({"modules_to_save": ["embed_tokens", "lm_head"]}, False, 12800),
        ({"modules_to_save": ["norm"]}, True, 64),
        ({"modules_to_save": ["input_layernorm"]}, True, 128),
        ({"new_tokens": ["<a>", "<b>"]}, True, 2 * 64),
        ({"new_tokens": ["<a>", "<b>"]}, False, 4 * 64),
        ({"loraplus_ratio": 16.0}, True, 0),
        ({"init": "pissa"}, True, 0),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_variant_learns_besides_the_two_matrices_is_counted(values, tied, more):
    plain = LORA.trainable_parameters(settings(), model(tied))
    assert LORA.trainable_parameters(settings(**values), model(tied)) == plain + more


@pytest.mark.parametrize(
    ("values", "said", "field"),
    [
        ({"rank_pattern": {"k_prj": 4}}, r"'k_prj' means none.*Did you mean k_proj", "rank_pattern"),
        ({"rank_pattern": {"q_proj": 4, "layers.1.q_proj": 2}}, "a line before it means the same", "rank_pattern"),
        ({"targets": ["q_proj"], "alpha_pattern": {"up_proj": 4}}, "none of the layers that get an adapter", "alpha_pattern"),
        ({"rank_pattern": {"k_proj": 33}}, r"Rank 33 is wider .*k_proj: 32", "rank_pattern"),
        ({"rank": 48}, "Choose a rank up to 32", "rank"),
        ({"dora": True, "init": "pissa"}, "DoRA learns the length", "init"),
        ({"init": "eva", "rank_pattern": {"q_proj": 4}}, "chooses the rank of each layer itself", "rank_pattern"),
        ({"init": "eva", "new_tokens": ["<a>"]}, "before the new tokens have learned", "init"),
        ({"init": "eva", "rank": 24, "eva_spread": 3.0}, "more than the 64 inputs", "eva_spread"),
        ({"init": "orthogonal", "rank": 7}, "even rank", "rank"),
        ({"modules_to_save": ["lm_head"]}, "its embedding: name embed_tokens", "modules_to_save"),
        ({"modules_to_save": ["q_proj"]}, "trained with LoRA, as target modules", "modules_to_save"),
        ({"modules_to_save": ["embed_tokns"]}, "Did you mean embed_tokens", "modules_to_save"),
        ({"modules_to_save": ["norm"], "bias": "all"}, "All bias terms are trained already", "bias"),
        ({"modules_to_save": ["embed_tokens"], "new_tokens": ["<a>"]}, "beside all of embed_tokens", "new_tokens"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_at_its_setting_with_the_reason(values, said, field):
    with pytest.raises(Invalid, match=said) as refused:
        LORA.check(settings(**values), model())
    assert refused.value.field == f"method.{field}"


def test_a_model_added_before_its_other_modules_were_known_is_to_be_added_again():
    old = model(other_modules=[])
    for values in ({"modules_to_save": ["norm"]}, {"new_tokens": ["<a>"]}):
        with pytest.raises(Invalid, match="add it again"):
            LORA.check(settings(**values), old)


def test_a_start_in_the_bases_own_weights_needs_them_in_full():
    for init in ("pissa", "olora"):
        assert {"nf4", "int8"} <= LORA.cannot(settings(init=init)).keys()
    assert not LORA.cannot(settings(init="eva"))


@pytest.mark.parametrize("token", [" <a>", "<a> ", "two\nlines", ""])
def test_a_trained_token_has_no_blanks_around_it(token):
    with pytest.raises(Invalid, match=r"new_tokens"):
        settings(new_tokens=[token])


def test_the_same_token_twice_is_one():
    assert settings(new_tokens=["<a>", "<a>"]).new_tokens == ["<a>"]
