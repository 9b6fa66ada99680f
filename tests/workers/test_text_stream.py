"""Text that streams is in the end the text of all tokens, and never shows half a character on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from jobs.workers.text_stream import BROKEN, MOST_HELD, TextStream
from tests.workers.tiny_models import tiny_tokenizer

pytestmark = pytest.mark.training

TEXTS = ["Hello, how are you?", "naïve café — 你好世界", "😀😀👩‍👩‍👧 zwinker", "a  b\n\n c\t", "é" * 9, "ｗｉｄｅ"]


def byte_fallback_tokenizer() -> Tokenizer:
    """Tokens as in Llama 2: ▁ for a space, and <0x..> for the bytes of everything that has no token."""
    vocabulary = (
        {"<unk>": 0}
        | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)}
        | {"▁": 257, "▁Hello": 258, "▁you": 259, "a": 260, "!": 261}
    )
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


BYTE_LEVEL = tiny_tokenizer()._tokenizer
BYTE_FALLBACK = byte_fallback_tokenizer()


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(lambda ids: tokenizer.decode(ids, skip_special_tokens=True))
    return [*map(stream.add, ids), stream.end()]


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_of_a_text_join_to_it_and_none_is_broken(text):
    ids = BYTE_LEVEL.encode(text).ids
    pieces = streamed(BYTE_LEVEL, ids)
    assert "".join(pieces) == text
    assert not any(BROKEN in piece for piece in pieces)
    assert sum(map(bool, pieces)) > 1


@pytest.mark.parametrize("text", ["Hello you😀😀é!", "日本語"])
def test_bytes_of_a_llama_tokenizer_become_whole_characters(text):
    ids = [
        BYTE_FALLBACK.token_to_id("▁Hello"),
        *(BYTE_FALLBACK.token_to_id(f"<0x{byte:02X}>") for byte in text.encode()),
    ]
    pieces = streamed(BYTE_FALLBACK, ids)
    assert "".join(pieces) == "Hello" + text
    assert not any(BROKEN in piece for piece in pieces)


def test_the_space_before_a_word_is_kept_after_a_token_without_text():
    ids = [BYTE_FALLBACK.token_to_id(token) for token in ("▁Hello", "▁you", "▁", "a")]
    assert "".join(streamed(BYTE_FALLBACK, ids)) == "Hello you a"
    special = BYTE_LEVEL.token_to_id("<|system|>")
    assert "".join(streamed(BYTE_LEVEL, [special, *BYTE_LEVEL.encode(" ships").ids])) == " ships"


@given(ids=st.lists(st.integers(0, 399), max_size=MOST_HELD - 1))
def test_any_tokens_stream_to_the_text_of_decoding_them_at_once(ids):
    assert "".join(streamed(BYTE_LEVEL, ids)) == BYTE_LEVEL.decode(ids).rstrip(BROKEN)


@given(text=st.text(max_size=12))
def test_any_text_in_bytes_of_a_llama_tokenizer_does_too(text):
    ids = [
        BYTE_FALLBACK.token_to_id("▁Hello"),
        *(BYTE_FALLBACK.token_to_id(f"<0x{byte:02X}>") for byte in text.encode()),
    ]
    assert "".join(streamed(BYTE_FALLBACK, ids)).rstrip(BROKEN) == "Hello" + text.rstrip(BROKEN)


def test_a_broken_byte_behind_a_whole_character_does_not_stop_the_text():
    ids = [BYTE_FALLBACK.token_to_id(token) for token in ("<0x41>", "<0x80>", "a", "▁Hello", "▁you")]
    assert "".join(streamed(BYTE_FALLBACK, ids)).endswith("a Hello you")


def test_bytes_that_never_become_text_are_not_held_for_ever():
    pieces = streamed(BYTE_LEVEL, [BYTE_LEVEL.token_to_id(chr(0x122))] * 300)
    assert "".join(pieces[: 2 * MOST_HELD])
