"""A real disk fills up under a studio at work: the person is told, the training waits, nothing is lost, and with room again all goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
OWN_MOUNTS = ["unshare", "-rm"]


def may_mount(folder: Path) -> bool:
    command = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=1m", "small", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_when_the_disk_is_full_nothing_is_lost_and_with_room_again_everything_goes_on(tmp_path):
    if not may_mount(tmp_path):
        pytest.skip("needs leave to mount a small disk (unshare -rm mount -t tmpfs), which this system does not give")
    command = [*OWN_MOUNTS, sys.executable, "-m", "tests.on_small_disk", str(tmp_path)]
    played = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert played.returncode == 0, f"{played.stdout[-4000:]}\n{played.stderr[-6000:]}"
