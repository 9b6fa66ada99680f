"""Room on the disk: which checkpoints go and which never do, what the page and the API say of it, and logs that begin anew."""

import logging
from datetime import timedelta

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from studio import runs
from studio.files import write_json
from studio.logs import keep_log
from studio.pages import space as page
from studio.records import Comparison, Run, Status, utc_now
from studio.settings import StudioSettings
from studio.space import overview, retention
from studio.space.overview import space
from studio.studio import Studio
from studio.web import build_app
from tests.fence import fence
from tests.healthy_studio import healthy_studio, leave_run

DAY = timedelta(days=1)


@pytest.fixture
def place(tmp_path):
    opened = healthy_studio(tmp_path / "data")
    yield opened
    opened.database.close()


def keeping(place, days=30.0, runs=0) -> Studio:
    settings = StudioSettings(
        data_folder=place.settings.data_folder, keep_checkpoints_days=days, keep_checkpoints_runs=runs
    )
    return Studio(settings, place.database, place.data)


def ended(place, id, days_ago, state=Status.SUCCEEDED, steps=(2, 4, 8), **columns):
    known = runs.get_run(place, "done")
    leave_run(
        place, id, state, known.base_model, known.dataset, steps, **{"ended_at": utc_now() - days_ago * DAY, **columns}
    )


def kept(place, run):
    return sorted(int(folder.path.name[5:]) for folder in retention.checkpoints_of(place, run))


def tidy(place):
    with fence(place.data.path):
        return retention.let_go(place, retention.spare(place))


@pytest.mark.parametrize("state", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_checkpoints_go_some_days_after_the_end_of_their_run_and_its_history_says_so(place, state):
    ended(place, "old", 31, state)
    ended(place, "young", 29, state)
    freed = tidy(keeping(place))
    assert freed >= 3 * 3 * 4000
    assert (kept(place, "old"), kept(place, "young"), kept(place, "done"), kept(place, "paused")) == (
        [],
        [2, 4, 8],
        [4, 8],
        [4, 8],
    )
    [event] = runs.events(place, "old")
    assert "its checkpoints of the steps 2, 4, 8 were deleted: 0.00 GiB." in event.text
    assert not list(place.data.run("old").path.rglob(".aside-*"))
    assert tidy(keeping(place)) == 0
    assert len(runs.events(place, "old")) == 1


def test_the_newest_runs_of_each_person_keep_their_best_and_last(place):
    for number, id in enumerate(("a", "b", "c")):
        ended(place, id, 40 + number)
    write_json(place.data.run("a").attempt(1).result, {"best_step": 4})
    write_json(place.data.run("b").attempt(1).result, {"best_step": 99})
    tidy(keeping(place, runs=3))  # `done` is the newest of all
    assert (kept(place, "a"), kept(place, "b"), kept(place, "c")) == ([4, 8], [8], [])


def test_what_a_comparison_asks_stays_and_what_is_open_is_never_looked_at(place):
    ended(place, "old", 400)
    known = runs.get_run(place, "done")
    columns = [{"adapter": None}, {"checkpoint": {"run": "old", "step": 4}}, {"checkpoint": {"run": "gone", "step": 1}}]
    with place.database.write() as session:
        session.add(Comparison(base_model=known.base_model, request={"columns": columns}))
        session.get(Run, "paused").ended_at = utc_now() - 400 * DAY
    assert tidy(keeping(place, days=0)) > 0
    assert (kept(place, "old"), kept(place, "paused")) == ([4], [4, 8])


def test_a_checkpoint_that_has_another_name_frees_no_room_and_one_behind_a_link_stays(place, tmp_path):
    ended(place, "old", 400, steps=(4,))
    ended(place, "linked", 400, steps=())
    [folder] = retention.checkpoints_of(place, "old")
    (tmp_path / "twin").hardlink_to(folder.path / "optimizer.safetensors")
    [spare] = [each for each in retention.spare(keeping(place)) if each.run.id == "old"]
    assert 0 < spare.bytes < sum(path.stat().st_blocks * 512 for path in folder.path.rglob("*") if path.is_file())
    (tmp_path / "elsewhere" / "step-4").mkdir(parents=True)
    place.data.run("linked").attempt(1).checkpoints.symlink_to(tmp_path / "elsewhere")
    tidy(keeping(place))
    assert (tmp_path / "elsewhere" / "step-4").exists()


def test_room_is_told_by_kind_each_file_once_and_freed_on_demand(place):
    ended(place, "new", 0)
    encoded = next((place.data.path / "datasets").iterdir()) / "encoded-abc"
    encoded.mkdir()
    (encoded / "rows").write_bytes(b"x" * 50_000)
    (place.data.adapter("done").path / "again").hardlink_to(place.data.adapter("done").weights)
    found = space(place)
    kinds = {kind.name: kind for kind in found.kinds}
    assert kinds["datasets"].spare_bytes >= 50_000
    assert kinds["checkpoints"].bytes >= kinds["checkpoints"].spare_bytes > 0
    assert found.used_bytes == sum(kind.bytes for kind in found.kinds)
    with fence(place.data.path):
        assert overview.free(place, "encoded") >= 50_000
        assert overview.free(keeping(place), "checkpoints") > 0
    assert not encoded.exists()
    assert (kept(place, "new"), kept(place, "done"), kept(place, "paused")) == ([], [], [4, 8])


def test_rows_that_a_run_learns_from_now_stay(place):
    encoded = next((place.data.path / "datasets").iterdir()) / "encoded-abc"
    encoded.mkdir()
    (encoded / "rows").write_bytes(b"x" * 50_000)
    with place.database.write() as session:
        session.get(Run, "paused").state = Status.RUNNING
    assert overview.free(place, "encoded") == 0
    assert encoded.exists()


def test_the_api_tells_and_frees_and_refuses_what_never_can(place):
    client = TestClient(build_app(place), base_url="http://127.0.0.1:7860")
    told = client.get("/api/v1/space").json()
    assert {"name", "title", "words", "bytes", "spare_bytes"} == set(told["kinds"][0])
    assert client.post("/api/v1/space/free", json={"what": "encoded"}).json() == {"freed_bytes": 0}
    assert client.post("/api/v1/space/free", json={"what": "adapters"}).status_code == 422


def test_the_page_asks_before_it_frees_and_says_what_came_free(place):
    ended(place, "old", 400)
    drawn = page.drawn(place, space(place))
    assert "Checkpoints of runs" in drawn
    assert "data-confirm=" in drawn
    said, after = page.act(keeping(place), gr.EventData(None, {"act": "free", "id": "checkpoints"}))
    assert "are free again" in said
    assert 'data-id="checkpoints"' not in after
    assert "nothing can be freed" in page.act(place, gr.EventData(None, {"act": "free", "id": "../.."}))[0]
    assert page.act(place, gr.EventData(None, {"act": "delete everything", "id": "x"}))[0] == ""


def test_the_log_of_a_process_begins_anew_at_its_size_and_keeps_some_older_ones(tmp_path):
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    settings = StudioSettings(data_folder=tmp_path, log_mb=0.002, log_files=2)
    try:
        keep_log(settings, "runner")
        for number in range(200):
            logging.getLogger("studio.test").warning("line %d", number)
        found = sorted(path.name for path in (tmp_path / "logs").iterdir())
        assert found == ["runner.log", "runner.log.1", "runner.log.2"]
        assert all(path.stat().st_size <= 2000 for path in (tmp_path / "logs").iterdir())
        assert "line 199" in (tmp_path / "logs" / "runner.log").read_text()
    finally:
        for handler in [each for each in root.handlers if each not in before]:
            root.removeHandler(handler)
            handler.close()
