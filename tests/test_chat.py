"""The chat worker's life: started when asked, one at a time, ended when idle, and its death is a message."""

import asyncio
import os
import signal
import stat
import time
from pathlib import Path

import psutil
import pytest

from jobs.workers.questions import Inbox, Question
from studio import chat
from studio.errors import BadInput, Conflict, Unavailable
from studio.files import read_json, write_json
from studio.records import BaseModel
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.coroutines import finished

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def stub_worker(monkeypatch):
    monkeypatch.setattr(chat, "MODULE", "tests.stub_chat_worker")


@pytest.fixture
def studio(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "data", device="cpu"))
    yield opened
    chat.stop_worker(opened)
    opened.database.close()


def base_model(studio, id="tiny") -> BaseModel:
    folder = studio.data.base_model(id).create()
    write_json(folder.facts, {"fingerprint": f"weights of {id}"})
    return BaseModel(
        id=id, name=id, source="local", location=id, fingerprint=f"weights of {id}", facts={"template": None}
    )


def question(text: str) -> dict:
    drawn = {"max_new_tokens": 10, "temperature": 0.0, "top_p": 1.0, "seed": 0}
    column = {"messages": [{"role": "user", "content": text}], "adapter": None, **drawn}
    return {"do": "answer", "id": "any", "owner": "local", "columns": [column]}


def ask(studio, base, text) -> str:
    async def collect():
        return "".join([event.get("text", "") async for event in chat.answer(studio, base, question(text))])

    return finished(collect())


def starts(studio, base) -> list[int]:
    return [int(line) for line in (studio.data.base_model(base.id).path / "starts").read_text().split()]


def eventually(happened) -> bool:
    until = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_worker_is_started_for_the_first_question_and_answers_the_next_one_too(studio):
    base = base_model(studio)
    assert chat.worker_state(studio)["state"] == "absent"
    assert ask(studio, base, "hello") == "base heard at 0.0 <user: hello>"
    assert ask(studio, base, "again") == "base heard at 0.0 <user: again>"
    assert len(starts(studio, base)) == 1
    state = chat.worker_state(studio)
    assert (state["state"], state["base_model"], state["pid"]) == ("ready", "tiny", starts(studio, base)[0])


def test_nobody_else_can_reach_it_and_it_knows_no_secrets(studio, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("STUDIO_DATABASE_URL", "postgresql://secret")
    base = base_model(studio)
    pid = chat.ready_worker(studio, base)
    socket = chat.socket_path(studio)
    assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"secret" not in environment
    assert b"HF_HUB_OFFLINE=1" in environment
    assert os.getsid(pid) == pid


def test_two_questions_at_once_start_one_worker(studio):
    base = base_model(studio)

    async def both():
        return await asyncio.gather(*[asyncio.to_thread(chat.ready_worker, studio, base) for _ in range(4)])

    assert len(set(finished(both()))) == 1
    assert ask(studio, base, "hello")
    assert len(starts(studio, base)) == 1


def test_another_base_model_puts_the_first_ones_worker_away(studio):
    first, second = base_model(studio, "first"), base_model(studio, "second")
    ask(studio, first, "hello")
    ask(studio, second, "hello")
    assert (
        not psutil.pid_exists(starts(studio, first)[0])
        or psutil.Process(starts(studio, first)[0]).status() == psutil.STATUS_ZOMBIE
    )
    assert chat.worker_state(studio)["base_model"] == "second"


def test_new_weights_of_the_same_base_model_need_a_new_worker(studio):
    base = base_model(studio)
    ask(studio, base, "hello")
    write_json(studio.data.base_model("tiny").facts, {"fingerprint": "other weights"})
    base.fingerprint = "other weights"
    ask(studio, base, "hello")
    assert len(starts(studio, base)) == 2


def test_a_worker_of_an_older_version_of_the_code_is_put_away(studio, monkeypatch):
    base = base_model(studio, "tiny")
    ask(studio, base, "hello")
    monkeypatch.setattr(chat, "code_version", lambda: {"code": "newer"})
    ask(studio, base, "hello")
    assert len(starts(studio, base)) == 2


def test_a_worker_that_is_killed_in_mid_answer_is_a_message_and_the_next_question_works(studio):
    base, heard = base_model(studio), []

    async def listen():
        async for event in chat.answer(studio, base, question("crash")):
            heard.append(event.get("text"))  # noqa: PERF401 - what came before the crash counts

    with pytest.raises(Unavailable, match="ended in the middle of the answer.*killed"):
        finished(listen())
    assert "base" in heard  # after the notice that it is being loaded, where it was quick
    assert ask(studio, base, "hello") == "base heard at 0.0 <user: hello>"


def test_a_worker_that_died_while_nobody_asked_is_replaced_unseen(studio):
    base = base_model(studio)
    ask(studio, base, "hello")
    os.kill(starts(studio, base)[0], signal.SIGKILL)
    assert ask(studio, base, "hello") == "base heard at 0.0 <user: hello>"


def test_a_worker_that_cannot_start_says_its_last_words(studio):
    base = base_model(studio)
    (studio.data.base_model("tiny").path / "broken").touch()
    with pytest.raises(Unavailable, match=r"exit code 3.*the weights are broken"):
        ask(studio, base, "hello")


def test_a_base_model_that_cannot_be_loaded_says_why_to_everybody_who_asks(studio):
    base = base_model(studio)
    (studio.data.base_model("tiny").path / "unknown").touch()
    for _ in range(2):
        with pytest.raises(BadInput, match="of an unknown kind. Choose another one."):
            ask(studio, base, "hello")
    assert len(starts(studio, base)) == 1


def test_what_the_worker_refuses_arrives_as_its_error(studio):
    with pytest.raises(BadInput) as refused:
        ask(studio, base_model(studio), "refuse")
    assert (refused.value.problem, refused.value.fix, refused.value.field) == (
        "This cannot be answered.",
        "Ask something else.",
        "messages",
    )


def test_closing_the_stream_cancels_the_answer(studio):
    base = base_model(studio)

    async def listen_a_little():
        events = chat.answer(studio, base, question("slowly"))
        async for event in events:
            if event.get("text"):
                break
        await events.aclose()

    finished(listen_a_little())
    assert eventually((studio.data.base_model("tiny").path / "cancelled").exists)


def test_it_ends_by_itself_when_nobody_asks_for_long(tmp_path):
    studio = Studio.open(StudioSettings(data_folder=tmp_path / "data", device="cpu", chat_idle_seconds=3))
    base = base_model(studio)
    ask(studio, base, "hello")
    assert eventually(lambda: chat.worker_state(studio)["state"] == "absent")
    assert not chat.socket_path(studio).exists()
    assert ask(studio, base, "hello")
    chat.stop_worker(studio)
    studio.database.close()


def test_a_data_folder_with_a_long_path_gets_a_socket_elsewhere(tmp_path):
    studio = Studio.open(StudioSettings(data_folder=tmp_path / ("long" * 20) / ("path" * 20), device="cpu"))
    assert len(str(chat.socket_path(studio))) < 100
    assert ask(studio, base_model(studio), "hello")
    chat.stop_worker(studio)
    studio.database.close()


def test_a_foreign_process_with_the_workers_number_is_left_alone(studio):
    base = base_model(studio)
    write_json(studio.data.chat.create().worker, {"pid": os.getpid(), "holds": [base.id, base.fingerprint, None]})
    assert chat.worker_state(studio)["state"] == "absent"
    assert ask(studio, base, "hello")
    assert read_json(studio.data.chat.worker)["pid"] != os.getpid()


def test_one_column_is_stopped_by_whoever_asked_it_alone():
    inbox, question = Inbox(), Question([{}, {}], tell=lambda event: None, id="asked", owner="local")
    inbox.ask(question)
    inbox.stop_column("asked", "local", 1)
    assert inbox.stops.get() == (question, 1)
    for id, owner, column in (("asked", "ann", 1), ("other", "local", 1), ("asked", "local", 2), ("", "", 0)):
        with pytest.raises(Conflict):
            inbox.stop_column(id, owner, column)
    question.ended_columns.add(1)
    with pytest.raises(Conflict):
        inbox.stop_column("asked", "local", 1)
