"""Every kind of finding is found in a row that has it, not in one that only looks like it, and its fix takes it away for good."""

import json

import pytest

from studio.formats import Conversation
from studio.row_checks.check import said_in
from studio.row_checks.kinds import CHECKS
from studio.row_checks.looking import Looking
from studio.row_checks.mending import mended
from studio.row_checks.ordering import in_order


def row(answer: str, question: str = "Tell me.") -> Conversation:
    return Conversation([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


def kinds_in(*rows: Conversation, passes=("first",)) -> dict[str, int]:
    looking = Looking(None, passes)
    for each in rows:
        looking.at(each, False)
    return looking.finish().counts


HAVE = [
    ("control", "All is well.<|im_end|>", "All is well."),
    ("control", "<|im_<|im_end|>start|>Hi", "Hi"),
    ("placeholder", "Dear {{name}}, welcome.", None),
    ("placeholder", "Yours, [Your Name]", None),
    ("placeholder", "Send it to <insert address here>.", None),
    ("hollow", "N/A", None),
    ("hollow", "...", None),
    ("echo", "tell me. ", None),
    ("encoding", "Ein schÃ¶ner Tag, sagte er, und die FÃ¼ÃŸe waren kalt.", "Ein schöner Tag, sagte er, und die Füße waren kalt."),
    ("lost_letters", "Sch\ufffdn ist das.", None),
    ("invisible", "a\u200bb and \x1b[31mred\x1b[0m", "ab and red"),
    ("invisible", "safe\u202egpj.exe", "safegpj.exe"),
    ("email", "Write to jane.doe@acme.co.uk today.", "Write to someone@example.com today."),
    ("phone", "Call +49 30 12345678 now.", "Call 555-0100 now."),
    ("phone", "Call (202) 333-4199 now.", "Call 555-0100 now."),
    ("key", "Use sk-proj-abcdefghij0123456789ABCDEF here.", "Use REMOVED-KEY here."),
    ("key", "AKIAIOSFODNN7EXAMPLE is mine, 123.", "REMOVED-KEY is mine, 123."),
    ("open_code", "Run this:\n```python\nprint(1)", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "fixed"), HAVE, ids=[f"{each[0]}-{at}" for at, each in enumerate(HAVE)])
def test_a_fault_is_found_and_its_fix_takes_it_away_for_good(kind, answer, fixed):
    assert kinds_in(row(answer)).get(kind) == 1
    once = mended(row(answer), kind)
    if fixed is None:
        assert once is None
        return
    assert once.messages[-1]["content"] == fixed
    assert kind not in kinds_in(once)
    assert mended(once, kind).fields == once.fields


@pytest.mark.parametrize(
    "answer",
    [
        "What is <b>{ {x} }</b> in a[INSTALL] and {{7*7}}?",
        "@property and a @ b, x[Name] = y; see [Name](https://example.com).",
        "Mail someone@example.com or call 555-0100.",
        "It costs 1 234 567 890 in 2023-01-15 at 10.0.0.1, 3.14159265358979.",
        "À Paris, il dit : « ça va ? » — très bien, naïve façade.",
        "No.",
        "2",
        "```python\nprint(1)\n```",
        "می‌خواهم 👨‍👩‍👧",
        "Пример текста; 例文です。",
    ],
)
def test_what_only_looks_like_a_fault_is_none(answer):
    assert kinds_in(row(answer)) == {}
    for kind, check in CHECKS.items():
        if check.mend:
            assert mended(row(answer), kind).messages[-1]["content"] == answer, kind


def test_a_fix_that_leaves_nothing_to_learn_drops_the_row():
    assert mended(row("<|im_end|>"), "control") is None


def test_answers_of_one_length_that_stop_in_mid_sentence_were_cut():
    whole = [
        row(f"This answer has {'many ' * (at % 37)}words, and it ends as it should, number {at}.") for at in range(300)
    ]
    cut = [row((f"The {at} ships of the harbour " * 9)[:199] + "x") for at in range(5)]
    looking = Looking(None)
    for each in [*whole, *cut]:
        looking.at(each, False)
    assert looking.finish().counts == {"truncated": 5}


def test_copies_are_told_from_the_first_and_what_is_measured_on_is_not_trained_on():
    looking = Looking(None)
    for answer, held in (("one", False), ("two", True), ("one", False), ("two", False), ("two", True)):
        looking.at(row(answer), held)
    assert list(looking.copies()) == [("duplicate", 2, 0), ("leakage", 3, 1), ("duplicate", 4, 1)]


PROSE = "The lighthouse stands on the last rock before the sea and its keeper counts the ships that pass in the evening"


def test_the_second_pass_finds_near_copies_and_other_languages():
    words = [row(f"Every morning the {name} walks slowly to the market and buys fresh bread.", f"What about the {name}?") for name in
             ("baker", "teacher", "sailor", "painter", "doctor", "farmer", "writer", "lawyer", "dancer", "singer", "driver", "hunter")]  # fmt: skip
    near = [row(" ".join([PROSE] * 3)), row(" ".join([PROSE] * 3) + " again")]
    foreign = row(
        "Die Schiffe fahren am Abend langsam in den kleinen Hafen zurück und alle warten.", "And in the harbour?"
    )
    counts = kinds_in(*words * 2, *near, foreign, passes=("second",))
    assert counts == {"near_duplicate": 1, "language": 1}


def test_messages_out_of_order_are_put_in_order_without_changing_a_word():
    said = [
        ("assistant", "Hello!"),
        ("user", "Hi"),
        ("user", "there"),
        ("system", "Be kind."),
        ("assistant", "Yes?"),
        ("assistant", " "),
    ]
    ordered = in_order([{"role": role, "content": content} for role, content in said])
    assert [(each["role"], each["content"]) for each in ordered] == [
        ("system", "Be kind."),
        ("user", "Hi\n\nthere"),
        ("assistant", "Yes?"),
    ]


def test_findings_never_hold_the_whole_of_a_key():
    said = CHECKS["key"].look(said_in(row("sk-proj-abcdefghij0123456789ABCDEF"), False))
    assert said
    assert "0123456789" not in json.dumps(said)
