"""A checkpoint whose disk fails at every point in turn, and checkpoints damaged in every way: what was there before is never lost, and never another model."""

import itertools
import os

import pytest
import torch

from jobs.workers.checkpoint import (
    NEEDED,
    NoCheckpointLeft,
    Saved,
    load_checkpoint,
    save_checkpoint,
    to_go_on_from,
    went_on,
)
from studio import checkpoint_files
from studio.files import read_json
from studio.folders import RunFolder
from tests.faulty_storage import HOWS, failing

pytestmark = pytest.mark.training
PLAN = "hash of the plan"
MOST = 80


def attempt_in(folder, number=1):
    return RunFolder(folder / "runs" / "r1").attempt(number).create()


def saved(step: int) -> Saved:
    tensors = {"a": torch.full((3, 2), float(step))}
    return Saved(
        tensors, {"exp_avg/a": torch.full((3, 2), step / 2)}, {"progress": {"step": step}}, {"a": torch.ones(1)}
    )


def save(attempt, step, keep=1):
    return save_checkpoint(attempt, step, PLAN, saved(step), keep, write_adapter)


def write_adapter(folder):
    folder.weights.write_bytes(b"as PEFT saves it")


def step_gone_on_from(attempt) -> int:
    """What a training would really load."""
    folder, _, _ = to_go_on_from(attempt, PLAN)
    back = load_checkpoint(folder.path)
    step = back.state["progress"]["step"]
    assert torch.equal(back.adapter["a"], saved(step).adapter["a"])
    assert torch.equal(back.optimizer["exp_avg/a"], saved(step).optimizer["exp_avg/a"])
    return step


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("then", [4, 2], ids=["the next step", "the same step, damaged"])
def test_a_save_that_fails_at_any_point_leaves_the_one_before_and_nothing_that_stays(tmp_path, monkeypatch, how, then):
    for nth in itertools.count(1):
        attempt = attempt_in(tmp_path / str(nth))
        save(attempt, 1, keep=2)
        before = save(attempt, 2, keep=2)
        if then == 2:
            (before / "state.json").write_text("{}")
        with failing(monkeypatch, nth, how) as fault:
            save(attempt, then)
        assert step_gone_on_from(attempt) in ({2, 4} if then == 4 else {1, 2})
        save(attempt, 6)
        assert [path.name for path in attempt.checkpoints.iterdir()] == ["step-6"]
        assert read_json(attempt.run.saved) == {"step": 6}
        assert step_gone_on_from(attempt) == 6
        if not fault.met:
            break
        assert nth < MOST
    assert nth > 15


def test_a_step_that_is_saved_twice_is_written_once(tmp_path, monkeypatch):
    attempt = attempt_in(tmp_path)
    path = save(attempt, 2)
    with failing(monkeypatch, 1, "full") as fault:
        assert save(attempt, 2) == path
    assert not fault.met


def delete(file):
    file.unlink()


def cut_in_half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file):
    file.write_bytes(b"")


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def replace_by_a_folder(file):
    file.unlink()
    file.mkdir()


FILES = (*NEEDED, "best.safetensors", "adapter/adapter_model.safetensors", "manifest.json")
DAMAGES = (delete, cut_in_half, empty, flip_a_bit, replace_by_a_folder)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_means_the_checkpoint_before_and_with_none_left_a_question_to_the_person(tmp_path, name, damage):
    attempt = attempt_in(tmp_path)
    save(attempt, 2, keep=3)
    second = save(attempt, 4, keep=3)
    damage(second / name)
    folder, aside, said = to_go_on_from(attempt, PLAN)
    assert (folder.path.name, [each.path.name for each in aside]) == ("step-2", ["step-4"])
    assert "attempt-1/step-4 cannot be used" in said[0]
    assert step_gone_on_from(attempt) == 2
    damage(attempt.checkpoints / "step-2" / name)
    with pytest.raises(NoCheckpointLeft, match="step-4.*step-2"):
        to_go_on_from(attempt, PLAN)
    assert {path.name for path in attempt.checkpoints.iterdir()} == {
        "step-2",
        "step-4",
    }  # nothing is thrown away unasked


def test_after_a_fallback_the_new_checkpoint_is_kept_and_the_damaged_one_goes(tmp_path):
    attempt = attempt_in(tmp_path)
    save(attempt, 2, keep=3)
    flip_a_bit(save(attempt, 8, keep=3) / "state.json")
    second = attempt_in(tmp_path, 2)
    _, aside, _ = to_go_on_from(second, PLAN)
    went_on(second, aside)
    save(second, 4, keep=1)
    assert step_gone_on_from(second) == 4
    assert list(attempt.checkpoints.iterdir()) == []


@pytest.mark.parametrize("value", ["[]", "null", '"x"', '{"step": 2}', '{"step": 2, "plan": "hash of the plan", "files": []}', '{"step": 2, "plan": "hash of the plan", "files": {}}'])  # fmt: skip
def test_a_manifest_that_says_something_else_is_no_manifest(tmp_path, value):
    attempt = attempt_in(tmp_path)
    (save(attempt, 2) / "manifest.json").write_text(value)
    with pytest.raises(NoCheckpointLeft, match="manifest"):
        to_go_on_from(attempt, PLAN)


def test_checkpoints_that_have_vanished_are_missed(tmp_path):
    attempt = attempt_in(tmp_path)
    os.rename(save(attempt, 4), tmp_path / "elsewhere")
    with pytest.raises(NoCheckpointLeft, match="The checkpoint of step 4 is missing"):
        to_go_on_from(attempt, PLAN)
    os.rename(tmp_path / "elsewhere", attempt.checkpoints / "step-4")  # put back from a copy
    assert step_gone_on_from(attempt) == 4


def test_starting_over_takes_the_persons_word_once(tmp_path):
    attempt = attempt_in(tmp_path)
    delete(save(attempt, 4) / "state.json")
    attempt.run.start_over.write_text("local")
    second = attempt_in(tmp_path, 2)
    folder, aside, said = to_go_on_from(second, PLAN)
    assert folder is None
    assert "starts over" in said[0]
    went_on(second, aside)
    assert to_go_on_from(second, PLAN) == (None, [], [])  # as a run that never had one
    flip_a_bit(save(second, 2) / "state.json")
    with pytest.raises(NoCheckpointLeft):
        to_go_on_from(attempt_in(tmp_path, 3), PLAN)


def test_whether_there_is_one_is_known_without_reading_all_of_it(tmp_path):
    attempt = attempt_in(tmp_path)
    assert not checkpoint_files.has_whole_checkpoint(attempt.run)
    path = save(attempt, 2)
    assert checkpoint_files.has_whole_checkpoint(attempt.run)
    cut_in_half(path / "optimizer.safetensors")
    assert not checkpoint_files.has_whole_checkpoint(attempt.run)
