"""Which devices there are, found without torch, and the command that starts workers on them."""

import os
import sys

import pytest

from jobs import gpus
from jobs.gpus import FoundDevice, find_devices, threads_per_run, visible
from jobs.launchers import LAUNCHERS
from jobs.processes import ATTEMPT_MARK
from studio.errors import Unavailable
from studio.folders import AttemptFolder

THREE = [("GPU-aa11", "H100", 80), ("GPU-aa22", "A100", 40), ("GPU-bb33", "T4", 16)]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("2,0", ["cuda:2", "cuda:0"]),
        ("GPU-bb,GPU-aa1", ["cuda:2", "cuda:0"]),
        ("GPU-aa", []),  # two begin so: like CUDA, none is taken
        ("1,9,0", ["cuda:1"]),  # CUDA stops at the first that it does not know
        ("0,0", ["cuda:0"]),
        ("", []),
        ("-1", []),
        ("none", []),
        (" 1 , 2 ", ["cuda:1", "cuda:2"]),
    ],
)
def test_only_gpus_that_cuda_visible_devices_leaves_are_used(chosen, ids):
    assert [gpu.id for gpu in visible(THREE, chosen)] == ids


def no_gpus(monkeypatch):
    monkeypatch.setattr(gpus, "gpus_by_nvml", list)
    monkeypatch.setattr(gpus, "gpus_by_nvidia_smi", list)


def test_a_machine_without_a_gpu_has_its_cpu_as_one_slot(monkeypatch):
    no_gpus(monkeypatch)
    [cpu] = find_devices("auto")
    assert (cpu.id, cpu.kind) == ("cpu", "cpu")
    assert cpu.name
    assert cpu.memory_bytes > 2**28


def test_the_cpu_can_be_chosen_where_there_are_gpus(monkeypatch):
    monkeypatch.setattr(gpus, "gpus_by_nvml", lambda: THREE)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [device.id for device in find_devices("cpu")] == ["cpu"]
    assert [device.id for device in find_devices("cuda")] == ["cuda:0", "cuda:1", "cuda:2"]


def test_wanting_a_gpu_where_there_is_none_is_told(monkeypatch):
    no_gpus(monkeypatch)
    with pytest.raises(Unavailable, match="No NVIDIA GPU"):
        find_devices("cuda")


def nvidia_smi(folder, monkeypatch, says, code=0):
    program = folder / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({says!r}, end='')\nsys.exit({code})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_nvidia_smi_is_asked_where_nvml_does_not_answer(tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch, "GPU-aa11, NVIDIA H100 80GB HBM3, 81559\nGPU-cc44, Odd one, [N/A]\n\n")
    assert gpus.gpus_by_nvidia_smi() == [("GPU-aa11", "NVIDIA H100 80GB HBM3", 81559 * 2**20)]


def test_an_nvidia_smi_that_fails_finds_nothing(tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch, "NVIDIA-SMI has failed because it couldn't communicate with the driver.", 9)
    assert gpus.gpus_by_nvidia_smi() == []


def test_threads_are_as_set_or_a_share_of_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_per_run(5, 1) == 5
    assert threads_per_run(0, 1) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [threads_per_run(0, slots) for slots in (1, 2, 3, 99)] == [8, 4, 2, 1]


CPU = [FoundDevice("cpu", "CPU", 1)]
GPUS = [FoundDevice("cuda:1", "H100", 80, "GPU-aa"), FoundDevice("cuda:3", "H100", 80, "GPU-bb")]


@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS)
@pytest.mark.parametrize("devices", [CPU, GPUS[:1]], ids=["cpu", "gpu"])
def test_every_launcher_starts_the_worker_on_its_devices_alone(tmp_path, launcher, devices):
    attempt = AttemptFolder(tmp_path / "r1" / "attempt-1")
    command = launcher(attempt, devices, 2)
    assert command.argv[0] == sys.executable
    assert command.argv[-3:] == ["-m", "jobs.workers.train", str(attempt.path)]
    assert command.environment["CUDA_VISIBLE_DEVICES"] == ",".join(device.visible for device in devices)
    assert command.environment["OMP_NUM_THREADS"] == "2"
    assert command.environment[ATTEMPT_MARK] == str(attempt.path)


def test_two_gpus_are_two_processes_that_meet_at_a_port_of_their_own(tmp_path):
    commands = [LAUNCHERS["local"](AttemptFolder(tmp_path), GPUS, 1) for _ in range(2)]
    argv = commands[0].argv
    assert argv[argv.index("--num_processes") + 1] == "2"
    assert "--multi_gpu" in argv
    assert "--cpu" not in argv
    assert commands[0].environment["CUDA_VISIBLE_DEVICES"] == "GPU-aa,GPU-bb"
    ports = {command.argv[command.argv.index("--main_process_port") + 1] for command in commands}
    assert all(0 < int(port) < 65536 for port in ports)
