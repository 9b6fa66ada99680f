"""The demo's edges; that it teaches is shown by the main job's test, which does the same."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_a_data_set_that_does_not_come_along_is_refused_with_those_that_do(tmp_path):
    command = [sys.executable, "-m", "jobs.demo", "--data-folder", str(tmp_path / "data"), "--dataset", "parrot"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "no built-in data set 'parrot'" in done.stderr
    assert all(name in done.stderr for name in ("pirate", "review_labels", "orders_to_json", "two_turn_robot"))
