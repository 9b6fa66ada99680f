"""Every "auto" of a plan becomes a number that suits model, data and device; what cannot be used is refused by name."""

import pytest

from studio.dataset_report import TokenStats
from studio.devices import DeviceFacts
from studio.errors import BadInput, Invalid
from studio.memory import estimate_from
from studio.methods import METHODS
from studio.model_facts import LinearLayer, ModelFacts
from studio.plan import read_plan
from studio.resolve import gentler, resolve

GIB = 2**30
CPU = DeviceFacts("cpu", "A small CPU", 16 * GIB, 12 * GIB, bf16=False)
GPU = DeviceFacts("cuda", "A new GPU", 24 * GIB, 23 * GIB, bf16=True)
OLD_GPU = DeviceFacts("cuda", "An old GPU", 16 * GIB, 15 * GIB, bf16=False)


def llama(hidden: int = 256, layers: int = 6, vocabulary: int = 4096, context: int = 512) -> ModelFacts:
    shapes = {
        "q_proj": (hidden, hidden),
        "k_proj": (hidden, hidden // 2),
        "v_proj": (hidden, hidden // 2),
        "o_proj": (hidden, hidden),
    }
    shapes |= {"gate_proj": (hidden, 3 * hidden), "up_proj": (hidden, 3 * hidden), "down_proj": (3 * hidden, hidden)}
    linear = [
        LinearLayer(name=f"model.layers.{layer}.{name}", target=name, layer=layer, inputs=inputs, outputs=outputs)
        for layer in range(layers)
        for name, (inputs, outputs) in shapes.items()
    ]
    return ModelFacts(
        architecture="LlamaForCausalLM", model_type="llama", parameters=sum(each.inputs * each.outputs for each in linear) + hidden * vocabulary, layers=layers,
        hidden_size=hidden, intermediate_size=3 * hidden, heads=4, kv_heads=2, vocabulary=vocabulary, context_length=context, dtype="float32",
        tied_embeddings=True, linear_layers=linear, has_chat_template=True, size_bytes=1, fingerprint="f",
    )  # fmt: skip


def stats(lengths: list[int], heldout: int = 0, rows: int | None = None) -> TokenStats:
    rows = rows or len(lengths)
    total, ordered = round(sum(lengths) * rows / len(lengths)), sorted(lengths)
    return TokenStats(
        rows=rows, heldout_rows=heldout, total_tokens=total, trained_tokens=total // 2, shortest=ordered[0], median=ordered[len(lengths) // 2],
        p95=ordered[int(0.95 * (len(lengths) - 1))], longest=ordered[-1], histogram=[], sampled=rows != len(lengths), lengths=lengths,
    )  # fmt: skip


def plan(method: dict | None = None, resources: dict | None = None, **training):
    return read_plan(
        {
            "base_model": "m",
            "dataset": "d",
            "method": {"name": "lora", **(method or {})},
            "training": training,
            "resources": resources or {},
        }
    )


def resolved(facts=None, data=None, device=CPU, **training):
    return resolve(plan(**training), facts or llama(), data or stats([40, 60, 90] * 100), device)


def test_nothing_is_left_automatic_and_every_choice_has_its_reason():
    numbers = resolved()
    assert all(value != "auto" for value in numbers.model_dump().values())
    assert {
        "sequence_length",
        "epochs",
        "learning_rate",
        "validation",
        "precision",
        "micro_batch",
        "gradient_checkpointing",
        "evaluate_every",
    } <= set(numbers.reasons)


def test_what_the_person_set_is_kept():
    numbers = resolved(
        epochs=2.5,
        learning_rate=3e-4,
        sequence_length=80,
        micro_batch=2,
        validation=0.1,
        evaluate_every=7,
        checkpoint_every=3,
        gradient_checkpointing=True,
        batch_size=8,
    )
    assert (numbers.epochs, numbers.learning_rate, numbers.sequence_length, numbers.micro_batch) == (2.5, 3e-4, 80, 2)
    assert (numbers.heldout_rows, numbers.evaluate_every, numbers.checkpoint_every, numbers.gradient_checkpointing) == (
        30,
        7,
        3,
        True,
    )
    assert (numbers.accumulation, numbers.token_budget) == (4, 160)


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [(llama(), 1.4e-3, 1.9e-3), (llama(2048, 24, 32000), 2e-4, 2.2e-4), (llama(64, 4, 512), 1.5e-3, 2e-3)],
)
def test_smaller_models_take_larger_steps(size, least, most):
    assert least <= resolved(size).learning_rate <= most


def test_more_data_is_gone_through_fewer_times():
    epochs = [resolved(data=stats([200] * 1000, rows=rows)).epochs for rows in (40, 1000, 50_000, 500_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == 1
    assert epochs[0] > 3


@pytest.mark.parametrize(
    ("rows", "told"),
    [(1, "One row is little; 10 rounds give 10 steps."), (120, "114 rows are few; 8 rounds give 64 steps.")],
)
def test_the_reason_for_more_rounds_names_the_steps_that_there_will_be(rows, told):
    numbers = resolved(data=stats([50] * rows))
    assert numbers.reasons["epochs"] == told
    assert f" {numbers.steps} steps." in told


def test_steps_are_whole_batches_of_the_rows_left_for_training():
    numbers = resolved(data=stats([50] * 100), epochs=2, validation=0.1, batch_size=16)
    assert (numbers.train_rows, numbers.heldout_rows) == (90, 10)
    assert numbers.steps == 2 * 6
    assert resolved(epochs=3, max_steps=5).steps == 5


def test_the_sequence_is_as_long_as_the_longest_row_and_no_longer_than_the_model():
    assert resolved(data=stats([10, 61] * 20)).sequence_length == 64
    cut = resolved(data=stats([100] * 39 + [900]))
    assert (cut.sequence_length, cut.cut_rows, cut.cut_tokens) == (512, 1, 388)
    assert "1 of 40 rows" in cut.reasons["sequence_length"]


def test_cut_rows_of_a_sample_are_told_for_the_whole_data():
    numbers = resolved(data=stats([100] * 99 + [600], rows=10_000))
    assert numbers.cut_rows == 100


def test_long_texts_are_cut_into_pieces_of_which_each_is_a_row():
    data = stats([5000] * 40).model_copy(update={"objective": "text"})
    numbers = resolved(data=data, facts=llama(context=4096), batch_size=10, epochs=1)
    assert (numbers.objective, numbers.sequence_length, numbers.cut_rows) == ("text", 2048, 0)
    assert (numbers.heldout_rows, numbers.train_rows) == (2, 38 * 3)  # documents held out, pieces trained on
    assert numbers.steps == 12
    assert numbers.tokens == pytest.approx(38 * 5000, rel=0.01)
    assert "pieces of 2,048 tokens" in numbers.reasons["sequence_length"]
    assert resolved(data=data, sequence_length=100).sequence_length == 100
    few = data.model_copy(update={"rows": 6, "lengths": [20_000] * 6, "total_tokens": 120_000, "sampled": False})
    assert resolved(data=few).heldout_rows == 1
    assert resolved(data=few.model_copy(update={"rows": 4, "lengths": [20_000] * 4})).heldout_rows == 0


def test_of_pairs_both_sequences_are_counted_and_preferences_take_smaller_steps():
    lengths = [100, 200] * 100
    one = stats([150] * 100)
    both = stats(lengths, rows=100).model_copy(
        update={"objective": "preference", "sequences_per_row": 2, "sampled": False}
    )
    numbers, plain = resolved(data=both, epochs=1), resolved(data=one, epochs=1)
    assert (numbers.objective, numbers.sequence_length, numbers.train_rows) == ("preference", 200, 95)
    assert numbers.steps == plain.steps
    assert numbers.tokens == pytest.approx(95 * 300)
    assert numbers.token_budget >= 2 * numbers.sequence_length  # a pair stays whole
    assert numbers.learning_rate == pytest.approx(plain.learning_rate / 10, rel=0.05)
    assert 1 <= resolved(data=both).epochs <= 3
    cut = resolved(data=both, sequence_length=150)
    assert (cut.cut_rows, cut.cut_tokens, cut.tokens) == (100, 5000, pytest.approx(cut.epochs * 95 * 250))


def test_the_datas_own_held_out_rows_are_used_and_never_trained_on():
    numbers = resolved(data=stats([50] * 300, heldout=40))
    assert (numbers.train_rows, numbers.heldout_rows) == (260, 40)
    without = resolved(data=stats([50] * 300, heldout=40), validation=0)
    assert (without.train_rows, without.heldout_rows) == (260, 0)


@pytest.mark.parametrize(("rows", "heldout"), [(19, 0), (20, 1), (300, 15), (100_000, 200)])
def test_a_small_share_of_the_rows_is_held_out(rows, heldout):
    assert resolved(data=stats([50] * min(rows, 500), rows=rows)).heldout_rows == heldout


def test_the_warm_up_leaves_steps_to_train_in():
    for rows in (1, 3, 40):
        numbers = resolved(data=stats([50] * rows), warmup_ratio=0.99, epochs=1)
        assert 0 <= numbers.warmup_steps < numbers.steps


def test_precision_is_what_the_device_has():
    assert [resolved(device=device).precision for device in (CPU, GPU, OLD_GPU)] == ["fp32", "bf16", "fp16"]


@pytest.mark.parametrize(
    ("changes", "device", "field"),
    [
        ({"precision": "bf16"}, CPU, "training.precision"),
        ({"precision": "fp16"}, CPU, "training.precision"),
        ({"sequence_length": 1024}, CPU, "training.sequence_length"),
        ({"method": {"targets": ["qproj"]}}, CPU, "method.targets"),
        ({"method": {"rank": 512}}, CPU, "method.rank"),
        ({"method": {"layers": "0-9"}}, CPU, "method.layers"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_the_name_of_its_setting(changes, device, field):
    with pytest.raises(Invalid) as refused:
        resolve(plan(**changes), llama(), stats([50] * 50), device)
    assert refused.value.field == field
    assert refused.value.fix


def test_a_misspelt_module_is_answered_with_its_likeness_and_with_all_that_there_are():
    with pytest.raises(Invalid) as refused:
        resolve(plan(method={"targets": ["q_prj"]}), llama(), stats([50] * 50), CPU)
    assert "Did you mean q_proj?" in refused.value.fix
    assert all(target in refused.value.fix for target in llama().target_modules)


def test_layers_that_run_backwards_are_told_the_right_way_round():
    with pytest.raises(Invalid, match="run backwards") as refused:
        resolve(plan(method={"layers": "0,1-0"}), llama(), stats([50] * 50), CPU)
    assert refused.value.fix == "Write 0-1."


VIRTUAL = {"name": "prompt_tuning", "virtual_tokens": 30}


def test_virtual_tokens_take_their_positions_from_the_models_context():
    long = stats([600] * 50)
    found = resolve(plan(method=VIRTUAL), llama(context=512), long, CPU)
    assert found.sequence_length == 482
    assert "virtual tokens take 30" in found.reasons["sequence_length"]
    with pytest.raises(Invalid, match="virtual tokens take 30") as refused:
        resolve(plan(method=VIRTUAL, sequence_length=500), llama(context=512), long, CPU)
    assert refused.value.field == "training.sequence_length"


@pytest.mark.parametrize("name", METHODS)
def test_the_automatic_learning_rate_is_the_methods_own_and_says_why(name):
    data, declared = stats([50] * 90), METHODS[name].rate
    usual = resolve(plan(), llama(), data, CPU).learning_rate
    found = resolve(plan(method={"name": name}), llama(), data, CPU)
    assert found.learning_rate == pytest.approx(min(1.0, usual * declared.times), rel=0.05)
    assert declared.because in found.reasons["learning_rate"]
    assert bool(declared.because) == (declared.times != 1)
    assert resolve(plan(method={"name": name}, learning_rate=1e-3), llama(), data, CPU).learning_rate == 1e-3


def test_a_prefix_is_never_trained_with_gradient_checkpointing():
    prefix, data = {"name": "prefix_tuning"}, stats([400] * 50)
    little = DeviceFacts("cpu", "A tiny CPU", GIB, GIB // 2, bf16=False)
    found = resolve(plan(method=prefix, micro_batch=1), llama(1024, 8), data, little)
    assert not found.gradient_checkpointing
    assert "cached keys and values" in found.reasons["gradient_checkpointing"]
    while step := gentler(found):  # nor when memory has run out
        found = step[0]
        assert not found.gradient_checkpointing
    with pytest.raises(Invalid, match="cached keys and values") as refused:
        resolve(plan(method=prefix, gradient_checkpointing=True), llama(), data, CPU)
    assert refused.value.field == "training.gradient_checkpointing"


@pytest.mark.parametrize(
    ("method", "field", "fix"),
    [
        ({"name": "adalora", "rank": 12, "start_rank": 12}, "method.rank", "below 12"),
        ({"name": "adalora", "start_rank": 200}, "method.start_rank", "up to 128"),
        ({"name": "adalora", "full_share": 0.6, "settled_share": 0.5}, "method.settled_share", "less than 100 %"),
        ({"name": "oft", "block_size": 48}, "method.block_size", "32"),
        ({"name": "prefix_tuning", "virtual_tokens": 300}, "method.virtual_tokens", "at most 256"),
        ({"name": "ia3", "targets": ["qproj"]}, "method.targets", "q_proj"),
        ({"name": "vera", "layers": "0-9"}, "method.layers", "Name layers"),
    ],
    ids=str,
)
def test_what_a_method_cannot_do_on_this_base_is_refused_at_its_setting(method, field, fix):
    with pytest.raises(Invalid) as refused:
        resolve(plan(method=method), llama(), stats([50] * 50), CPU)
    assert refused.value.field == field
    assert fix in refused.value.fix


def test_data_that_is_held_out_altogether_is_refused():
    with pytest.raises(BadInput, match="No row is left"):
        resolved(data=stats([50] * 5, heldout=5))


def test_fewer_rows_than_a_batch_are_trained_on_all_the_same():
    numbers = resolved(data=stats([50] * 3), batch_size=16)
    assert numbers.steps >= 3


def test_memory_decides_how_much_is_computed_at_once():
    large, long_rows = llama(2048, 24, 32000, 8192), stats([3000] * 400)
    roomy = resolve(plan(), large, long_rows, DeviceFacts("cuda", "G", 80 * GIB, 80 * GIB, bf16=True))
    tight = resolve(plan(), large, long_rows, DeviceFacts("cuda", "G", 5 * GIB, 5 * GIB, bf16=True))
    assert roomy.token_budget > tight.token_budget >= tight.sequence_length
    assert (roomy.gradient_checkpointing, tight.gradient_checkpointing) == (False, True)
    assert roomy.micro_batch * roomy.accumulation >= 16


def test_after_memory_ran_out_ever_gentler_numbers_follow_until_one_row_is_left():
    numbers, said = resolved(batch_size=16), []
    while step := gentler(numbers):
        smaller, text = step
        assert smaller.micro_batch * smaller.accumulation >= smaller.batch_size
        assert (smaller.batch_size, smaller.learning_rate, smaller.steps) == (
            numbers.batch_size,
            numbers.learning_rate,
            numbers.steps,
        )
        numbers = smaller
        said.append(text)
    assert "checkpointing" in said[0]
    assert (numbers.micro_batch, numbers.token_budget) == (1, numbers.sequence_length)
    assert len(said) < 12


def test_an_optimizer_that_pages_a_gpus_memory_is_refused_on_a_cpu():
    with pytest.raises(Invalid, match="on a CPU") as refused:
        resolved(optimizer="paged_adamw_8bit")
    assert refused.value.field == "training.optimizer"
    assert resolved(optimizer="paged_adamw_8bit", device=GPU)
    assert resolved(optimizer="adamw_8bit")


def test_the_best_adapter_cannot_be_kept_where_nothing_is_measured():
    with pytest.raises(Invalid, match="none are held out") as refused:
        resolved(keep="best", validation=0)
    assert refused.value.field == "training.keep"
    assert resolved(keep="best")


def test_data_of_which_no_token_would_be_learned_is_refused_before_a_run_waits():
    unmarked = stats([8] * 30).model_copy(update={"trained_tokens": 0, "answers": "marked"})
    with pytest.raises(Invalid, match="No token of this data") as refused:
        resolved(data=unmarked)
    assert refused.value.field == "training.answers"
    assert resolved(data=unmarked.model_copy(update={"sampled": True}))  # a sample does not speak for all rows


def test_more_devices_than_there_are_are_refused_in_the_estimate_too():
    with pytest.raises(Invalid, match="wants 2 devices and this machine has 1") as refused:
        resolve(plan(resources={"gpus": 2}), llama(), stats([40] * 30), CPU)
    assert refused.value.field == "resources.gpus"


def test_rows_of_which_nothing_is_left_to_learn_once_they_are_cut_are_refused_at_what_cuts_them():
    long = stats([900, 700]).model_copy(update={"learned_from": [650, 620]})
    wide = llama(context=1024)
    with pytest.raises(Invalid, match="None of the 2 rows has an answer within the first 600 tokens") as refused:
        resolved(wide, data=long, sequence_length=600)
    assert refused.value.field == "training.sequence_length"
    with pytest.raises(Invalid, match="within the first 512 tokens") as refused:
        resolved(data=long)  # no choice of length would help
    assert refused.value.field == "dataset"
    assert resolved(wide, data=long, sequence_length=640).train_rows == 1
    pairs = {"learned_from": [300, 400], "objective": "preference", "sequences_per_row": 2, "rows": 1}
    with pytest.raises(Invalid, match="two different answers"):
        resolved(data=stats([900, 900]).model_copy(update=pairs), sequence_length=390)


def test_rows_that_teach_nothing_are_no_steps_and_are_told():
    some = stats([100] * 20 + [900] * 20, heldout=4).model_copy(
        update={"learned_from": [10] * 20 + [800] * 20, "held_out": [0, 1, 2, 39]}
    )
    found = estimate_from(plan(sequence_length=512, batch_size=1, epochs=1), llama(), some, CPU)
    assert (found.resolved.train_rows, found.resolved.heldout_rows, found.steps) == (17, 3, 17)
    assert any("20 rows have no answer within 512 tokens" in warning for warning in found.warnings)


def test_copies_are_never_held_out_so_data_of_copies_alone_has_no_best_adapter():
    copies = stats([40] * 30).model_copy(update={"once": 0})
    assert resolved(data=copies).heldout_rows == 0
    with pytest.raises(Invalid, match="none are held out") as refused:
        resolved(data=copies, keep="best")
    assert refused.value.field == "training.keep"
    assert resolved(data=stats([40] * 100).model_copy(update={"once": 3})).heldout_rows == 3
