"""Answers that grow together are the answers that each would get alone."""

import pytest

pytestmark = pytest.mark.training

torch = pytest.importorskip("torch")

from jobs.workers.adapters_in_memory import RowAdapters, load_adapter
from jobs.workers.decode import Answer, Batch, Sampling, finish
from tests.workers.tiny_models import save_adapter, tiny_model

SHORT, LONG = [1, 17, 99, 23], [1, 5, 300, 42, 77, 8, 120, 250, 31]


def greedy(model, prompt, tokens=24, stop=()):
    written = model.generate(
        torch.tensor([prompt]), max_new_tokens=tokens, do_sample=False, eos_token_id=list(stop) or None, pad_token_id=0
    )
    return written[0, len(prompt) :].tolist()


def answer(prompt, adapter=None, tokens=24, stop=(), **sampling):
    return Answer(prompt=list(prompt), stop_ids=frozenset(stop), most_tokens=tokens, adapter=adapter, sampling=Sampling(**sampling))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    folder = save_adapter(tmp_path_factory.mktemp("adapter"), model)
    return load_adapter(model, None, "first", folder)


def peft_greedy(model, folder, prompt, tokens=24):
    from peft import PeftModel

    adapted = PeftModel.from_pretrained(model, folder)
    try:
        return greedy(adapted, prompt, tokens)
    finally:
        adapted.unload()


def test_the_base_answers_as_the_plain_model_beside_a_longer_conversation_and_an_adapter(model, adapter):
    base, longer, adapted = finish(model, RowAdapters(model), [answer(SHORT), answer(LONG), answer(LONG, adapter)])
    assert base.ids == greedy(model, SHORT)
    assert longer.ids == greedy(model, LONG)
    assert adapted.ids == peft_greedy(model, adapter.folder, LONG)
    assert adapted.ids != longer.ids
