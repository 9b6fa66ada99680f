"""LoRA computed by fused functions gives PEFT's own losses and gradients; what is not known exactly is left to PEFT."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from jobs.workers import attention, fused_lora
from jobs.workers.engine import Engine
from jobs.workers.fused_lora import dropped_positions
from tests.workers.test_packing import ARCHITECTURES, CPU, architecture, example, gradients, plainly
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training
EXAMPLES = [example(length, seed) for seed, length in enumerate((9, 25, 14, 40, 3, 17))]
CONV1D = ("gpt2",)


def adapted(base, seed: int = 5, **settings):
    """The base, frozen, with a LoRA whose B is no longer zero."""
    base.requires_grad_(False)
    fan_in_fan_out = base.config.model_type in CONV1D
    config = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "fan_in_fan_out": fan_in_fan_out, **settings}
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **config))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    return model


def engine_of(model, packing: bool = True) -> Engine:
    engine = Engine(model, CPU, 16, 512)
    engine.said = engine.choose(packing)
    return engine


def fused_layers(engine: Engine) -> int:
    [said] = [line for line in engine.said if "LoRA layers" in line]
    return int(said.split()[0]) if "fused functions." in said else 0


def assert_as_plain(model, expected: float, expected_gradients: dict, packing: bool = True) -> Engine:
    """Loss and gradients of the batch's mean, as the optimiser gets them."""
    count = sum(each.trained_tokens for each in EXAMPLES)
    engine = engine_of(model, packing)
    found = engine.accumulate(engine.micro_batches(EXAMPLES), 1 / count)
    assert found == pytest.approx(expected, rel=2e-6)
    found_gradients = gradients(model)
    assert found_gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        assert (found_gradients[name] - gradient / count).abs().max() <= 2e-6, name
    return engine


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("packing", [True, False], ids=["packed", "padded"])
def test_loss_and_gradients_are_those_of_peft(name, packing):
    expected = plainly(adapted(architecture(name)), EXAMPLES)
    model = adapted(architecture(name))
    engine = assert_as_plain(model, *expected, packing)
    linear = sum("lora_A" in name for name, _ in model.named_parameters())
    assert fused_layers(engine) == linear, engine.said


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["up_proj", "o_proj"]},
        {"target_modules": ["q_proj", "gate_proj"], "layers_to_transform": [1]},
        {"rank_pattern": {"k_proj": 2, "down_proj": 3}, "alpha_pattern": {"up_proj": 3}},
        {"use_rslora": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_any_choice_of_layers_and_ranks_is_computed_as_peft_does(settings, recompute):
    expected = plainly(adapted(architecture("qwen2"), **settings), EXAMPLES)
    model = adapted(architecture("qwen2"), **settings)
    if recompute:
        model.get_base_model().activation_checkpointing_enable()
    assert fused_layers(assert_as_plain(model, *expected)) > 0


@pytest.mark.parametrize(
    ("settings", "fused"),
    [({"use_dora": True}, 0), ({"lora_bias": True}, 0), ({"bias": "all"}, 8), ({"bias": "lora_only"}, 8)],
    ids=str,
)
def test_what_is_not_known_is_left_to_peft(settings, fused):
    def made():
        return adapted(tiny_model("qwen2"), **settings)

    expected = plainly(made(), EXAMPLES)
    assert fused_layers(assert_as_plain(made(), *expected)) == fused  # trained biases: of layers without a bias only


def test_a_fused_function_that_computes_something_else_is_not_kept(monkeypatch):
    expected = plainly(adapted(architecture("llama")), EXAMPLES)
    monkeypatch.setattr(fused_lora.Projection, "apply", lambda self, rows, low: rows.mm(self.weight.t()))
    assert fused_layers(assert_as_plain(adapted(architecture("llama")), *expected)) == 0


@pytest.mark.parametrize("wrong", [{}, {"scale": 1.0}], ids=["right", "wrong scale"])
def test_in_bf16_rounding_is_no_difference_and_a_wrong_scale_is(monkeypatch, wrong):
    model = adapted(tiny_model("qwen2", hidden_size=64, intermediate_size=128).bfloat16())
    if wrong:
        narrowed = fused_lora.narrowed
        monkeypatch.setattr(
            fused_lora,
            "narrowed",
            lambda *given: [low and fused_lora.Low(low.values, None, **wrong) for low in narrowed(*given)],
        )
    engine = Engine(model, CPU, 16, 512, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    engine.said = engine.choose()
    assert fused_layers(engine) == (0 if wrong else 14), engine.said


def test_with_the_adapter_off_the_base_answers_and_with_it_on_the_adapter_again():
    model = adapted(architecture("llama"))
    engine = engine_of(model)
    model.eval()
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        on = model(input_ids=ids).logits
        with model.disable_adapter():
            assert torch.equal(model(input_ids=ids).logits, architecture("llama")(input_ids=ids).logits)
        assert torch.equal(model(input_ids=ids).logits, on)
    assert fused_layers(engine) > 0


def test_saved_tensors_are_pefts_own(tmp_path):
    fused, plain = adapted(architecture("llama")), adapted(architecture("llama"))
    engine_of(fused)
    assert fused.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(value, fused.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_each_position_is_left_out_independently_with_the_share_asked_for(share):
    torch.manual_seed(0)
    count, draws = 400, 3000
    left_out = torch.zeros(draws, count)
    for row in left_out:
        row[dropped_positions(count, share, CPU).long()] = 1
    deviation = (share * (1 - share)) ** 0.5
    assert abs(left_out.mean() - share) < 5 * deviation / (draws * count) ** 0.5
    assert (left_out.mean(0) - share).abs().max() < 5 * deviation / draws**0.5  # no position more than another
    together = (left_out[:, :-1] * left_out[:, 1:]).mean()  # neighbours know nothing of each other
    assert abs(together - share**2) < 6 * share * deviation / (draws * count) ** 0.5 + 2e-4
    sums = left_out.sum(1)  # the number of a draw is binomial, not fixed
    assert sums.var() == pytest.approx(count * deviation**2, rel=0.15)


def losses_with_dropout(name: str, fused: bool, draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses of `draws` steps under different masks, and the mean gradient of everything trained."""
    model = adapted(architecture(name), lora_dropout=0.3)
    engine = engine_of(model)
    assert fused_layers(engine) > 0
    if not fused:
        engine.undo_fusing()
    losses = []
    for seed in range(draws):
        torch.manual_seed(seed)
        losses.append(engine.accumulate(engine.micro_batches(EXAMPLES[:2]), 1 / draws))
    return torch.tensor(losses), torch.cat([each.flatten() for each in gradients(model).values()])


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
def test_dropout_gives_the_losses_and_gradients_of_pefts_dropout_in_distribution(name):
    draws = 60
    fused, gradient = losses_with_dropout(name, True, draws)
    plain, expected = losses_with_dropout(name, False, draws)
    spread = (fused.var() / draws + plain.var() / draws) ** 0.5
    assert abs(fused.mean() - plain.mean()) < 4 * spread
    assert fused.std().item() == pytest.approx(plain.std().item(), rel=0.35)
    assert torch.nn.functional.cosine_similarity(gradient, expected, dim=0) > 0.97


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_dropout_is_the_same_for_the_same_seed_and_another_for_another(recompute):
    model = adapted(architecture("llama"), lora_dropout=0.3)
    if recompute:
        model.get_base_model().activation_checkpointing_enable()
    engine = engine_of(model)

    def step(seed: int) -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        torch.manual_seed(seed)
        return engine.accumulate(engine.micro_batches(EXAMPLES), 1.0), gradients(model)

    first, again, other = step(1), step(1), step(2)
    assert first[0] == again[0] != other[0]
    assert all(torch.equal(gradient, again[1][name]) for name, gradient in first[1].items())


def test_backward_leaves_out_what_forward_left_out(monkeypatch):
    """With the same positions left out, PEFT's formula written out gives the same loss and gradients."""
    torch.manual_seed(3)
    base = torch.nn.Linear(6, 5).requires_grad_(False)
    a, b = torch.nn.Parameter(torch.randn(2, 6)), torch.nn.Parameter(torch.randn(5, 2))
    x = torch.randn(4, 6, requires_grad=True)
    positions = torch.tensor([1, 7, 7, 20], dtype=torch.int32)
    monkeypatch.setattr(fused_lora, "dropped_positions", lambda *_: positions)
    projection = fused_lora.Projection(base, False, a, b, scale=2.0, dropout=0.25)
    [out] = fused_lora.SharedInput.apply(x, [projection], True, a, b)
    mask = torch.ones(24).index_fill(0, positions.long(), 0).view(4, 6) / 0.75
    expected = base(x) + 2.0 * (x * mask) @ a.t() @ b.t()
    upstream = torch.randn(4, 5)
    found = torch.autograd.grad(out, [x, a, b], upstream)
    assert torch.allclose(out, expected, atol=1e-6)
    for one, other in zip(found, torch.autograd.grad(expected, [x, a, b], upstream), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("packing", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("base", [("qwen2", {}), ("mistral", {"sliding_window": 4})], ids=["whole", "window"])
def test_a_changed_row_moves_nothing_of_its_neighbour_through_the_adapter(base, recompute, packing):
    def second_row(first_seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        model = adapted(tiny_model(base[0], **base[1]))
        if recompute:
            model.get_base_model().activation_checkpointing_enable()
        engine = engine_of(model, packing)
        assert (engine.packs, fused_layers(engine)) == (packing, 14)
        batch = engine.micro_batch([example(13, first_seed, from_token=4), example(13, 7, from_token=4)])
        with attention.DOCUMENTS.of(batch):
            losses = engine.token_losses(batch)[batch.documents == 1]
            losses.sum().backward()
        return losses.detach(), torch.cat([each.flatten() for each in gradients(model).values()])

    losses, gradient = second_row(1)
    other_losses, other_gradient = second_row(2)
    assert torch.equal(losses, other_losses)
    # what the first row gives to the adapter's gradient is its activations times exact zeros
    assert torch.equal(gradient, other_gradient)


def test_no_gradient_is_computed_below_the_first_trained_matrices(monkeypatch):
    engine, wanted, backward = engine_of(adapted(architecture("llama"))), [], fused_lora.backward_of
    monkeypatch.setattr(fused_lora, "backward_of", lambda *given: wanted.append(given[-1]) or backward(*given))
    engine.accumulate(engine.micro_batches(EXAMPLES), 1.0)
    assert wanted.count(False) == 1  # of the hidden states that come out of the embedding
    assert wanted[-1] is False
