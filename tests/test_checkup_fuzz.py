"""The doctor meets a folder damaged at random: it never breaks, a second call finds nothing to mend, good runs and people's files stay."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from jobs.checkup.command import check_up
from jobs.checkup.finding import ASIDE
from studio.database import Database
from studio.settings import StudioSettings
from tests.fence import fence
from tests.healthy_studio import files_below, healthy_studio

WRONG_ROWS = (
    "UPDATE devices SET run_id = 'done', epoch = 3",
    "UPDATE devices SET run_id = 'paused', epoch = 3",
    "UPDATE runs SET runner = 'r', pid = 1, pid_start = 2.0, boot_id = 'b'",
    "UPDATE runs SET state = 'running', runner = 'r' WHERE id = 'paused'",
    "UPDATE runs SET state = 'cancelling', want = 'cancel' WHERE id = 'paused'",
    "UPDATE runs SET state = 'pausing', want = 'stop' WHERE id = 'waits'",
    "UPDATE runs SET attempt_epoch = 0 WHERE id = 'paused'",
    "DELETE FROM adapters",
    "DELETE FROM runs WHERE id = 'waits'",
    "DELETE FROM dataset_versions",
    "UPDATE base_models SET state = 'downloading'",
)
JUNK = (
    "lost",
    ".half",
    "step-3",
    "step-x",
    ".tmp-9-ab",
    "attempt-5",
    "attempt-x",
    "ünïcode\n",
    ".f.json.0a1b2c3d",
    "files",
    "versions",
)
ACTS = st.sampled_from(("delete", "empty", "flip", "folder", "file", "link", "pipe", "open", "swap", "relink"))
DAMAGE = st.lists(st.tuples(ACTS, st.integers(0, 10**6), st.sampled_from(JUNK)), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    before = os.umask(0o077)
    folder = tmp_path_factory.mktemp("healthy") / "data"
    healthy_studio(folder).database.close()
    yield folder
    os.umask(before)


# Only ever a decoy beside the data folder: what a link leads to is looked at after the doctor was there.
ELSEWHERE = (
    "ours/kept.txt",
    ".tmp-1-ab/kept.txt",
    "step-3/kept.txt",
    "7/kept.txt",
    "checkpoints/step-1/kept.txt",
    "files/a.json.0a1b2c3d",
    ".x.0a1b2c3d",
)


def decoy(place: Path) -> None:
    for name in ELSEWHERE:
        (place / "elsewhere" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "elsewhere" / name).write_text("not the studio's")
        (place / "elsewhere" / name).chmod(0o644)


def harm(data: Path, act: str, number: int, junk: str) -> None:
    """One thing that a crash, a full disk or a person does to a folder; never to the run that is good."""
    ours = [
        path for path in sorted(data.rglob("*")) if not path.is_symlink() and not {"done", "models"} & set(path.parts)
    ]
    paths = [path for path in ours if path.is_file() != (act == "folder") and not path.name.startswith("studio.sqlite")]
    if act == "relink":  # a folder of ours becomes a link to somebody else's
        folders = [path for path in ours if path.is_dir() and not (path / "done").exists()]
        chosen = folders[number % len(folders)]
        shutil.rmtree(chosen)
        chosen.symlink_to(data.parent / "elsewhere")
        return
    if not paths:
        return
    path = paths[number % len(paths)]
    folder = path if path.is_dir() else path.parent
    new = folder / junk
    if act == "delete":
        path.unlink()
    elif act == "empty":
        path.write_bytes(b"")
    elif act == "flip":
        path.write_bytes(path.read_bytes()[::-1] + b"\xff{[")
    elif act == "open":
        path.chmod(0o666)
    elif act == "swap":  # a file where a folder stood
        path.unlink()
        path.mkdir()
    elif not os.path.lexists(new):
        {
            "folder": new.mkdir,
            "file": lambda: new.write_text("a person's"),
            "link": lambda: new.symlink_to(data.parent / "elsewhere"),
            "pipe": lambda: os.mkfifo(new),
        }[act]()


@settings(max_examples=25, deadline=None, phases=(Phase.reuse, Phase.generate), suppress_health_check=list(HealthCheck))
@given(damage=DAMAGE, rows=st.lists(st.sampled_from(WRONG_ROWS), max_size=3), quick=st.booleans())
def test_however_a_studio_is_damaged_the_doctor_mends_it_once_and_leaves_what_is_good(template, damage, rows, quick):
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        shutil.copytree(template, data, symlinks=True)
        decoy(Path(place))
        database = Database(f"sqlite:///{data / 'studio.sqlite'}")
        with database.write() as session:
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            for row in rows:
                session.execute(text(row))
        with fence(Path(place)):  # a bug must not cost more than the test
            for act, number, junk in damage:
                harm(data, act, number, junk)
            database.close()
            before = files_below(data)
            with fence(data):
                first = check_up(StudioSettings(data_folder=data), quick=quick)
                second = check_up(StudioSettings(data_folder=data), quick=quick)
        broken = [str(found) for found in (*first, *second) if "could not be" in str(found)]
        assert not broken
        assert [str(found) for found in second if found.mended] == []
        assert [str(found) for found in first if not found.mended] == [str(found) for found in second]
        assert sorted(files_below(Path(place) / "elsewhere")) == sorted(ELSEWHERE)
        assert {(Path(place) / "elsewhere" / name).stat().st_mode & 0o777 for name in ELSEWHERE} == {0o644}
        after = files_below(data)
        good = {name: held for name, held in before.items() if name.startswith("runs/done/")}
        assert good.items() <= after.items()
        aside = {held for name, held in after.items() if name.startswith(ASIDE)}
        for name, held in before.items():
            if held == b"a person's" and ".tmp-" not in name and not Path(name).name.startswith("."):
                assert after.get(name) == held or held in aside
