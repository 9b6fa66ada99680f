"""Runs as people see and steer them: what may be queued, found, changed and deleted."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, insert

from studio import admission, base_models, datasets, limits, run_queue, runs
from studio.errors import BadInput, Conflict, DoesNotFit, Invalid, NotFound, TooMany
from studio.files import read_json
from studio.line.places import place_of
from studio.plan import read_plan
from studio.records import LOCAL_PERSON, Adapter, Run, Status, Want, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.model_folders import tiny_llama
from tests.queueing import holders, queued, state_of, with_devices

S = Status
RUN_FOLDERS = "runs"


@pytest.fixture
def plan(studio, tmp_path):
    """A plan that can be queued: a tiny model without torch, and three rows."""
    tiny_llama(studio.settings.models_root / "tiny")
    model = base_models.add_local(studio, "tiny", "Tiny")
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"instruction": f"Say {n}", "output": f"It is {n}."}) + "\n" for n in range(8)))
    dataset = datasets.add_upload(studio, file, "rows.jsonl", "Numbers")
    return read_plan(
        {
            "base_model": model.id,
            "dataset": dataset.id,
            "method": {"name": "lora", "rank": 4, "alpha": 8},
            "tags": ["demo", "é"],
        }
    )


def in_state(studio, state, **columns):
    return queued(studio, state.value, state=state, **columns)


def folders(studio):
    return [path.name for path in (studio.data.path / RUN_FOLDERS).iterdir()]


def test_a_plan_that_can_be_trained_is_frozen_and_waits(studio, plan):
    run = runs.queue_run(studio, plan)
    assert (run.state, run.name, run.method, run.tags) == (S.QUEUED, "Numbers on Tiny", "lora", ["demo", "é"])
    folder = studio.data.run(run.id)
    assert runs.plan_of(studio, run.id) == plan.model_copy(update={"name": "Numbers on Tiny", "dataset_version": 1})
    assert read_json(folder.resolved)["steps"] == run.steps > 0
    assert read_json(folder.origin)["base_model"]["name"] == "Tiny"
    assert [(event.to_state, event.text) for event in runs.events(studio, run.id)] == [
        ("queued", "Waiting for a device.")
    ]


def test_the_same_submit_twice_is_one_run(studio, plan):
    with ThreadPoolExecutor(4) as people:
        found = list(people.map(lambda _: runs.queue_run(studio, plan, idempotency_key="k1").id, range(4)))
    assert len(set(found)) == 1
    assert folders(studio) == [found[0]]
    with pytest.raises(Conflict, match="used for another plan"):
        runs.queue_run(studio, plan.model_copy(update={"notes": "other"}), idempotency_key="k1")
    assert runs.queue_run(studio, plan, idempotency_key="k2").id != found[0]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"base_model": "nosuch"}, NotFound, "no base model"),
        ({"dataset": "nosuch"}, NotFound, "no data set"),
        ({"method": {"name": "lora", "rank": 4, "targets": ["nosuch"]}}, Invalid, "nosuch"),
        ({"method": {"name": "lora", "rank": 999}}, Invalid, "999"),
        ({"resources": {"gpus": 2}}, Invalid, "2 devices"),
    ],
)
def test_what_cannot_be_trained_never_waits(studio, plan, change, error, words):
    with pytest.raises(error, match=words):
        runs.queue_run(studio, read_plan({**plan.model_dump(mode="json"), **change}))
    assert folders(studio) == []
    assert runs.count_by_state(studio)[S.QUEUED] == 0


def test_a_model_without_a_template_needs_one_first(studio, plan):
    tiny_llama(studio.settings.models_root / "bare", template=None)
    bare = base_models.add_local(studio, "bare")
    with pytest.raises(Conflict, match="no chat template"):
        runs.queue_run(studio, plan.model_copy(update={"base_model": bare.id}))


def test_a_plan_that_does_not_fit_says_both_numbers(studio, plan, monkeypatch):
    real = admission.estimate
    monkeypatch.setattr(
        admission,
        "estimate",
        lambda *given: real(*given).model_copy(
            update={"fits": "no", "total_bytes": 9 * 2**30, "device_bytes": 4 * 2**30}
        ),
    )
    with pytest.raises(DoesNotFit, match=r"9.0 GiB of memory and 4.0 GiB is free"):
        runs.queue_run(studio, plan)


def test_nothing_is_queued_on_a_full_disk(studio, plan, monkeypatch):
    monkeypatch.setattr(
        limits.shutil, "disk_usage", lambda _: type("Disk", (), {"total": 100 * 2**30, "free": 2**30})()
    )
    with pytest.raises(Conflict, match="only 1.0 GiB free, and 2.0 GiB are wanted"):
        runs.queue_run(studio, plan)


def test_the_number_of_open_runs_is_limited(studio, plan):
    few = Studio(StudioSettings(data_folder=studio.settings.data_folder, max_open_runs=2), studio.database, studio.data)
    first = runs.queue_run(few, plan)
    runs.queue_run(few, plan)
    with pytest.raises(TooMany, match="2 runs wait, train or are paused already, and 2 are allowed"):
        runs.queue_run(few, plan)
    assert len(folders(studio)) == 2
    runs.cancel_run(few, first.id)
    assert runs.queue_run(few, plan).state is S.QUEUED


# What each wish does in each state: the state it leads to, or None where it is refused.
WISHES = {
    runs.cancel_run: {
        S.QUEUED: S.CANCELLED, S.RETRY_WAIT: S.CANCELLED, S.PAUSED: S.CANCELLED, S.STARTING: S.CANCELLING, S.RUNNING: S.CANCELLING, S.PAUSING: S.CANCELLING,
        S.CANCELLING: S.CANCELLING, S.CANCELLED: S.CANCELLED, S.SUCCEEDED: None, S.FAILED: None,
    },
    runs.pause_run: {
        S.QUEUED: S.PAUSED, S.RETRY_WAIT: S.PAUSED, S.PAUSED: S.PAUSED, S.STARTING: S.PAUSING, S.RUNNING: S.PAUSING, S.PAUSING: None,
        S.CANCELLING: None, S.CANCELLED: None, S.SUCCEEDED: None, S.FAILED: None,
    },
    runs.stop_run: {
        S.QUEUED: None, S.RETRY_WAIT: None, S.PAUSED: None, S.STARTING: S.PAUSING, S.RUNNING: S.PAUSING, S.PAUSING: S.PAUSING,
        S.CANCELLING: None, S.CANCELLED: None, S.SUCCEEDED: None, S.FAILED: None,
    },
    runs.resume_run: {
        S.QUEUED: S.QUEUED, S.RETRY_WAIT: S.RETRY_WAIT, S.PAUSED: S.QUEUED, S.STARTING: S.STARTING, S.RUNNING: S.RUNNING, S.PAUSING: None,
        S.CANCELLING: None, S.CANCELLED: None, S.SUCCEEDED: None, S.FAILED: None,
    },
}  # fmt: skip


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.__name__)
def test_every_wish_in_every_state_leads_on_or_says_why_not(studio, wish):
    for state, to in WISHES[wish].items():
        run = in_state(studio, state)
        if to is None:
            with pytest.raises(Conflict) as refused:
                wish(studio, run.id)
            assert refused.value.fix
        else:
            assert wish(studio, run.id).state is to
        assert state_of(studio, run) is (to or state)
        assert len(runs.events(studio, run.id)) == (1 if to in (None, state) else 2)


def test_fifty_cancels_at_once_are_one(studio):
    run = in_state(studio, S.RUNNING)
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda _: runs.cancel_run(studio, run.id), range(50)))
    assert [event.to_state for event in runs.events(studio, run.id)] == ["running", "cancelling"]
    assert runs.get_run(studio, run.id).want is Want.CANCEL


def test_a_run_that_is_stopped_cannot_be_paused_and_the_other_way_round(studio):
    stopped, paused = in_state(studio, S.RUNNING), in_state(studio, S.RUNNING)
    runs.stop_run(studio, stopped.id)
    runs.pause_run(studio, paused.id)
    with pytest.raises(Conflict):
        runs.pause_run(studio, stopped.id)
    with pytest.raises(Conflict, match="saving a checkpoint"):
        runs.stop_run(studio, paused.id)


@pytest.mark.parametrize(("state", "way_out"), [(S.QUEUED, "let it start first"), (S.PAUSED, "resume it first")])
def test_a_run_that_trains_nothing_cannot_be_stopped_and_is_told_the_way_out(studio, state, way_out):
    run = in_state(studio, state)
    with pytest.raises(Conflict) as refused:
        runs.stop_run(studio, run.id)
    assert way_out in refused.value.fix


def test_a_deleted_run_is_gone_and_its_adapter_stays(studio):
    run = in_state(studio, S.SUCCEEDED)
    with studio.database.write() as session:
        session.add(
            Adapter(id="kept", name="kept", base_model="base", run=run.id, method="lora", size_bytes=1, sha256="0" * 64)
        )
    runs.delete_run(studio, run.id)
    with pytest.raises(NotFound):
        runs.get_run(studio, run.id)
    assert folders(studio) == []
    with studio.database.read() as session:
        assert session.get(Adapter, "kept").run is None


def test_an_open_run_is_not_deleted(studio):
    run = in_state(studio, S.PAUSED)
    with pytest.raises(Conflict, match="is paused"):
        runs.delete_run(studio, run.id)
    assert folders(studio) == [run.id]


def test_a_name_is_cleaned_and_never_empty(studio):
    run = queued(studio)
    assert runs.rename_run(studio, run.id, " 海賊 \u202etxt\n<b>").name == "海賊 txt <b>"
    for name in ("", "\u202e", "x" * 101):
        with pytest.raises(Invalid):
            runs.rename_run(studio, run.id, name)


@pytest.mark.parametrize("id", ["nosuch", "", "../../etc", "a\0b", "x" * 4000])
def test_what_is_not_there_is_not_found(studio, id):
    for ask in (
        runs.get_run,
        runs.events,
        runs.cancel_run,
        runs.plan_of,
        runs.delete_run,
        runs.result_of,
        runs.clone_values,
    ):
        with pytest.raises(NotFound):
            ask(studio, id)


def test_runs_are_found_by_every_word_in_names_notes_tags_model_and_data(studio):
    pirate = queued(studio, "Pirate 100%", tags=["démo", "ü"], notes="for the fair")
    other = queued(studio, "Orders_1", owner=LOCAL_PERSON)

    def found(q="", **filters):
        return [run.id for run in runs.list_runs(studio, q, **filters).items]

    assert set(found("pirate")) == {pirate.id, other.id}  # the data of both is called Pirate talk
    assert found("100%") == [pirate.id]
    assert found("%") == [pirate.id]
    assert found("_1") == [other.id]
    assert found("FAIR pirate") == [pirate.id]
    assert found("démo") == [pirate.id]
    assert found("small orders") == [other.id]
    assert found(pirate.id) == [pirate.id]
    assert found(tag="ü") == [pirate.id]
    assert found(tag="dém") == []
    assert found("nosuch") == []
    assert set(found(base_model="base", dataset="rows", method="lora")) == {pirate.id, other.id}
    assert found(states=(S.RUNNING,)) == []


def test_runs_are_sorted_by_what_a_person_asks_for(studio):
    now = utc_now()
    made = {
        "b": queued(studio, "b", queued_at=now - timedelta(3), heldout_loss=2.0, state=S.SUCCEEDED),
        "a": queued(studio, "a", queued_at=now - timedelta(2), heldout_loss=None, state=S.RUNNING),
        "C": queued(studio, "C", queued_at=now - timedelta(1), heldout_loss=1.0, state=S.FAILED),
    }

    def order(sort):
        return "".join(run.name for run in runs.list_runs(studio, sort=sort).items)

    assert [order(sort) for sort in ("newest", "oldest", "name", "loss", "state")] == [
        "Cab",
        "baC",
        "abC",
        "Cba",
        "aCb",
    ]
    assert len(made) == 3
    with pytest.raises(Invalid, match="cannot be sorted by 'colour'"):
        order("colour")


def test_a_list_goes_on_from_its_cursor(studio):
    ids = {queued(studio, f"run {number}").id for number in range(5)}
    first = runs.list_runs(studio, limit=2)
    second = runs.list_runs(studio, limit=2, cursor=first.next)
    third = runs.list_runs(studio, limit=2, cursor=second.next)
    assert {run.id for part in (first, second, third) for run in part.items} == ids
    assert third.next is None
    with pytest.raises(Invalid):
        runs.list_runs(studio, cursor="nonsense")


def test_a_list_of_many_runs_takes_a_few_queries(studio):
    first = queued(studio)
    rows = [
        {"id": f"r{number}", "name": f"run {number}", "base_model": "base", "dataset": "rows", "method": "lora"}
        for number in range(10_000)
    ]
    with studio.database.write() as session:
        session.execute(insert(Run), rows)
    counted = []
    event.listen(studio.database._reading, "before_cursor_execute", lambda *given: counted.append(given[2]))
    found = runs.list_runs(studio, "run", limit=200)
    shown = runs.shown_all(studio, found.items)
    assert len(shown) == 200
    assert len(counted) <= 12
    assert {run["dataset_name"] for run in shown} == {"Pirate talk"}
    assert place_of(studio, first.id).number == 1


def test_what_is_shown_of_a_run_is_json(studio):
    with_devices(studio, "cpu")
    first, second = queued(studio, "first", priority=-1), queued(studio, "second")
    shown = runs.shown(studio, first)
    assert json.loads(json.dumps(shown))["state"] == "queued"
    assert (shown["base_model_name"], shown["dataset_name"], shown["rank"], shown["alpha"]) == (
        "Small model",
        "Pirate talk",
        16,
        32,
    )
    assert (shown["queue_position"], runs.shown(studio, second)["queue_position"]) == (2, 1)
    assert (shown["progress"], shown["adapter"]) == (0.0, None)


def test_a_clone_starts_from_the_same_plan_under_a_new_name(studio, plan):
    run = runs.queue_run(studio, plan)
    values = runs.clone_values(studio, run.id)
    assert values["name"] == "Numbers on Tiny (copy)"
    clone = runs.queue_run(studio, read_plan(values), parent=run.id)
    assert (clone.parent, clone.name) == (run.id, "Numbers on Tiny (copy)")
    assert runs.plan_of(studio, clone.id).method == plan.method


def test_a_clone_of_a_renamed_run_has_the_name_that_people_know(studio, plan):
    run = runs.queue_run(studio, plan)
    runs.rename_run(studio, run.id, "Counting")
    assert runs.clone_values(studio, run.id)["name"] == "Counting (copy)"


def test_the_queue_goes_by_priority_then_by_who_has_least_then_by_age(studio):
    from studio.records import Person

    with studio.database.write() as session:
        session.add(Person(id="ann", name="Ann"))
    with_devices(studio, "cuda:0", "cuda:1", "cuda:2", "cuda:3")
    queued(studio, "mine 1")
    queued(studio, "mine 2")
    queued(studio, "ann's", owner="ann")
    queued(studio, "urgent", priority=5)
    devices = list(holders(studio))
    started = [run_queue.claim_next(studio, "runner", devices)[0].name for _ in range(4)]
    assert started == ["urgent", "ann's", "mine 1", "mine 2"]
    assert run_queue.claim_next(studio, "runner", devices) is None


def test_a_run_for_two_devices_is_not_overtaken_for_ever(studio):
    with_devices(studio, "cuda:0", "cuda:1")
    queued(studio, "small 1")
    queued(studio, "large", gpus=2)
    queued(studio, "small 2")
    queued(studio, "impossible", gpus=9, priority=9)
    devices = ["cuda:0", "cuda:1"]
    first, _ = run_queue.claim_next(studio, "runner", devices)
    assert run_queue.claim_next(studio, "runner", devices) is None  # the second device is kept for the large one
    run_queue.settle(studio, first, S.FAILED, "over")
    assert run_queue.claim_next(studio, "runner", devices)[0].name == "large"


def test_a_run_that_waits_to_be_tried_again_waits_as_long_as_it_was_told(studio):
    with_devices(studio, "cpu")
    run = in_state(studio, S.RETRY_WAIT, not_before=utc_now() + timedelta(minutes=1))
    assert run_queue.claim_next(studio, "runner", ["cpu"]) is None
    with studio.database.write() as session:
        session.get(Run, run.id).not_before = utc_now() - timedelta(seconds=1)
    assert run_queue.claim_next(studio, "runner", ["cpu"])[0].id == run.id


def test_the_runner_is_alive_while_it_says_so(studio):
    assert not runs.runner_alive(studio)
    with_devices(studio, "cpu")
    assert runs.runner_alive(studio)
    run_queue.say_goodbye(studio)
    assert not runs.runner_alive(studio)
    run_queue.heartbeat(studio, "runner")
    assert runs.runner_alive(studio)


def test_a_device_that_is_gone_stays_while_a_run_holds_it(studio):
    with_devices(studio, "cuda:0", "cuda:1")
    queued(studio)
    run_queue.claim_next(studio, "runner", ["cuda:0"])
    with_devices(studio, "cpu")
    assert set(holders(studio)) == {"cuda:0", "cpu"}


def test_a_run_that_was_refused_for_its_data_says_so(studio, plan, monkeypatch):
    def refuse(*_):
        raise BadInput("No row is short enough.", "Choose a longer sequence length.")

    monkeypatch.setattr(admission, "estimate", refuse)
    with pytest.raises(BadInput, match="No row is short enough"):
        runs.queue_run(studio, plan)
    assert folders(studio) == []


def test_a_base_that_a_waiting_run_needs_stays_and_says_what_to_do(studio, plan):
    run = runs.queue_run(studio, plan)
    with pytest.raises(Conflict, match="Tiny is needed by runs: Numbers on Tiny. Cancel what still waits"):
        base_models.delete_model(studio, plan.base_model)
    runs.cancel_run(studio, run.id)
    runs.delete_run(studio, run.id)
    base_models.delete_model(studio, plan.base_model)


def test_a_base_that_is_deleted_while_its_run_is_being_checked_is_missed_before_the_run_waits(
    studio, plan, monkeypatch
):
    def deleted_meanwhile(studio, plan):
        found = admission.admitted(studio, plan)
        base_models.delete_model(studio, plan.base_model)
        return found

    monkeypatch.setattr(runs, "admitted", deleted_meanwhile)
    with pytest.raises(NotFound, match="no base model"):
        runs.queue_run(studio, plan)
    assert folders(studio) == []
