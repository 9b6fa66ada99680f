"""Limits: how many runs may be open, in all and of one person, and how full the disk and the data folder may be."""

import pytest

from studio import datasets, limits
from studio.errors import Conflict, TooMany
from studio.limits import check_open_runs, check_room
from studio.records import Person, Status
from studio.settings import StudioSettings
from studio.space import usage
from studio.studio import Studio
from tests.queueing import queued


def limited(studio, **settings) -> Studio:
    return Studio(StudioSettings(data_folder=studio.settings.data_folder, **settings), studio.database, studio.data)


def two_people(studio):
    with studio.database.write() as session:
        session.add(Person(id="ann", name="Ann"))


@pytest.mark.parametrize(
    ("setting", "states", "refused", "allowed"),
    [
        ("max_open_runs", (Status.PAUSED, Status.RUNNING), ("local", "ann"), ()),
        ("max_open_runs_per_person", (Status.PAUSED, Status.RUNNING), ("local",), ("ann",)),
        ("max_waiting_runs", (Status.QUEUED, Status.RETRY_WAIT), ("local", "ann"), ()),
        ("max_waiting_runs_per_person", (Status.QUEUED, Status.RETRY_WAIT), ("local",), ("ann",)),
        ("max_waiting_runs", (Status.PAUSED, Status.RUNNING), (), ("local", "ann")),
    ],
)
def test_each_limit_counts_its_own_runs_and_says_its_number_and_its_option(studio, setting, states, refused, allowed):
    two_people(studio)
    for state in states:
        queued(studio, state=state)
    queued(studio, state=Status.SUCCEEDED)
    few = limited(studio, **{setting: 2})
    with few.database.write() as session:
        for owner in refused:
            with pytest.raises(TooMany, match="^2 runs .* 2 are allowed") as error:
                check_open_runs(few, session, owner)
            assert "--" + setting.replace("_", "-") in error.value.fix
        for owner in allowed:
            check_open_runs(few, session, owner)


def on_a_disk(monkeypatch, total_gib: float, free_gib: float):
    disk = type("Disk", (), {"total": total_gib * 2**30, "free": free_gib * 2**30})()
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda _: disk)


@pytest.mark.parametrize(
    ("total", "free", "needed", "wanted"),
    [(10, 0.4, 0, "0.5"), (1000, 1.9, 0, "2.0"), (1000, 30, 40, "40.0"), (1000, 2.1, 0, None), (10, 0.6, 0, None)],
)
def test_a_disk_is_full_below_the_smaller_of_a_share_and_an_amount_or_without_room_for_what_comes(
    studio, monkeypatch, total, free, needed, wanted
):
    on_a_disk(monkeypatch, total, free)
    if wanted is None:
        check_room(studio, needed * 2**30)
        return
    with pytest.raises(Conflict, match=rf"only {free:.1f} GiB free, and {wanted} GiB are wanted") as error:
        check_room(studio, needed * 2**30)
    assert "Disk space" in error.value.fix


def test_the_data_folder_may_have_a_limit_and_an_upload_beyond_it_leaves_nothing(studio, tmp_path):
    (studio.data.path / "datasets" / "big").write_bytes(b"x" * 3_000_000)
    small = limited(studio, max_data_gb=0.002)
    usage.forget(studio)
    with pytest.raises(Conflict, match=r"The data folder holds 0\.0 GiB, and 0\.002 GiB are allowed"):
        check_room(small)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"instruction": "a", "output": "b"}\n')
    with pytest.raises(Conflict, match="--max-data-gb"):
        datasets.add_upload(small, file, "rows.jsonl", "Rows")
    assert list(studio.data.incoming.iterdir()) == []


def test_a_file_with_two_names_takes_its_room_once_and_frees_it_only_with_the_last(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "b").hardlink_to(tmp_path / "a" / "file")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert 100_000 <= usage.size_on_disk(tmp_path) < 200_000
    assert usage.freed_by(tmp_path / "a") == 0
    (tmp_path / "b").unlink()
    assert usage.freed_by(tmp_path / "a") >= 100_000
