"""Compare: what may be asked, what arrives of each column, and what is kept."""

import pytest
from sqlalchemy import select

from studio import compare
from studio.compare import word_differences
from studio.compare_request import NewWeights, read_request
from studio.errors import BadInput, Conflict, Invalid, NotFound, Unavailable
from studio.records import BaseModel, Comparison
from tests.coroutines import finished
from tests.repeating_studio import add_adapter, add_base, studio_that_repeats

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with studio_that_repeats(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def request(*adapters, messages=HELLO, **more):
    columns = [{"adapter": adapter} for adapter in adapters]
    return read_request({"base_model": "small", "messages": messages, "columns": columns or [{}], **more})


def events_of(studio, asked, owner="local"):
    async def collect():
        return [event async for event in compare.stream(studio, asked, owner)]

    return finished(collect())


def texts(events, columns):
    return [
        "".join(event.get("text", "") for event in events if event.get("column") == column) for column in range(columns)
    ]


def kept(studio) -> list[Comparison]:
    with studio.database.read() as session:
        return list(session.scalars(select(Comparison).order_by(Comparison.created_at)))


def test_every_column_answers_with_its_proof_and_the_answers_are_kept(studio):
    events = events_of(studio, request(None, "pirate", "judge", temperature=0.5))
    said = ["base heard at 0.5 <user: hello>", "Pirate heard at 0.5 <user: hello>", "Judge heard at 0.5 <user: hello>"]
    assert texts(events, 3) == said
    ends = [event for event in events if event.get("done")]
    assert [end["proof"]["adapter"] for end in ends] == [None, "pirate", "judge"]
    last = kept(studio)[-1]
    assert [answer["text"] for answer in last.answers["columns"]] == said
    assert last.answers["columns"][1]["proof"]["adapter"] == "pirate"
    assert last.request["columns"][1]["adapter"] == "pirate"
    assert (last.base_model, last.owner) == ("small", "local")


def test_a_column_goes_on_with_its_own_conversation_and_the_common_instructions(studio):
    own = [*HELLO, {"role": "assistant", "content": "Arr"}, {"role": "user", "content": "more"}]
    asked = read_request(
        {
            "base_model": "small",
            "messages": HELLO,
            "system": "Be short.",
            "columns": [{}, {"adapter": "pirate", "messages": own}],
        }
    )
    assert texts(events_of(studio, asked), 2) == [
        "base heard at 0.0 <system: Be short. / user: hello>",
        "Pirate heard at 0.0 <system: Be short. / user: hello / assistant: Arr / user: more>",
    ]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"base_model": "nowhere"}, NotFound),
        ({"columns": [{"adapter": "nowhere"}]}, NotFound),
        ({"columns": [{}, {"adapter": "hers"}]}, NotFound),
        ({"columns": [{}, {"adapter": "foreign"}]}, Invalid),
        ({"base_model": "untold"}, Conflict),
    ],
    ids=["no such base", "no such adapter", "somebody else's adapter", "adapter of another base", "no chat template"],
)
def test_what_cannot_be_answered_is_refused_before_the_first_event(studio, asked, problem):
    with pytest.raises(problem):
        events_of(studio, read_request({"base_model": "small", "messages": HELLO, **asked}))


def test_an_adapter_of_the_same_weights_under_another_id_may_answer(studio):
    add_base(studio, "twin")
    with studio.database.write() as session:
        session.get(BaseModel, "twin").fingerprint = "print of small"
    add_adapter(studio, "twins", "twin", "local")
    assert texts(events_of(studio, request("twins")), 1) == ["Twins heard at 0.0 <user: hello>"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": []}, "columns"),
        ({"columns": [{}] * 5}, "columns"),
        ({"columns": [{"adapter": ""}]}, "columns.0.adapter"),
        ({"columns": [{"mix": []}]}, "columns.0.mix"),
        ({"columns": [{"mix": [{"adapter": "pirate"}]}]}, "columns.0.mix"),
        ({"columns": [{"mix": [{"adapter": f"a{n}"} for n in range(9)]}]}, "columns.0.mix"),
        ({"columns": [{}, {"mix": [{"adapter": "pirate"}, {"adapter": "pirate"}]}]}, "columns.1.mix"),
        (
            {"columns": [{}, {"mix": [{"adapter": "a", "weight": float("inf")}, {"adapter": "b"}]}]},
            "columns.1.mix.0.weight",
        ),
        ({"columns": [{}, {"mix": [{"adapter": "a"}, {"adapter": "b", "weight": True}]}]}, "columns.1.mix.1.weight"),
        ({"columns": [{}, {"mix": [{"adapter": "a"}, {"adapter": "b", "weight": -10.5}]}]}, "columns.1.mix.1.weight"),
        ({"columns": [{"adapter": "pirate", "checkpoint": {"run": "r", "step": 1}}]}, "columns.0"),
        ({"columns": [{"checkpoint": {"run": "r", "step": 0}}]}, "columns.0.checkpoint.step"),
        ({"columns": [{"checkpoint": {"run": "r"}}]}, "columns.0.checkpoint.step"),
        ({"columns": [{"temperature": 3}]}, "columns.0.temperature"),
        ({"columns": [{"temperature": True}]}, "columns.0.temperature"),
        ({"columns": [{"seed": -1}]}, "columns.0.seed"),
        ({"columns": [{"max_new_tokens": 0}]}, "columns.0.max_new_tokens"),
        ({"columns": [{"system": "\ud800"}]}, "columns.0.system"),
        ({"columns": [{"system": "x", "messages": [{"role": "system", "content": "x"}, *HELLO]}]}, "columns"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [*HELLO, {"role": "system", "content": "x"}, *HELLO]}, "messages"),
        ({"columns": [{"messages": [{"role": "assistant", "content": "hi"}]}]}, "columns.0.messages"),
        ({"system": "Be short.", "messages": [{"role": "system", "content": "x"}, *HELLO]}, "system"),
        ({"system": "\ud800"}, "system"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": "20"}, "max_new_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"stream": True}, "stream"),
    ],
    ids=str,
)
def test_a_wrong_request_names_its_field(change, field):
    with pytest.raises(Invalid) as refused:
        read_request({"base_model": "small", "messages": HELLO, **change})
    assert refused.value.field == field


def test_a_column_may_have_instructions_and_sampling_of_its_own(studio):
    asked = read_request(
        {
            "base_model": "small",
            "messages": HELLO,
            "system": "Be short.",
            "temperature": 0.5,
            "columns": [{}, {"system": "Be long.", "temperature": 1.5}, {"adapter": "pirate", "system": ""}],
        }
    )
    assert texts(events_of(studio, asked), 3) == [
        "base heard at 0.5 <system: Be short. / user: hello>",
        "base heard at 1.5 <system: Be long. / user: hello>",
        "Pirate heard at 0.5 <user: hello>",
    ]


def mixed(*weights, names=("pirate", "judge")):
    return {"mix": [{"adapter": name, "weight": weight} for name, weight in zip(names, weights, strict=True)]}


def test_a_mix_is_asked_with_its_weights_and_kept_with_them(studio):
    asked = read_request({"base_model": "small", "messages": HELLO, "columns": [{}, mixed(0.75, -0.5)]})
    events = events_of(studio, asked)
    assert texts(events, 2)[1] == "0.75 Pirate + -0.5 Judge heard at 0.0 <user: hello>"
    assert kept(studio)[-1].id == events[0]["id"]
    assert kept(studio)[-1].request["columns"][1]["mix"][1] == {"adapter": "judge", "weight": -0.5}


@pytest.mark.parametrize(("name", "problem"), [("hers", NotFound), ("foreign", Invalid), ("nowhere", NotFound)])
def test_every_adapter_of_a_mix_must_be_ones_own_and_of_this_base(studio, name, problem):
    columns = [{}, mixed(1, 1, names=("pirate", name))]
    with pytest.raises(problem) as refused:
        events_of(studio, read_request({"base_model": "small", "messages": HELLO, "columns": columns}))
    if problem is Invalid:
        assert refused.value.field == "columns.1.mix.1.adapter"


def test_the_weights_of_a_mix_change_while_it_is_written_and_only_for_whom_it_is_written(studio):
    columns = [{}, mixed(1, 1)]
    asked = read_request(
        {"base_model": "small", "messages": [{"role": "user", "content": "slowly"}], "columns": columns}
    )

    def change(id, weights, column=1, owner="local"):
        values = read_request({"column": column, "weights": weights}, NewWeights)
        return compare.change_weights(studio, id, values, owner)

    async def listen():
        events = compare.stream(studio, asked)
        id = (await anext(events))["id"]
        assert await change(id, [0.5, -2]) == {"column": 1, "weights": [0.5, -2.0]}
        for wrong, problem in (
            (change(id, [1, 1, 1]), Invalid),
            (change(id, [1, 1], column=0), Invalid),
            (change(id, [1, 1], column=3), Invalid),
            (change("nowhere", [1, 1]), Conflict),
            (change(id, [1, 1], owner="ann"), Conflict),
        ):
            with pytest.raises(problem):
                await wrong
        await events.aclose()

    finished(listen())


def test_closing_the_stream_keeps_what_was_written_so_far(studio):
    async def listen_a_little():
        events = compare.stream(studio, request(None, "pirate", messages=[{"role": "user", "content": "slowly"}]))
        async for event in events:
            if event.get("text"):
                break
        await events.aclose()

    finished(listen_a_little())
    last = kept(studio)[-1]
    assert last.answers["columns"][0]["text"].startswith("tick ")
    assert [answer["stopped_by"] for answer in last.answers["columns"]] == ["cancel", "cancel"]


def test_a_crash_of_the_worker_is_a_message_and_the_next_question_is_answered(studio):
    with pytest.raises(Unavailable):
        events_of(studio, request(messages=[{"role": "user", "content": "crash"}]))
    assert texts(events_of(studio, request()), 1) == ["base heard at 0.0 <user: hello>"]


def test_what_the_worker_refuses_is_not_kept(studio):
    before = len(kept(studio))
    with pytest.raises(BadInput):
        events_of(studio, request(messages=[{"role": "user", "content": "refuse"}]))
    assert len(kept(studio)) == before


def test_word_differences_show_what_was_added_and_removed():
    assert word_differences("I am a model.", "I am a pirate, arr.") == [
        ("same", "I am a"),
        ("removed", " model"),
        ("added", " pirate, arr"),
        ("same", "."),
    ]
    assert word_differences("", "new") == [("added", "new")]
    assert word_differences("same", "same") == [("same", "same")]
    assert word_differences("", "") == []


@pytest.mark.parametrize(
    ("base", "other"), [("a  b\nc", "a b\tc d"), ("你好 世界", "你好 🌍"), ("x " * 9000, "x " * 9000 + "y")]
)
def test_word_differences_lose_nothing(base, other):
    found = word_differences(base, other)
    assert "".join(text for kind, text in found if kind != "added") == base
    assert "".join(text for kind, text in found if kind != "removed") == other
