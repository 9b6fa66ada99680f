"""Blind comparison: the order is drawn fairly, nothing tells who is who before the vote, and a vote is cast once."""

import asyncio
import itertools
import json
import random
import secrets

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from studio import blind, votes
from studio.blind import BlindRequest
from studio.compare_request import read_request
from studio.errors import Conflict, Invalid, NotFound
from studio.records import Adapter, BlindComparison, Vote
from studio.web import build_app
from tests.coroutines import finished
from tests.repeating_studio import studio_that_repeats

# What would tell who is who: names, ids and hashes of the models, and everything the worker measures or proves.
TELLTALES = (
    "pirate", "Pirate", "judge", "Judge", "small", "The small one", "print of", "hash of", "0000000000", "adapter", "proof", "sha256", "tokens_per_second",
    "first_token", "seconds", "layers", "base", '"tokens"',
)  # fmt: skip
ASKED = "anonymously please"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with studio_that_repeats(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(studio):
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client


def request(*adapters, **more) -> BlindRequest:
    columns = [{"adapter": adapter} for adapter in adapters or (None, "pirate", "judge")]
    return read_request({"base_model": "small", "columns": columns, **more}, BlindRequest)


def begun(studio, *adapters, **more) -> str:
    return blind.create(studio, request(*adapters, **more)).id


def asked(studio, id, question=ASKED, person="local") -> list[dict]:
    async def collect():
        return [event async for event in blind.ask(studio, id, question, person)]

    return finished(collect())


def order_of(studio, id) -> list[str | None]:
    with studio.database.read() as session:
        return [side["adapter"] for side in session.get(BlindComparison, id).columns]


def said_by(events, column) -> str:
    return "".join(event.get("text", "") for event in events if event.get("column") == column)


def test_every_order_of_four_columns_is_drawn_as_often_as_any_other():
    draws, draw = 24_000, random.Random(4)
    counts = dict.fromkeys(itertools.permutations("ABCD"), 0)
    for _ in range(draws):
        counts[tuple(blind.shuffled(list("ABCD"), draw))] += 1
    expected = draws / 24
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 49.73  # 99.9 % quantile of chi-square with 23 degrees of freedom


def test_a_lopsided_generator_would_be_noticed():
    class Lazy(random.Random):
        def shuffle(self, order):  # never moves the first column to the end
            order[:-1] = self.sample(order[:-1], len(order) - 1)

    draw = Lazy(4)
    last = [blind.shuffled(list("ABCD"), draw)[-1] for _ in range(100)]
    assert set(last) == {"D"}


def test_the_order_comes_from_the_operating_systems_generator(monkeypatch):
    used = []

    class Watched(secrets.SystemRandom):
        def shuffle(self, order):
            used.append(list(order))
            super().shuffle(order)

    monkeypatch.setattr(secrets, "SystemRandom", Watched)
    assert sorted(blind.shuffled([1, 2, 3])) == [1, 2, 3]
    assert used == [[1, 2, 3]]


def test_mixes_stand_beside_models_and_the_same_one_stands_once(studio):
    mix = [{"adapter": "pirate", "weight": 0.7}, {"adapter": "judge", "weight": -0.3}]
    columns = [{}, {"adapter": "pirate"}, {"mix": mix}]
    mixed = read_request({"base_model": "small", "columns": columns}, BlindRequest)
    id = blind.create(studio, mixed).id
    assert blind.is_of(studio, id, mixed)
    heard = "".join(said_by(asked(studio, id, "hello"), column) for column in range(3))
    assert "0.7 Pirate + -0.3 Judge heard" in heard
    votes.cast(studio, id, "A")
    named = {blind.key_of(model): model["name"] for model in votes.reveal(studio, id)["models"]}
    assert named["judge*-0.3 pirate*0.7"] == "0.7 × Pirate − 0.3 × Judge"
    other = {"mix": [mix[0], {**mix[1], "weight": 0.3}]}
    again = read_request({"base_model": "small", "columns": [*columns[:2], other]}, BlindRequest)
    assert not blind.is_of(studio, id, again)
    twice = [{"mix": mix}, {"mix": mix[::-1]}]
    with pytest.raises(Invalid, match="the same model twice"):
        read_request({"base_model": "small", "columns": twice}, BlindRequest)


def test_every_comparison_draws_an_order_of_its_own(studio):
    orders = {tuple(order_of(studio, begun(studio))) for _ in range(60)}
    assert len(orders) == 6  # all of them: the chance that one is missing is 1 in 10,000


def test_nothing_that_a_program_receives_before_its_vote_tells_who_is_who(client):
    body = {"base_model": "small", "columns": [{}, {"adapter": "pirate"}, {"adapter": "judge"}]}
    made = client.post("/api/v1/blind", json=body)
    at = f"/api/v1/blind/{made.json()['id']}"
    received = [made.text]
    for question in (ASKED, f"{ASKED}, more"):
        received.append(client.post(f"{at}/ask", json={"question": question}).text)
        received.append(client.get(at).text)
    received.append(client.post(f"{at}/vote", json={"choice": "a"}).text)
    received.append(client.get(at).text)
    assert '{"ended": true}' in received[1]
    for text in received:
        assert [word for word in TELLTALES if word in text] == []
    revealed = client.post(f"{at}/reveal").json()
    assert {model["adapter"] for model in revealed["models"]} == {None, "pirate", "judge"}
    assert [answer["proof"]["adapter"] for answer in revealed["turns"][0]["answers"]] == [
        model["adapter"] for model in revealed["models"]
    ]


def test_answers_grow_in_step_whoever_is_faster(studio):
    events = asked(studio, begun(studio))  # the worker writes one column after the other
    lengths = [0, 0, 0]
    whole = [len(said_by(events, column)) for column in range(3)]
    for event in events:
        if "text" in event:
            lengths[event["column"]] += len(event["text"])
            open_ones = [length for length, all_of_it in zip(lengths, whole, strict=True) if length < all_of_it]
            assert max(lengths) - min(open_ones, default=max(lengths)) <= blind.STRIDE
    assert sorted(whole) == [25, 50, 55]
    assert [event for event in events if "notice" in event] == [{"notice": "A conversation was cut."}]
    assert events[-1] == {"ended": True}


def test_a_stopped_answer_keeps_no_more_than_was_shown_and_cannot_be_voted_on(studio):
    id = begun(studio, None, "pirate")

    async def listen_a_little():
        events = blind.ask(studio, id, "slowly")  # only the first column says anything
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.5)
        await events.aclose()

    finished(listen_a_little())
    assert blind.view(studio, id)["turns"] == []
    asked(studio, id)
    with studio.database.write() as session:
        turns = session.get(BlindComparison, id).turns
        stopped = [{**answer, "stopped_by": "cancel"} for answer in turns[0]["answers"]]
        session.get(BlindComparison, id).turns = [{**turns[0], "answers": stopped}]
    assert blind.view(studio, id)["state"] == "stopped"
    with pytest.raises(Conflict, match="Not every column"):
        votes.cast(studio, id, "A")


def test_further_questions_keep_the_order_and_each_column_its_own_conversation(studio):
    id = begun(studio)
    before = order_of(studio, id)
    asked(studio, id, "hello")
    events = asked(studio, id, "more")
    assert order_of(studio, id) == before
    for place, adapter in enumerate(before):
        who = "base" if adapter is None else adapter.title()
        first = f"{who} heard at 0.0 <user: hello>"
        assert said_by(events, place) == f"{who} heard at 0.0 <user: hello / assistant: {first} / user: more>"


def test_a_question_can_be_taken_back_before_the_vote_and_the_order_stays(studio):
    id = begun(studio)
    before = order_of(studio, id)
    asked(studio, id, "hello")
    asked(studio, id, "more")
    blind.take_back(studio, id, keep=1)
    blind.take_back(studio, id, keep=1)
    assert [turn["question"] for turn in blind.view(studio, id)["turns"]] == ["hello"]
    assert order_of(studio, id) == before
    blind.take_back(studio, id)
    assert blind.view(studio, id)["state"] == "new"
    blind.take_back(studio, id)


def test_a_vote_is_changed_until_the_names_are_shown_and_never_after(studio):
    id = begun(studio)
    with pytest.raises(Conflict, match="Not every column"):
        votes.cast(studio, id, "A")
    with pytest.raises(Conflict, match="not voted yet"):
        votes.reveal(studio, id)
    asked(studio, id)
    assert votes.cast(studio, id, "A")["state"] == "voted"
    assert votes.cast(studio, id, " TIE ")["vote"] == "tie"
    assert votes.reveal(studio, id)["vote"] == "tie"
    assert votes.reveal(studio, id)["state"] == "revealed"
    with pytest.raises(Conflict, match="stays as it is"):
        votes.cast(studio, id, "B")
    with studio.database.read() as session:
        assert [vote.choice for vote in session.scalars(select(Vote).where(Vote.comparison == id))] == ["tie"]


def test_after_a_vote_nothing_more_is_asked_or_taken_back(studio):
    id = begun(studio)
    asked(studio, id)
    votes.cast(studio, id, "bad")
    with pytest.raises(Conflict, match="voted on"):
        asked(studio, id)
    with pytest.raises(Conflict, match="voted on"):
        blind.take_back(studio, id)


@pytest.mark.parametrize("choice", ["D", "E", "", "AB", "1", "tied", "base", "pirate"])
def test_no_other_vote_is_taken(studio, choice):
    id = begun(studio)
    asked(studio, id)
    with pytest.raises(Invalid) as refused:
        votes.cast(studio, id, choice)
    assert refused.value.field == "choice"


def test_the_vote_is_kept_with_question_answers_assignment_settings_and_person(studio):
    id = begun(studio, None, "pirate", temperature=0.5, seed=7, system="Be short.")
    asked(studio, id)
    votes.cast(studio, id, "B")
    with studio.database.read() as session:
        kept = session.get(BlindComparison, id)
        vote = session.scalar(select(Vote).where(Vote.comparison == id))
    assert (vote.person, vote.choice) == ("local", "B")
    assert kept.settings == {"system": "Be short.", "max_new_tokens": 200, "temperature": 0.5, "top_p": 1.0, "seed": 7}
    assert [turn["question"] for turn in kept.turns] == [ASKED]
    assert [answer["proof"]["adapter"] for answer in kept.turns[0]["answers"]] == [
        side["adapter"] for side in kept.columns
    ]
    assert {side["name"] for side in kept.columns} == {"The small one", "Pirate"}


def test_the_team_votes_on_what_is_shared_and_nobody_sees_anything_else(studio):
    own, shared = begun(studio), begun(studio, team=True)
    for id in (own, shared):
        asked(studio, id)
    with pytest.raises(NotFound):
        blind.view(studio, own, "ann")
    with pytest.raises(NotFound):
        votes.cast(studio, own, "A", "ann")
    votes.cast(studio, shared, "A")
    votes.reveal(studio, shared)
    hers = blind.view(studio, shared, "ann")
    assert (hers["state"], hers["vote"], "models" in hers) == ("ready", None, False)
    assert votes.cast(studio, shared, "B", "ann")["vote"] == "B"
    assert "models" in votes.reveal(studio, shared, "ann")
    with pytest.raises(Conflict, match="Only who began"):
        asked(studio, shared, person="ann")


def test_the_list_tells_what_waits_for_a_vote_and_no_more_than_each_view(client, studio):
    mine, shared = begun(studio), begun(studio, team=True)
    asked(studio, shared)
    told = client.get("/api/v1/blind?limit=2")
    assert [(item["id"], item["state"]) for item in told.json()["items"]] == [(shared, "ready"), (mine, "new")]
    assert [word for word in TELLTALES if word in told.text] == []
    assert told.json()["next"]
    votes.cast(studio, shared, "A")
    votes.reveal(studio, shared)
    assert [item["state"] for item in blind.listed(studio, limit=1).items] == ["revealed"]
    hers = blind.listed(studio, "ann", limit=1).items[0]
    assert (hers["id"], hers["state"], "models" in hers) == (shared, "ready", False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": [{}]}, "columns"),
        ({"columns": [{}, {}]}, "columns"),
        ({"columns": [{}, {"adapter": "pirate"}, {"adapter": "pirate"}]}, "columns"),
        ({"columns": [{"adapter": str(n)} for n in range(5)]}, "columns"),
        ({"columns": [{}, {"adapter": "pirate", "messages": []}]}, "columns.1.messages"),
        ({"temperature": 9.0}, "temperature"),
        ({"system": "\ud800"}, "system"),
        ({"seed": True}, "seed"),
    ],
    ids=str,
)
def test_a_wrong_blind_request_names_its_field(change, field):
    with pytest.raises(Invalid) as refused:
        read_request({"base_model": "small", "columns": [{}, {"adapter": "pirate"}], **change}, BlindRequest)
    assert refused.value.field == field


def test_models_that_cannot_answer_are_refused_at_once(studio):
    for adapters, problem in (((None, "foreign"), Invalid), ((None, "gone"), NotFound), ((None, "hers"), NotFound)):
        with pytest.raises(problem):
            begun(studio, *adapters)


def test_what_fails_is_forgotten_and_can_be_asked_again(studio):
    id = begun(studio)
    with pytest.raises(Exception, match="cannot be answered"):
        asked(studio, id, "refuse")
    with pytest.raises(Invalid) as empty:
        asked(studio, id, "  \n")
    assert empty.value.field == "question"
    assert blind.view(studio, id)["turns"] == []
    asked(studio, id)
    assert blind.view(studio, id)["state"] == "ready"


def test_an_adapter_that_is_gone_keeps_its_votes(studio):
    from tests.repeating_studio import add_adapter

    add_adapter(studio, "short", "small", "local")
    id = begun(studio, None, "short")
    asked(studio, id)
    votes.cast(studio, id, "A")
    with studio.database.write() as session:
        session.delete(session.get(Adapter, "short"))
    assert {model["name"] for model in votes.reveal(studio, id)["models"]} == {"The small one", "Short"}
    assert json.dumps(blind.view(studio, id))
