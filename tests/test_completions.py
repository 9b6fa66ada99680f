"""OpenAI's protocol at /v1: what its clients send is answered in the shapes that they read, by the same worker and line as Compare."""

import json

import pytest
from fastapi.testclient import TestClient

from studio.completions.writing import StopTexts
from studio.web import build_app
from tests.repeating_studio import studio_that_repeats

# As the official client of Python sends a request
HEADERS = {
    "Authorization": "Bearer sk-anything",
    "User-Agent": "OpenAI/Python 1.99.0",
    "X-Stainless-Lang": "python",
    "X-Stainless-Retry-Count": "0",
    "Accept": "application/json",
}
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        studio_that_repeats(tmp_path_factory.mktemp("data")) as studio,
        TestClient(build_app(studio), base_url="http://127.0.0.1:7860", headers=HEADERS) as client,
    ):
        client.studio = studio
        yield client


def ask(client, model="small", messages=HELLO, **more):
    return client.post("/v1/chat/completions", json={"model": model, "messages": messages, **more})


def events_of(answer) -> list[str]:
    return [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]


def test_the_models_are_ready_bases_with_a_template_and_the_persons_own_adapters(client):
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert {each["id"] for each in listed["data"]} == {"small", "other", "pirate", "judge", "foreign"}
    pirate = client.get("/v1/models/pirate").json()
    assert (pirate["object"], pirate["owned_by"], pirate["parent"]) == ("model", "lora-studio", "small")
    assert isinstance(pirate["created"], int)
    gone = client.get("/v1/models/gone")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(("model", "who"), [("small", "base"), ("The small one", "base"), ("pirate", "Pirate")])
def test_a_model_is_asked_by_id_or_name_and_answers_whole(client, model, who):
    answer = ask(client, model, temperature=0.5, user="me", store=False, metadata={"a": "b"}, unheard_of=1)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["object"] == "chat.completion"
    assert told["id"].startswith("chatcmpl-")
    assert told["model"] == model
    choice = told["choices"][0]
    assert choice["message"]["content"] == f"{who} heard at 0.5 <user: hello>"
    assert (choice["index"], choice["message"]["role"], choice["finish_reason"]) == (0, "assistant", "stop")
    assert told["usage"] == {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def test_an_answer_is_streamed_as_chunks_with_the_usage_where_it_is_wanted(client):
    answer = ask(client, "pirate", stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    *chunks, done = events_of(answer)
    assert done == "[DONE]"
    chunks = [json.loads(chunk) for chunk in chunks]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert said == "Pirate heard at 1.0 <user: hello>"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-2:] == [None, "stop"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 3)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert "usage" not in json.loads(events_of(ask(client, stream=True))[0])


def test_messages_come_in_parts_and_from_developers_and_an_answer_may_be_too_long(client):
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts, "name": "ann"}]
    told = ask(client, messages=messages, max_completion_tokens=100_000, temperature=0).json()
    assert told["choices"][0]["message"]["content"] == "base heard at 0.0 <system: Be brief. / user: hello>"
    told = ask(client, messages=[{"role": "user", "content": "cut"}], max_tokens=3).json()
    assert told["choices"][0]["finish_reason"] == "length"


def test_the_answer_ends_at_a_stop_text_which_is_no_part_of_it(client):
    told = ask(client, stop=["<user", "never"]).json()
    assert told["choices"][0]["message"]["content"] == "base heard at 1.0 "
    assert told["choices"][0]["finish_reason"] == "stop"
    chunks = [json.loads(each) for each in events_of(ask(client, stop="heard", stream=True))[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "base "


def test_a_stop_text_is_found_across_pieces_and_what_only_begins_like_one_is_passed_on():
    stops = StopTexts(["</s>", "END"])
    assert [stops.passed(piece) for piece in ("a<", "/", "b", " E", "N")] == ["a", "", "</b", " ", ""]
    assert stops.rest() == "EN"
    stops = StopTexts(["</s>", "END"])
    assert [stops.passed(piece) for piece in ("x EN", "D y", "z")][:2] == ["x ", ""]
    assert stops.found
    assert stops.rest() == ""


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"model": "gone"}, 404, "model"),
        ({"model": "hers"}, 404, "model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0.content"),
        ({"temperature": 3}, 400, "temperature"),
        ({"top_p": True}, 400, "top_p"),
        ({"n": 2}, 400, "n"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"stop": ["a"] * 5}, 400, "stop"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"stream": "yes"}, 400, "stream"),
        ({"messages": [{"role": "user", "content": "refuse"}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": "refuse"}], "stream": True}, 400, "messages"),
    ],
)
def test_errors_have_the_shape_that_its_clients_read(client, wrong, status, param):
    answer = ask(client, **wrong)
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert len(error["message"]) > 20


def test_a_worker_that_dies_in_mid_answer_is_an_error_and_in_a_stream_an_event(client):
    crash = [{"role": "user", "content": "crash"}]
    answer = ask(client, messages=crash)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    last = json.loads(events_of(ask(client, messages=crash, stream=True))[-1])
    assert "ended in the middle" in last["error"]["message"]


def test_what_is_set_to_nothing_is_as_if_left_out_and_what_has_no_effect_is_taken(client):
    nothing = dict.fromkeys(("temperature", "top_p", "seed", "stop", "tools", "n", "max_tokens", "stream_options"))
    assert ask(client, **nothing, presence_penalty=0, response_format={"type": "text"}).is_success
    assert ask(client, n=1, frequency_penalty=0.0, tool_choice="auto", seed=2**40).is_success


def test_the_gate_guards_these_addresses_like_the_others(client):
    refused = client.post("/v1/chat/completions", json={}, headers={"Origin": "https://elsewhere.example"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "invalid_request_error")
    assert client.get("/v1/models", headers={"Host": "elsewhere.example"}).status_code == 403
    assert client.post("/v1/embeddings", json={}).json()["error"]["code"] == "not_found"
    garbage = client.post("/v1/chat/completions", content=b"{no", headers={"Content-Type": "application/json"})
    assert (garbage.status_code, garbage.json()["error"]["type"]) == (400, "invalid_request_error")
