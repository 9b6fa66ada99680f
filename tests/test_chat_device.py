"""The chat worker leases its device like a run: it gives way when it is idle, and a question waits in one line with the runs."""

import asyncio
from contextlib import aclosing

import psutil
import pytest
from sqlalchemy import select

from studio import chat, chat_device, run_queue
from studio.line.devices import see_devices
from studio.records import ChatWait, Device, Run, Status
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.coroutines import finished
from tests.queueing import holders, queued
from tests.test_chat import ask, base_model, eventually, question

GIB = 2**30


@pytest.fixture(autouse=True)
def stub_worker(monkeypatch):
    monkeypatch.setattr(chat, "MODULE", "tests.stub_chat_worker")
    monkeypatch.setattr(chat, "LOOK_AGAIN_SECONDS", 0.05)


@pytest.fixture
def studio(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "data"))
    see_devices(opened, [("cuda:0", "A100", 40 * GIB, "GPU-a")])
    yield opened
    chat.stop_worker(opened)
    opened.database.close()


def lease(studio) -> str | None:
    with studio.database.read() as session:
        return session.scalar(select(Device.chat).where(Device.id == "cuda:0"))


def waits(studio) -> int:
    with studio.database.read() as session:
        return len(session.scalars(select(ChatWait)).all())


def claim(studio) -> str | None:
    found = run_queue.claim_next(studio, "runner", ["cuda:0"])
    return found and found[0].name


def make_way(studio) -> None:
    """What the runner does at each tick while the chat has a device."""
    chat.make_way(studio, run_queue.wants_chat_to_leave(studio, ["cuda:0"]))


def given_back(studio) -> bool:
    return eventually(lambda: make_way(studio) or lease(studio) is None)


def test_the_worker_sees_the_device_that_it_has_leased_and_no_run_starts_there(studio):
    ask(studio, base_model(studio), "hello")
    assert lease(studio)
    pid = chat.worker_state(studio)["pid"]
    assert psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    queued(studio, "waits")
    assert claim(studio) is None
    chat.stop_worker(studio)
    assert lease(studio) is None
    assert claim(studio) == "waits"


def test_an_idle_worker_goes_when_a_run_waits_for_its_device(studio):
    ask(studio, base_model(studio), "hello")
    make_way(studio)
    assert chat.worker_state(studio)["state"] == "ready"  # nobody wants its device
    queued(studio, "waits")
    assert claim(studio) is None
    assert given_back(studio)
    assert claim(studio) == "waits"
    assert chat.worker_state(studio)["state"] == "absent"


def test_a_run_waits_until_the_answer_is_written_and_the_next_question_waits_for_the_run(studio):
    base = base_model(studio)
    heard = []

    async def story():
        async with aclosing(chat.answer(studio, base, question("slowly"))) as answer:
            assert "text" in await anext(answer)
            run = queued(studio, "waits")
            await asyncio.to_thread(claim, studio)
            await asyncio.to_thread(make_way, studio)
            assert "text" in await anext(answer)  # it goes on with its answer
            second = asyncio.create_task(listen())
            while not waits(studio):
                await asyncio.sleep(0.02)
            assert chat.worker_state(studio)["state"] == "answering"
        assert await asyncio.to_thread(given_back, studio)
        claimed, _ = run_queue.claim_next(studio, "runner", ["cuda:0"])
        assert claimed.id == run.id  # though somebody waits to ask: the run waited first
        while "The devices train now ('waits')" not in heard[-1].get("notice", ""):
            await asyncio.sleep(0.02)
        run_queue.settle(studio, claimed, Status.FAILED, "over")
        await second

    async def listen():
        async with aclosing(chat.answer(studio, base, question("again"))) as answer:
            async for event in answer:
                heard.append(event)  # noqa: PERF401 (it is looked at while it grows)

    finished(story())
    assert "A run waits for the device" in heard[0]["notice"]
    assert any("('waits'), so the question waits in line: how long is not" in each.get("notice", "") for each in heard)
    assert "again" in "".join(event.get("text", "") for event in heard)
    assert waits(studio) == 0


def test_whoever_asks_while_the_only_device_trains_is_told_about_how_long(studio):
    queued(studio, "Pirate talk")
    claim(studio)
    with studio.database.write() as session:
        session.scalar(select(Run)).seconds_left = 830.0

    async def first_event():
        async with aclosing(chat.answer(studio, base_model(studio), question("hello"))) as answer:
            return await anext(answer)

    said = finished(first_event())["notice"]
    assert "('Pirate talk')" in said
    assert "about 14 min" in said
    assert waits(studio) == 0  # whoever does not wait any more does not stand in the line
    assert list(holders(studio).values()) != [None]


def test_a_question_that_waits_goes_before_a_run_that_came_later_and_after_one_that_came_before(studio):
    queued(studio, "before")
    with pytest.raises(chat_device.DeviceBusy, match="waits in line"):
        chat_device.take(studio)
    wait = chat_device.stand_in_line(studio)
    queued(studio, "later")
    claimed, _ = run_queue.claim_next(studio, "runner", ["cuda:0"])
    assert claimed.name == "before"
    run_queue.settle(studio, claimed, Status.FAILED, "over")
    assert claim(studio) is None  # the device is the question's
    assert chat_device.take(studio, wait.since).environment["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    chat_device.leave_line(studio, wait)
    chat_device.release(studio)
    assert claim(studio) == "later"


def test_a_lease_whose_worker_never_came_or_was_killed_is_given_back(studio):
    chat_device.take(studio)
    make_way(studio)
    assert lease(studio) is None
    ask(studio, base_model(studio), "hello")
    psutil.Process(chat.worker_state(studio)["pid"]).kill()
    assert given_back(studio)


def test_on_a_cpu_the_chat_takes_no_slot_from_the_training_beside_it(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "laptop", device="cpu"))
    see_devices(opened, [("cpu", "a CPU", 16 * GIB)])
    queued(opened, "trains")
    assert run_queue.claim_next(opened, "runner", ["cpu"])
    assert chat_device.take(opened).environment == {"CUDA_VISIBLE_DEVICES": ""}
    opened.database.close()
