"""The Compare page while names are hidden: everything that a browser is sent before the vote, and what it may send back."""

import json

import pytest
from fastapi.testclient import TestClient

from studio import blind, votes
from studio.errors import Conflict, Invalid
from studio.pages.compare import hidden, view
from studio.pages.compare.address import REMEMBER, blind_in, settings_in
from studio.pages.compare.conversation import Talk, read_talk
from studio.pages.compare.lineup import LineUp, Offers, column_of
from studio.pages.compare.talking import answering_again, fresh
from studio.records import BlindComparison
from studio.vote_results import keys_of
from studio.web import build_app
from tests.coroutines import finished
from tests.repeating_studio import studio_that_repeats
from tests.test_blind import ASKED, TELLTALES, asked, begun
from tests.test_compare_page import lineup

LINED = LineUp(columns=[column_of(who) for who in ("base", "pirate", "judge")])
OWN_WORDS = ("adapter", "base", "seconds", "proof")  # the page says these of every column alike
SAMPLED = ["", 200, 0.0, 1.0, 0]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with studio_that_repeats(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(studio):
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client


def order_of(studio, id) -> list[str]:
    with studio.database.read() as session:
        return keys_of(session.get(BlindComparison, id))


class Page:
    """The Compare page as a browser drives it: the events of its parts, and everything that is sent back."""

    def __init__(self, client):
        self.client, self.received = client, []
        config = client.get("/config").json()
        page = config["page"]["compare"]
        self.parts = {part["id"]: part for part in config["components"] if part["id"] in page["components"]}
        self.events = [event for event in config["dependencies"] if event["id"] in page["dependencies"]]
        self.values = {"Base model": "small", "lineup": {}, "Blind": True, "talk": {}}
        self.jsons = sorted(id for id, part in self.parts.items() if part["type"] == "json")
        opened = next(
            event for event in self.events if "talk" in map(self.name, event["outputs"]) and not event["inputs"]
        )
        self.send(opened, query="?model=small&columns=base,pirate,judge,pirate*0.7+judge*-0.3")
        self.send(self.event("input", "Blind"))
        self.received.clear()  # the lists to choose from: the person knows who takes part

    def name(self, id: int) -> str:
        part = self.parts.get(id, {"type": "", "props": {}})
        if part["type"] == "json":
            return ("mended", "lineup", "talk")[self.jsons.index(id)]
        return part["props"].get("label") or str(part["props"].get("value"))

    def event(self, name: str, of: str) -> dict:
        return next(
            event
            for event in self.events
            if event["backend_fn"] and any(told == name and self.name(id) == of for id, told in event["targets"])
        )

    def vote(self) -> dict:
        """The click on the ballot: it reads the conversation and the line-up."""
        read = ["talk", "lineup"]
        return next(event for event in self.events if [self.name(id) for id in event["inputs"]] == read)

    def send(self, event: dict, event_data=None, query: str = "", **given) -> list:
        """Run an event to its end, as the browser does. Returns its last outputs."""
        values = {**self.values, **given}
        data = [values.get(self.name(id), self.parts[id]["props"].get("value")) for id in event["inputs"]]
        session = "blind"
        body = {"data": data, "fn_index": event["id"], "session_hash": session, "event_data": event_data}
        if event["queue"] is False:
            self.received.append(self.client.post(f"/gradio_api/run/predict{query}", json=body).text)
            outputs = json.loads(self.received[-1])["data"]
        else:
            self.client.post("/gradio_api/queue/join", json=body)
            self.received.append(self.client.get(f"/gradio_api/queue/data?session_hash={session}").text)
            lines = [json.loads(line[6:]) for line in self.received[-1].splitlines() if line.startswith("data: ")]
            outputs = next(line for line in lines if line["msg"] == "process_completed")["output"]["data"]
        for id, value in zip(event["outputs"], outputs, strict=True):
            if (name := self.name(id)) in ("talk", "lineup"):
                self.values[name] = value
        return outputs


def test_nothing_that_the_browser_receives_before_the_vote_tells_who_is_who(client, studio):
    page = Page(client)
    page.send(page.event("click", "Send"), Question=ASKED)
    page.send(page.event("click", "Send"), Question=f"{ASKED}, more")
    for text in page.received:
        assert [word for word in TELLTALES if word not in OWN_WORDS and word in text] == []
    said = page.values["talk"]
    alike = [
        {name: value for name, value in column.items() if name not in ("name", "messages")}
        for column in said["columns"]
    ]
    assert alike == [{"who": "", "colour": 0, "tries": 0, "notice": "", "done": {"stopped_by": "end"}}] * 4
    assert [len(column["messages"]) for column in said["columns"]] == [4] * 4
    drawn = view.columns(read_talk(said)) + view.ballot(read_talk(said), busy=False)
    assert [word for word in TELLTALES if word in drawn.replace("ls-proof", "")] == []
    assert "disabled" not in drawn

    page.send(page.vote(), {"act": "vote", "id": "B"})
    assert "Pirate" in page.received[-1]
    assert blind.view(studio, said["blind"])["vote"] == "B"
    order = order_of(studio, said["blind"])
    assert sorted(order) == ["base", "judge", "judge*-0.3 pirate*0.7", "pirate"]
    assert [column["who"] for column in page.values["talk"]["columns"]] == order


def test_a_forged_conversation_tells_no_more_and_cannot_vote_without_one(studio):
    id = begun(studio)
    with pytest.raises(Conflict, match="Not every column"):
        hidden.vote(studio, Talk(blind=id, hidden=True), "A", LINED)
    for forged in (Talk(), Talk(blind=id), Talk(hidden=True)):
        with pytest.raises(Conflict, match="nothing to vote on"):
            hidden.vote(studio, forged, "A", LINED)
    asked(studio, id)
    with pytest.raises(Invalid):
        hidden.vote(studio, Talk(blind=id, hidden=True), "pirate", LINED)


def test_the_vote_waits_until_all_have_answered_and_names_its_keys():
    talk = hidden.fresh(LINED)
    assert view.ballot(talk, busy=False).count(" disabled") == 5
    talk.blind = "x"
    talk.ask("hello")
    assert view.ballot(talk, busy=True).count(" disabled") == 5
    talk.finish()
    ballot = view.ballot(talk, busy=False)
    assert "disabled" not in ballot
    assert all(f"<kbd>{key}</kbd>" in ballot for key in "123TB")
    talk.columns[0].done = {"stopped_by": "cancel"}
    assert view.ballot(talk, busy=False).count(" disabled") == 5


def test_the_address_opens_the_same_comparison_for_the_same_models_and_settings_only(studio):
    id = begun(studio)
    asked(studio, id, "hello")
    again = hidden.opened(studio, id, "small", LINED, SAMPLED)
    assert (again.blind, again.hidden, again.votable, again.questions) == (id, True, True, 1)
    assert hidden.opened(studio, id, "small", lineup("judge", "pirate", "base"), SAMPLED)
    assert hidden.opened(studio, id, "small", lineup("base", "pirate"), SAMPLED) is None
    assert hidden.opened(studio, id, "small", LINED, ["", 100, 0.0, 1.0, 0]) is None
    assert hidden.opened(studio, "gone", "small", LINED, SAMPLED) is None
    votes.cast(studio, id, "C")
    votes.reveal(studio, id)
    revealed = hidden.opened(studio, id, "small", LINED, SAMPLED)
    assert [column.who for column in revealed.columns] == order_of(studio, id)
    colours = {column.who: column.colour for column in revealed.columns}
    assert colours == {"base": 0, "pirate": 1, "judge": 2}


def asked_on_the_page(studio, held, question, sampled=SAMPLED):
    async def collect():
        return [said async for said in hidden.answering(studio, question, held, LINED, "small", *sampled)]

    return finished(collect())


def test_a_question_after_the_vote_begins_a_new_comparison_and_one_before_it_does_not(studio):
    held = hidden.fresh(LINED)
    asked_on_the_page(studio, held, "hello")
    first = held.blind
    asked_on_the_page(studio, held, "more")
    assert (held.blind, held.questions) == (first, 2)
    with pytest.raises(Conflict, match="settings have changed"):
        asked_on_the_page(studio, held, "again", ["", 200, 0.7, 1.0, 0])
    revealed = hidden.vote(studio, held, "tie", LINED)
    assert "about the same" in view.verdict(revealed, "tie")
    asked_on_the_page(studio, revealed, "hello")
    assert revealed.blind != first
    assert (revealed.hidden, revealed.questions) == (True, 1)


def test_asking_again_keeps_the_order_before_the_vote_and_begins_anew_after_it(studio):
    held = hidden.fresh(LINED)
    asked_on_the_page(studio, held, "hello")
    id = held.blind
    assert hidden.take_back(studio, held) == "hello"
    assert blind.view(studio, id)["state"] == "new"
    asked_on_the_page(studio, held, "hello")
    revealed = hidden.vote(studio, held, "A", LINED)
    assert hidden.take_back(studio, revealed) == "hello"
    assert (revealed.blind, revealed.hidden) == ("", True)
    assert {column.name for column in revealed.columns} == {"Answer A", "Answer B", "Answer C"}
    assert blind.view(studio, id)["turns"]


def test_a_page_that_was_left_while_the_answers_were_written_can_ask_again(studio):
    id = begun(studio)
    blind._begin(studio, id, "hello", "local")
    talk = hidden.talk_of(blind.view(studio, id), LINED)
    assert (talk.votable, [column.waiting for column in talk.columns]) == (False, [False] * 3)
    assert "stopped" in view.columns(talk)
    assert hidden.take_back(studio, talk) == "hello"
    assert blind.view(studio, id)["state"] == "new"


def test_one_model_alone_is_not_compared_blind(studio):
    with pytest.raises(Invalid, match="at least two columns"):
        hidden.request_of("small", lineup("base"), *SAMPLED)


def test_the_address_keeps_settings_within_their_limits_and_forgets_nonsense():
    said = {"temperature": "0.7", "seed": "12", "most": "9999", "top_p": "nan", "system": "Be short.", "blind": "1"}
    assert settings_in(said) == ["Be short.", 200, 0.7, 1, 12]
    assert blind_in(said) == (True, "")
    assert blind_in({"blind": "abc"}) == (True, "abc")
    assert blind_in({}) == (False, "")
    assert '["temperature", 0]' in REMEMBER


def test_one_column_is_asked_again_with_the_next_seed(studio):
    line = lineup("base", "pirate")
    held = fresh("small", line, Offers("base", (("pirate", "Pirate"),)))
    held.ask("hello")
    for place in range(2):
        held.hear({"column": place, "text": f"said {place}"})
        held.hear({"column": place, "done": True, "stopped_by": "end"})

    async def again(place):
        return [said async for said in answering_again(studio, place, held, line, *SAMPLED)]

    told = finished(again("1"))
    assert "temperature 0" in told[0]
    assert [column.answer for column in held.columns] == ["said 0", "Pirate heard at 0.0 <user: hello>"]
    assert (held.columns[1].tries, held.columns[1].waiting) == (1, False)
    assert "draw 2" in view.columns(held)
    for wrong in ("2", "", "x"):
        with pytest.raises(Invalid, match="no answer yet"):
            finished(again(wrong))
    held.blind = "voted"
    with pytest.raises(Conflict, match="stays as it was voted on"):
        finished(again("0"))
