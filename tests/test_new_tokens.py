"""Tokens that a person names are tried on the base's own tokenizer before a run waits."""

import pytest

from studio.errors import BadInput
from studio.new_tokens import check_tokens, with_tokens
from tests.small_tokenizer import write_tokenizer


def test_a_new_token_gets_an_id_of_its_own_and_a_known_one_keeps_its(tmp_path):
    write_tokenizer(tmp_path)
    tokenizer, (new, known, again) = with_tokens(tmp_path, ["<plan>", "<|im_end|>", "<plan>"])
    assert tokenizer.encode("so <plan> so").ids.count(new) == 1
    assert known == with_tokens(tmp_path, [])[0].token_to_id("<|im_end|>")
    assert again == new
    check_tokens(tmp_path, ["<plan>"])


def test_a_token_that_the_tokenizer_never_makes_is_refused_by_name_and_field_each_time(tmp_path):
    write_tokenizer(tmp_path)
    [never] = [token for token in with_tokens(tmp_path, [])[0].get_vocab() if token.startswith("\u0120")][:1]
    for _ in range(2):
        with pytest.raises(BadInput, match="never what the tokenizer makes") as refused:
            check_tokens(tmp_path, ["<plan>", never])
        assert refused.value.field == "method.new_tokens"
