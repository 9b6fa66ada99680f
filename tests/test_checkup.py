"""`python app.py doctor`: what a crash or a stray hand leaves is found and mended once, what a person made is never deleted."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import update

import app
from jobs.checkup.command import CLEAN, MENDED, NEEDS_PERSON, at_work, check_up, exit_code, said
from jobs.checkup.finding import ASIDE
from jobs.processes import ATTEMPT_MARK, Identity
from studio.errors import Conflict
from studio.files import write_json
from studio.folders import DataFolder
from studio.records import AdapterJob, Device, JobState, Run, RunEvent, Status, SuiteRun
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.fence import BeyondTheFence, fence
from tests.healthy_studio import files_below, healthy_studio

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def as_the_studio_makes_files():
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy") / "data"
    healthy_studio(folder).database.close()
    return folder


@pytest.fixture
def place(template, tmp_path):
    """A copy of the healthy studio's data folder."""
    shutil.copytree(template, tmp_path / "data", symlinks=True)
    (tmp_path / "data").chmod(0o700)
    return DataFolder(tmp_path / "data")


def settings(place):
    return StudioSettings(data_folder=place.path)


@pytest.fixture
def studio(place):
    opened = Studio.open(settings(place))
    yield opened
    opened.database.close()


def doctor(place, **options):
    with fence(place.path):
        findings = check_up(settings(place), **options)
    return exit_code(findings), "\n".join(said(findings, options.get("dry", False)))


def set_columns(studio, id, **columns):
    with studio.database.write() as session:
        session.execute(update(Run).where(Run.id == id).values(**columns))


def mended_once(place, words, left=CLEAN):
    """A dry run changes nothing and says what would be done; then it is done; then there is nothing more to do."""
    before = files_below(place.path)
    code, text = doctor(place, dry=True)
    assert (code, words in text, "Would be" in text) == (max(MENDED, left), True, True), text
    assert files_below(place.path) == before
    code, text = doctor(place)
    assert (code, words in text) == (max(MENDED, left), True), text
    code, again = doctor(place)
    assert code == left, again
    assert "Mended" not in again
    return text


def test_of_a_healthy_studio_nothing_is_said_and_nothing_changes(place):
    before = files_below(place.path)
    assert doctor(place) == (CLEAN, "All is well: nothing had to be mended.")
    assert files_below(place.path) == before


def test_where_there_is_no_studio_none_is_made(tmp_path):
    code, text = doctor(DataFolder(tmp_path / "nowhere"))
    assert (code, "There is no studio here" in text) == (NEEDS_PERSON, True)
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_database_is_told_and_touched_by_nobody(place):
    file = place.path / "studio.sqlite"
    damaged = bytearray(file.read_bytes())
    damaged[4096:12288] = os.urandom(8192)
    file.write_bytes(damaged)
    code, text = doctor(place)
    assert code == NEEDS_PERSON
    assert "is damaged" in text
    assert "backup" in text
    assert file.read_bytes() == damaged


def test_a_database_of_an_older_studio_is_brought_up_to_date_and_one_of_a_newer_is_left(place):
    with sqlite3.connect(place.path / "studio.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    code, text = doctor(place)
    assert (code, "newer version" in text) == (NEEDS_PERSON, True)


def test_a_device_held_by_a_run_that_is_over_is_freed(place, studio):
    with studio.database.write() as session:
        session.execute(update(Device).values(run_id="done", epoch=1))
    mended_once(place, "CPU is held by the run done")
    with studio.database.read() as session:
        assert session.get(Device, "cpu").run_id is None


def test_a_device_held_by_a_suite_that_nobody_answers_is_freed(place, studio):
    with studio.database.write() as session:
        model = session.get_one(Run, "done").base_model
        session.add(SuiteRun(id="over", name="Suite", sha256="", prompts=1, base_model=model, state=JobState.DONE))
        session.flush()
        session.execute(update(Device).values(suite_run="over"))
    studio.data.suite_run("over").create().path.chmod(0o700)
    mended_once(place, "held by the run of a suite over")


def test_a_run_that_waits_is_let_go_by_the_runner_that_is_no_more(place, studio):
    set_columns(studio, "waits", runner="gone", pid=1, pid_start=2.0, boot_id="b")
    mended_once(place, "still name a runner")
    with studio.database.read() as session:
        assert session.get(Run, "waits").pid is None


def live(studio, process, **columns):
    """The paused run, live again with this process.json."""
    set_columns(studio, "paused", state=Status.RUNNING, runner="r", max_attempts=3, **columns)
    with studio.database.write() as session:
        session.execute(update(Device).values(run_id="paused", epoch=1))
    if process:
        write_json(studio.data.run("paused").attempt(1).process, process)


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ({"pid": os.getpid(), "pid_start": 1.0, "boot_id": "another boot"}, "the machine was restarted"),
        ({"pid": 2**22 + 7, "pid_start": 1.0}, "its supervisor is gone"),
        (None, "no process ever took it"),
    ],
)
def test_a_live_run_whose_process_is_gone_is_settled_as_a_runner_would(place, studio, process, words):
    if process:
        process.setdefault("boot_id", Identity.of(os.getpid()).boot_id)
    live(studio, process)
    mended_once(place, words)
    with studio.database.read() as session:
        assert session.get(Run, "paused").state is Status.RETRY_WAIT
        assert session.get(Device, "cpu").run_id is None
        assert session.query(RunEvent).filter_by(run_id="paused").count() == 1


def test_a_training_that_lives_is_never_touched_and_one_that_outlived_its_supervisor_is_ended(place, studio):
    folder = studio.data.run("paused").attempt(1)
    sleeper = subprocess.Popen(["sleep", "600"], env={**os.environ, ATTEMPT_MARK: str(folder.path.resolve())})
    try:
        me = Identity.of(sleeper.pid)
        live(studio, {"pid": me.pid, "pid_start": me.start, "boot_id": me.boot_id})
        assert doctor(place)[0] == CLEAN
        write_json(folder.process, {"pid": 2**22 + 7, "pid_start": 1.0, "boot_id": me.boot_id})
        assert "its supervisor is gone" in doctor(place)[1]
        assert sleeper.wait(30) == -signal.SIGKILL
    finally:
        sleeper.kill()
        sleeper.wait()


def test_while_a_runner_lives_its_runs_are_its_own(place, studio):
    live(studio, None)
    with FileLock(place.runner_lock):
        assert doctor(place)[0] == CLEAN


@pytest.mark.parametrize("kind", ["runs", "datasets", "adapters", "base_models", "adapter_jobs", "suite_runs"])
def test_a_folder_that_nothing_names_is_set_aside_whole(place, kind):
    lost = place.path / kind / "lost"
    lost.mkdir(mode=0o700)
    (lost / "thesis.txt").write_text("years of work")
    (lost / "thesis.txt").chmod(0o600)
    mended_once(place, f"A folder that nothing in the database names: {kind}/lost.")
    assert not lost.exists()
    [kept] = (place.path / ASIDE).rglob("thesis.txt")
    assert kept.read_text() == "years of work"


LINKED = ("runs", "incoming", "set-aside", "chat/checkpoints", "runs/paused", "runs/paused/attempt-1", "runs/paused/attempt-1/checkpoints", "datasets/{id}/versions",
          "base_models/{id}", "adapter_jobs/over", "runs/lost", "chat")  # fmt: skip


@pytest.mark.parametrize("linked", LINKED)
def test_what_a_link_leads_to_is_somebody_else_s_and_stays_as_it_is(place, studio, tmp_path, linked):
    """A `versions` that was a link once had every folder behind it moved away."""
    with studio.database.write() as session:
        session.add(AdapterJob(id="over", kind="stack", name="Stack", state=JobState.FAILED))
    elsewhere = tmp_path / "elsewhere"
    names = ("ours/thesis", "parents/thesis", "files/a.0a1b2c3d", ".a.0a1b2c3d", ".tmp-1-a/thesis", "step-9/thesis", "checkpoints/.tmp-1/thesis", "log.txt",
             "attempt-7/checkpoints/.tmp-3/thesis", "attempt-1/checkpoints/step-3/thesis", "7/thesis")  # fmt: skip
    for name in names:
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_bytes(b"years of work")
        (elsewhere / name).chmod(0o644)
    with open(elsewhere / "log.txt", "r+b") as log:
        log.truncate(20 << 20)
    before = {path: (path.stat().st_mode, path.stat().st_size) for path in elsewhere.rglob("*")}
    link = place.path / linked.format(
        id=next((place.path / linked.split("/")[0]).iterdir()).name if "{id}" in linked else ""
    )
    if link.is_dir():
        shutil.rmtree(link)
    link.symlink_to(elsewhere)
    (place.path / "datasets" / "lost").mkdir()  # something to be set aside, where that is the link
    doctor(place)
    doctor(place)
    assert {path: (path.stat().st_mode, path.stat().st_size) for path in elsewhere.rglob("*")} == before
    assert link.is_symlink()


def test_the_fence_of_these_tests_holds(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    outside = (tmp_path / "outside" / "file", tmp_path / "inside" / "link" / "file")
    with fence(tmp_path / "inside"):
        for path in outside:
            for change in (
                path.unlink,
                path.touch,
                path.mkdir,
                lambda path=path: shutil.rmtree(path),
                lambda path=path: path.write_text("x"),
            ):
                with pytest.raises(BeyondTheFence):
                    change()
        (tmp_path / "inside" / "file").write_text("x")
        os.rename(tmp_path / "inside" / "file", tmp_path / "inside" / "other")
        with pytest.raises(BeyondTheFence):
            os.rename(tmp_path / "inside" / "other", outside[1])


def test_what_is_just_being_made_is_left_while_the_studio_runs(place):
    (place.path / "datasets" / "lost").mkdir(mode=0o700)
    (place.incoming / "upload").write_text("half")
    (place.incoming / "upload").chmod(0o600)
    held = app.hold_folder(place)
    assert doctor(place)[0] == CLEAN
    os.utime(place.path / "datasets" / "lost", (0, 0))
    assert "datasets/lost" in doctor(place)[1]
    held.close()
    assert "Uploads left on their way in: 1" in doctor(place)[1]


def test_the_studio_does_not_start_while_the_doctor_works_and_says_so(place):
    with at_work(place, hold=True) as found:
        assert found == (False, False)
        with pytest.raises(Conflict, match="The doctor works on"):
            app.hold_folder(place)
    app.hold_folder(place).close()


def test_results_that_are_about_to_be_taken_in_are_no_orphans(place, studio):
    live(studio, {"pid": (me := Identity.of(os.getpid())).pid, "pid_start": me.start, "boot_id": me.boot_id})
    with studio.database.write() as session:
        session.add(AdapterJob(id="merging", kind="merge", name="Merged", state=JobState.RUNNING))
    for path in (
        place.path / "adapters" / "paused",
        place.path / "base_models" / "merging",
        place.path / "adapter_jobs" / "merging",
    ):
        path.mkdir(mode=0o700)
    assert doctor(place)[0] == CLEAN


def test_half_written_checkpoints_go_and_damaged_ones_are_set_aside(place):
    checkpoints = place.run("paused").attempt(1).checkpoints
    shutil.copytree(checkpoints / "step-4", checkpoints / ".tmp-12-abcd")
    (checkpoints / "step-8" / "optimizer.safetensors").write_bytes(b"short")
    text = mended_once(place, "optimizer.safetensors is damaged")
    assert "discarded checkpoints of the run 'paused': 1" in text
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-4"]
    assert [path.name for path in (place.path / ASIDE).rglob("step-*")] == ["step-8"]


def test_a_paused_run_without_a_whole_checkpoint_is_told(place):
    for step in (4, 8):
        (place.run("paused").attempt(1).checkpoints / f"step-{step}" / "manifest.json").unlink()
    code, text = doctor(place)
    assert code == NEEDS_PERSON
    assert "no whole checkpoint left" in text


def test_a_changed_byte_is_found_by_its_sha256_and_not_when_it_is_to_be_quick(place):
    weights = place.run("done").attempt(1).checkpoints / "step-4" / "adapter" / "adapter_model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[3] ^= 1
    weights.write_bytes(changed)
    place.adapter("done").weights.write_bytes(b"wEights")
    assert doctor(place, quick=True)[0] == CLEAN
    code, text = doctor(place)
    assert code == NEEDS_PERSON
    assert "The checkpoint of step 4 of the run 'done' cannot be used" in text
    assert "The adapter 'done' (done) is not what was saved" in text


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (lambda place: place.run("done").plan, "The run 'done' (done) has lost its plan.json."),
        (lambda place: place.adapter("done").weights, "The adapter 'done' (done) has lost adapter_model.safetensors."),
        (lambda place: next(place.path.glob("datasets/*/messages.jsonl")), "has lost messages.jsonl."),
        (
            lambda place: next(place.path.glob("base_models/*/model/*.safetensors")),
            "The weights of the base model 'Tiny'",
        ),
    ],
)
def test_what_is_listed_and_has_lost_its_files_is_told(place, lost, words):
    lost(place).unlink()
    code, text = doctor(place)
    assert (code, words in text) == (NEEDS_PERSON, True), text


def test_leftovers_of_ended_jobs_and_files_never_written_to_their_end_go(place, studio):
    with studio.database.write() as session:
        session.add(AdapterJob(id="over", kind="stack", name="Stack", state=JobState.FAILED))
    job = studio.data.adapter_job("over")
    (job.path / "parents" / "a").mkdir(parents=True)
    half = studio.data.run("done").path / ".plan.json.0a1b2c3d"
    half.write_text("{")
    for path in (job.path, job.path / "parents", job.path / "parents" / "a"):
        path.chmod(0o700)
    text = mended_once(place, "still keeps what went into it")
    assert "Files never written to their end: 1" in text
    assert not half.exists()


def test_a_log_beyond_its_limit_keeps_its_beginning_and_its_end(place):
    log = place.run("done").attempt(1).log
    log.write_bytes(b"first line\n" + b"x" * (20 << 20) + b"\nthe error\n")
    mended_once(place, "are enough")
    text = log.read_bytes()
    assert text.startswith(b"first line\n")
    assert text.endswith(b"\nthe error\n")
    assert b"bytes of the log are left out here" in text
    assert len(text) < 17 << 20


def test_what_others_could_read_is_closed_but_not_the_person_s_own_models(place):
    place.run("done").plan.chmod(0o644)
    place.path.chmod(0o755)
    (place.path / "models").chmod(0o755)
    mended_once(place, "others on this machine can read or write: 2")
    assert (place.path / "models").stat().st_mode & 0o777 == 0o755
    assert place.run("done").plan.stat().st_mode & 0o777 == 0o600


def test_an_attempt_that_the_run_never_made_is_set_aside(place):
    place.run("done").attempt(7).create().path.chmod(0o700)
    mended_once(place, "attempt-7 is no attempt")


def test_the_command_prints_and_answers_with_its_exit_code(place):
    command = [sys.executable, "app.py", "doctor", "--data-folder", str(place.path)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (CLEAN, "All is well: nothing had to be mended.\n"), ran.stderr
    (place.incoming / "upload").touch()
    ran = subprocess.run([*command, "--check"], cwd=PROJECT, capture_output=True, text=True)
    assert (ran.returncode, (place.incoming / "upload").exists()) == (MENDED, True), ran.stderr
