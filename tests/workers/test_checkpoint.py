"""A checkpoint is whole or it is not there; a damaged one is passed over in words; old ones go."""

import os

import pytest
import torch

from jobs.workers.checkpoint import NEEDED, Saved, load_checkpoint, save_checkpoint
from studio import checkpoint_files
from studio.folders import RunFolder

pytestmark = pytest.mark.training
PLAN = "hash of the plan"


@pytest.fixture
def attempt(tmp_path):
    return RunFolder(tmp_path / "runs" / "r1").attempt(1).create()


def saved(value: float = 1.0, best: float | None = None) -> Saved:
    tensors = {"a": torch.full((3, 2), value), "b": torch.arange(4.0)}
    return Saved(
        tensors,
        {"exp_avg/a": torch.ones(3, 2)},
        {"progress": {"step": int(value)}},
        None if best is None else {"a": torch.tensor([best])},
    )


def newest_checkpoint(attempt, plan_hash):
    folder, passed_over = checkpoint_files.newest_checkpoint(attempt, plan_hash, NEEDED)
    return folder and folder.path, passed_over


def names(attempt) -> list[str]:
    return sorted(path.name for path in attempt.checkpoints.iterdir())


def test_what_is_saved_comes_back(attempt):
    path = save_checkpoint(attempt, 4, PLAN, saved(4, best=2.5), keep=2)
    assert newest_checkpoint(attempt, PLAN) == (path, [])
    back = load_checkpoint(path)
    assert torch.equal(back.adapter["a"], torch.full((3, 2), 4.0))
    assert back.state == {"progress": {"step": 4}}
    assert back.best["a"].item() == 2.5


def test_without_checkpoints_there_is_nothing_to_go_on_from(attempt):
    assert newest_checkpoint(attempt, PLAN) == (None, [])


def test_only_the_newest_are_kept_over_all_attempts(attempt):
    for step in (2, 4):
        save_checkpoint(attempt, step, PLAN, saved(step), keep=2)
    second = attempt.run.attempt(3).create()
    save_checkpoint(second, 6, PLAN, saved(6), keep=2)
    assert (names(attempt), names(second)) == (["step-4"], ["step-6"])


def test_the_one_of_the_lowest_heldout_loss_is_spared(attempt):
    for step in (2, 4, 6, 8):
        save_checkpoint(attempt, step, PLAN, saved(step), keep=2, spared=2 if step < 8 else 6)
    assert names(attempt) == ["step-6", "step-8"]  # spared as long as it is the best


def test_a_later_attempts_checkpoints_are_not_ours(attempt):
    later = attempt.run.attempt(2).create()
    save_checkpoint(later, 9, PLAN, saved(9), keep=1)
    save_checkpoint(attempt, 4, PLAN, saved(4), keep=1)
    assert names(later) == ["step-9"]
    assert newest_checkpoint(attempt, PLAN)[0].name == "step-4"


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


DAMAGES = [
    (damage, name)
    for damage in (os.unlink, truncate, flip_a_bit)
    for name in ("adapter.safetensors", "optimizer.safetensors", "state.json")
]


@pytest.mark.parametrize(
    ("damage", "name"),
    [*DAMAGES, (os.unlink, "manifest.json"), (truncate, "manifest.json")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_damaged_checkpoint_is_passed_over_in_words(attempt, damage, name):
    first = save_checkpoint(attempt, 2, PLAN, saved(2), keep=3)
    second = save_checkpoint(attempt, 4, PLAN, saved(4), keep=3)
    damage(second / name)
    path, said = newest_checkpoint(attempt, PLAN)
    assert path == first
    assert "step-4" in said[0]
    assert name.partition(".")[0] in said[0]


def test_a_checkpoint_of_another_plan_is_not_used(attempt):
    save_checkpoint(attempt, 2, PLAN, saved(), keep=1)
    path, said = newest_checkpoint(attempt, "another")
    assert path is None
    assert "another plan" in said[0]
