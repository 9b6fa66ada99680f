"""Which devices there are, found without torch, and the command that starts workers on them."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from jobs import others
from jobs.gpus import FoundDevice, Gpu, Process, find_devices, foreign, found, nvml, threads_per_run, visible
from jobs.gpus import nvidia_smi as smi
from jobs.launchers import LAUNCHERS
from jobs.processes import ATTEMPT_MARK
from studio import run_queue
from studio.errors import Unavailable
from studio.folders import AttemptFolder
from studio.line.devices import see_devices
from studio.line.places import place_of
from studio.pages import home
from tests.queueing import holders, queued

GIB = 2**30
THREE = [Gpu("0", "GPU-aa11", "H100", 80), Gpu("1", "GPU-aa22", "A100", 40), Gpu("2", "GPU-bb33", "T4", 16)]


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
    monkeypatch.setattr(found, "read_gpus", list)


def test_a_machine_without_a_gpu_has_its_cpu_as_one_slot(monkeypatch):
    no_gpus(monkeypatch)
    [cpu] = find_devices("auto")
    assert (cpu.id, cpu.kind) == ("cpu", "cpu")
    assert cpu.name
    assert cpu.memory_bytes > 2**28


def test_the_cpu_can_be_chosen_where_there_are_gpus(monkeypatch):
    monkeypatch.setattr(found, "read_gpus", lambda: THREE)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [device.id for device in find_devices("cpu")] == ["cpu"]
    assert [device.id for device in find_devices("cuda")] == ["cuda:0", "cuda:1", "cuda:2"]


def test_wanting_a_gpu_where_there_is_none_is_told(monkeypatch):
    no_gpus(monkeypatch)
    with pytest.raises(Unavailable, match="No NVIDIA GPU"):
        find_devices("cuda")


def nvidia_smi(folder, monkeypatch, says: dict, code=0):
    """A program of that name that answers each question with what `says` has for its first word."""
    program = folder / "nvidia-smi"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsays = {says!r}\n"
        f"print(next((text for asked, text in says.items() if sys.argv[1].startswith(asked)), ''), end='')\nsys.exit({code})\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_nvidia_smi_is_asked_where_nvml_does_not_answer(tmp_path, monkeypatch):
    says = {
        "--query-gpu": "0, GPU-aa11, NVIDIA H100 80GB HBM3, 81559, 1024, [N/A]\n1, GPU-cc44, Odd one, [N/A], 0, [N/A]\n\nnoise\n",
        "--query-compute-apps": "GPU-aa11, 4711, /usr/bin/python3, 900\nGPU-aa11, 4712, [Not Found], [N/A]\nGPU-zz, x, y, z\n",
    }
    nvidia_smi(tmp_path, monkeypatch, says)
    processes = (Process(4711, 900 * 2**20, "python3"), Process(4712, None, "[Not Found]"))
    name = "NVIDIA H100 80GB HBM3"
    assert smi.read() == [Gpu("0", "GPU-aa11", name, 81559 * 2**20, 2**30, processes)]


def test_nvidia_smi_tells_the_slices_of_a_card_that_is_cut(tmp_path, monkeypatch):
    says = {
        "--query-gpu": "0, GPU-aa11, NVIDIA A100, 40960, 10, Enabled\n1, GPU-bb22, NVIDIA A100, 40960, 10, Disabled\n",
        "-L": "GPU 0: NVIDIA A100 (UUID: GPU-aa11)\n  MIG 1g.5gb     Device  0: (UUID: MIG-11)\n"
        "  MIG 3g.20gb+me  Device  1: (UUID: MIG-22)\nGPU 1: NVIDIA A100 (UUID: GPU-bb22)\n",
    }
    nvidia_smi(tmp_path, monkeypatch, says)
    seen = [(gpu.number, gpu.uuid, gpu.name, gpu.memory_bytes) for gpu in smi.read()]
    slices = [("0.0", "MIG-11", "MIG 1g.5gb", 5 * GIB), ("0.1", "MIG-22", "MIG 3g.20gb+me", 20 * GIB)]
    assert seen == [*slices, ("1", "GPU-bb22", "NVIDIA A100", 40 * GIB)]


def test_an_nvidia_smi_that_fails_finds_nothing(tmp_path, monkeypatch):
    failed = "NVIDIA-SMI has failed because it couldn't communicate with the driver."
    nvidia_smi(tmp_path, monkeypatch, {"--query-gpu": failed}, 9)
    assert smi.read() == []


class Driver(ModuleType):
    """pynvml without a driver: cards as dicts, one of which may be cut into slices, hold its tongue or be gone."""

    class NVMLError(Exception):
        pass

    def __init__(self, *cards):
        super().__init__("pynvml")
        self.cards = cards

    def answer(self, card, name, default=None):
        if card is None or card.get("gone"):
            raise self.NVMLError("GPU is lost")
        if card.get(name) is self.NVMLError:
            raise self.NVMLError("Not supported")
        return card.get(name, default)

    def nvmlInit(self):
        if not self.cards:
            raise self.NVMLError("Driver not loaded")

    def nvmlShutdown(self): ...

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, number):
        return self.answer(self.cards[number], "self", self.cards[number])

    def nvmlDeviceGetUUID(self, card):
        return self.answer(card, "uuid")

    def nvmlDeviceGetName(self, card):
        return self.answer(card, "name", "A100")

    def nvmlDeviceGetMemoryInfo(self, card):
        return SimpleNamespace(total=self.answer(card, "total", 40) * GIB, used=self.answer(card, "used", 0) * GIB)

    def nvmlDeviceGetMigMode(self, card):
        return [int("slices" in card), 0] if self.answer(card, "mig", True) else None

    def nvmlDeviceGetMaxMigDeviceCount(self, card):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card, place):
        return self.answer(card["slices"].get(place), "self", card["slices"].get(place))

    def nvmlDeviceGetComputeRunningProcesses(self, card):
        told = self.answer(card, "processes", {})
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in told.items()]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card):
        raise self.NVMLError("Not supported")


def driver(monkeypatch, *cards):
    monkeypatch.setitem(sys.modules, "pynvml", Driver(*cards))


def test_nvml_tells_cards_slices_and_programs(monkeypatch):
    slices = {
        0: {"uuid": "MIG-1", "name": "A100 MIG 1g.5gb", "total": 5},
        3: {"uuid": "MIG-2", "total": 20, "processes": Driver.NVMLError},
    }
    driver(
        monkeypatch,
        {"uuid": b"GPU-a", "used": 9, "processes": {7: 3 * GIB, 8: None, 9: 2**64 - 1}, "mig": Driver.NVMLError},
        {"uuid": "GPU-b", "slices": slices},
        {"uuid": "GPU-c", "gone": True},
        {"uuid": "GPU-d", "slices": {}},  # cut, and nothing cut off it yet: it cannot be used
        {"uuid": "GPU-e"},
    )
    read = nvml.read()
    assert [(gpu.number, gpu.uuid, gpu.memory_bytes // GIB) for gpu in read] == [
        ("0", "GPU-a", 40), ("1.0", "MIG-1", 5), ("1.3", "MIG-2", 20), ("4", "GPU-e", 40),
    ]  # fmt: skip
    assert read[0].processes == (Process(7, 3 * GIB), Process(8), Process(9))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [device.id for device in find_devices()] == ["cuda:0", "cuda:1.0", "cuda:1.3", "cuda:4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-2,4")
    assert [device.visible for device in find_devices()] == ["MIG-2", "GPU-e"]


def test_without_a_driver_nvml_finds_nothing(monkeypatch):
    driver(monkeypatch)
    assert nvml.read() == []


CARD = FoundDevice("cuda:0", "A100", 40 * GIB, "GPU-a")


@pytest.mark.parametrize(
    ("used", "processes", "leased", "held", "words"),
    [
        (0.4, {}, False, 0, ""),  # the driver's own
        (30, {10: 29}, False, 30, "30.0 GiB of its 40.0 GiB are held by jupyter (process 10)"),
        (30, {}, False, 30, "a program that the driver does not name"),
        (30, {1: 29}, False, 30, "a program (process 1)"),  # a number from outside of the container
        (30, {1: 29}, True, 0, ""),  # ours, most likely
        (30, {10: 9, 20: 21}, True, 9, "jupyter (process 10)"),
        (30, {20: 29}, True, 0, ""),
        (3, {20: 3}, False, 3, "a program that the driver does not name"),  # ours, which lets go of it in a moment
        (30, {10: None}, True, 0, ""),
    ],
)
def test_what_others_hold_of_a_device_is_told_apart_from_our_own(used, processes, leased, held, words, monkeypatch):
    monkeypatch.setattr(foreign, "name_of", lambda pid: {10: "jupyter"}.get(pid, "a program"))
    told = tuple(Process(pid, size and int(size * GIB)) for pid, size in processes.items())
    gpu = Gpu("0", "GPU-a", "A100", 40 * GIB, int(used * GIB), told)
    is_ours = {10: False, 20: True}.get
    [(size, said)] = foreign.held_by_others([CARD], {"GPU-a": gpu}, ["cuda:0"] if leased else [], is_ours).values()
    assert (size, words in said, bool(said)) == (held * GIB, True, bool(words))


def test_a_card_that_vanishes_while_it_is_held_keeps_its_holder_and_gets_nothing_new(studio, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    both = {"uuid": "GPU-a"}, {"uuid": "GPU-b"}
    driver(monkeypatch, *both)
    devices = find_devices()
    see_devices(studio, [(each.id, each.name, each.memory_bytes, each.visible) for each in devices])
    held = queued(studio, "holds it", memory_bytes=GIB)
    run_queue.claim_next(studio, "runner", ["cuda:0", "cuda:1"])
    waiting = queued(studio, "wants two", gpus=2, memory_bytes=GIB)
    driver(monkeypatch, {**both[0], "gone": True}, both[1])
    others.look(studio, devices)
    assert holders(studio) == {"cuda:0": held.id, "cuda:1": None}
    assert "A100 (cuda:0) is not seen any more" in place_of(studio, waiting.id).blocked
    assert "not seen any more" in home.draw(studio)
    queued(studio, "wants one", memory_bytes=GIB)
    assert run_queue.claim_next(studio, "runner", ["cuda:0", "cuda:1"])[1] == ["cuda:1"]
    driver(monkeypatch, *both)
    others.look(studio, devices)
    assert place_of(studio, waiting.id).blocked == ""


def test_a_process_is_ours_when_it_works_in_our_data_folder(tmp_path):
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = [
        subprocess.Popen([*sleeps, str(tmp_path / "base_models" / "a")]),
        subprocess.Popen(sleeps, env={ATTEMPT_MARK: f"{tmp_path}/runs/r1/attempt-1"}),
        subprocess.Popen([*sleeps, f"{tmp_path}-other/base_models"]),
    ]
    is_ours = foreign.ours(others.in_folder(tmp_path))
    try:
        assert [is_ours(each.pid) for each in started] == [True, True, False]
    finally:
        for each in started:
            each.kill()
            each.wait()
    assert is_ours(started[0].pid) is None


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
