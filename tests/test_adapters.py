"""Adapters: taken in whole and finite or not at all, found, described, and handed out as a zip that any program opens."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile

import numpy
import pytest

from studio import adapters, run_queue, zip_stream
from studio.adapter_files import check_adapter
from studio.errors import BadInput, Invalid, NotFound
from studio.files import read_json, write_json
from studio.folders import AdapterFolder
from studio.records import Status
from tests.queueing import queued, with_devices

WEIGHTS = {
    "base.q_proj.lora_A.weight": ("F32", [2, 3]),
    "base.q_proj.lora_B.weight": ("BF16", [3, 2]),
    "base.v_proj.lora_A.weight": ("F16", [2, 3]),
}
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "BOOL": 1}


def weights(tensors=WEIGHTS, broken=None) -> bytes:
    """A safetensors file of ones; `broken`: {name: bytes of its first number}."""
    header, data = {}, b""
    for name, (dtype, shape) in tensors.items():
        count = shape[0] * shape[1]
        one = {"F32": struct.pack("<f", 1), "F16": struct.pack("<e", 1), "BF16": b"\x80\x3f"}.get(
            dtype, b"\1" * BYTES[dtype]
        )
        numbers = bytearray(one * count)
        if broken and name in broken:
            numbers[: len(broken[name])] = broken[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(head)) + head + data


def adapter_in(path, content=None) -> AdapterFolder:
    folder = AdapterFolder(path).create()
    folder.weights.write_bytes(weights() if content is None else content)
    write_json(folder.config, {"peft_type": "LORA", "r": 2})
    write_json(folder.passport, {"version": 1, "name": "pirate", "base_model": {"name": "Small model"}})
    folder.card.write_text("# Pirate\n")
    return folder


def trained(studio, name="pirate", **columns):
    """A run that has just ended, and its attempt with an adapter."""
    with_devices(studio, "cpu")
    queued(studio, name, **columns)
    run, _ = run_queue.claim_next(studio, "runner", ["cpu"])
    attempt = studio.data.run(run.id).attempt(run.attempt_epoch).create()
    adapter_in(attempt.adapter)
    write_json(attempt.result, {"status": "succeeded", "heldout_loss": 0.8, "base_heldout_loss": 4.6})
    return run, attempt


def kept(studio, name="pirate"):
    run, attempt = trained(studio, name)
    run_queue.settle(studio, run, Status.SUCCEEDED, "done", adapters.take_in(studio, run, attempt))
    return adapters.adapter_of_run(studio, run.id)


def test_an_adapter_is_taken_in_with_its_provenance(studio):
    adapter = kept(studio)
    shown = adapters.shown(adapters.get_adapter(studio, adapter.id))
    assert (shown["name"], shown["base_model_name"], shown["method"], shown["rank"]) == (
        "pirate",
        "Small model",
        "lora",
        16,
    )
    assert (shown["heldout_loss"], shown["base_heldout_loss"]) == (0.8, 4.6)
    json.dumps(shown)
    passport = adapters.passport(studio, adapter.id)
    assert (passport["adapter_sha256"], passport["base_model"]) == (adapter.sha256, {"name": "Small model"})


def test_taking_in_again_after_a_crash_makes_one_adapter(studio):
    run, attempt = trained(studio)
    adapters.take_in(studio, run, attempt)  # and the runner dies before the row is written
    adapter = adapters.take_in(studio, run, attempt)
    run_queue.settle(studio, run, Status.SUCCEEDED, "done", adapter)
    assert [found.id for found in adapters.list_adapters(studio).items] == [adapter.id]
    assert [path.name for path in (studio.data.path / "adapters").iterdir()] == [adapter.id]


def test_an_adapter_outlives_its_run(studio):
    adapter = kept(studio)
    shutil.rmtree(studio.data.run(adapter.run).path)
    assert b"".join(adapters.zip_chunks(studio, adapter.id))


def test_a_whole_and_finite_adapter_passes(tmp_path):
    check_adapter(adapter_in(tmp_path))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("base.q_proj.lora_A.weight", struct.pack("<f", float("nan"))),
        ("base.q_proj.lora_A.weight", struct.pack("<f", float("-inf"))),
        ("base.q_proj.lora_B.weight", b"\x80\x7f"),
        ("base.q_proj.lora_B.weight", b"\xc0\xff"),
        ("base.v_proj.lora_A.weight", struct.pack("<e", float("inf"))),
    ],
)
def test_a_number_that_is_none_is_found_in_every_dtype(tmp_path, name, number):
    with pytest.raises(BadInput, match=f"not finite, in {name}"):
        check_adapter(adapter_in(tmp_path, weights(broken={name: number})))


def test_a_number_that_is_none_is_found_far_into_a_large_tensor(tmp_path):
    numbers = numpy.ones((3000, 2000), "<f4")
    numbers[2999, 1999] = numpy.inf
    head = json.dumps({"w": {"dtype": "F32", "shape": [3000, 2000], "data_offsets": [0, numbers.nbytes]}}).encode()
    with pytest.raises(BadInput, match="not finite"):
        check_adapter(adapter_in(tmp_path, struct.pack("<Q", len(head)) + head + numbers.tobytes()))


def header_only(header) -> bytes:
    head = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(head)) + head


@pytest.mark.parametrize(
    "content",
    [
        b"", b"1234", b"\xff" * 8, weights()[:-1], weights() + b"x", header_only({}), header_only([1]), header_only(b"{not json"), header_only(b"\xff\xfe"),
        header_only({"w": {}}), header_only({"w": 7}), header_only({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}),
        header_only({"w": {"dtype": "F32", "shape": [1], "data_offsets": ["a", "b"]}}), header_only({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}),
        header_only({"w": {"dtype": "F32", "shape": [1], "data_offsets": [-8, 0]}}), header_only({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 3]}}) + b"abc",
    ],
)  # fmt: skip
def test_a_file_that_is_no_whole_safetensors_file_is_refused_in_words(tmp_path, content):
    with pytest.raises(BadInput) as refused:
        check_adapter(adapter_in(tmp_path, content))
    assert "adapter_model.safetensors" in refused.value.problem


@pytest.mark.parametrize("config", ["", "{", "[]", "{}", None])
def test_an_adapter_without_a_usable_config_is_refused(tmp_path, config):
    folder = adapter_in(tmp_path)
    folder.config.unlink() if config is None else folder.config.write_text(config)
    with pytest.raises(BadInput, match=r"adapter_config\.json"):
        check_adapter(folder)


def test_links_in_an_adapters_folder_do_not_lead_out_of_it(studio, tmp_path):
    run, attempt = trained(studio)
    (tmp_path / "secret").write_text("secret")
    (attempt.adapter / "notes.txt").symlink_to(tmp_path / "secret")
    adapter = adapters.take_in(studio, run, attempt)
    assert not (studio.data.adapter(adapter.id).path / "notes.txt").exists()


def test_the_zip_holds_one_folder_with_the_adapter(studio, tmp_path):
    adapter = kept(studio, "Pirate: Ünïcode / 2")
    assert adapters.download_name(adapter) == f"pirate-unicode-2-{adapter.id}.zip"
    content = b"".join(adapters.zip_chunks(studio, adapter.id))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {name.partition("/")[0] for name in archive.namelist()} == {f"pirate-unicode-2-{adapter.id}"}
        archive.extractall(tmp_path)
    unpacked = AdapterFolder(tmp_path / f"pirate-unicode-2-{adapter.id}")
    check_adapter(unpacked)
    assert read_json(unpacked.passport)["adapter_sha256"] == adapter.sha256


def test_the_zip_is_the_same_every_time_and_comes_in_pieces(studio, monkeypatch):
    monkeypatch.setattr(zip_stream, "CHUNK_BYTES", 10)
    adapter = kept(studio)
    pieces = list(adapters.zip_chunks(studio, adapter.id))
    assert len(pieces) > 20
    assert b"".join(pieces) == b"".join(adapters.zip_chunks(studio, adapter.id))


def test_other_programs_open_the_zip(studio, tmp_path):
    adapter = kept(studio)
    (tmp_path / "a.zip").write_bytes(b"".join(adapters.zip_chunks(studio, adapter.id)))
    subprocess.run([sys.executable, "-m", "zipfile", "-t", str(tmp_path / "a.zip")], check=True, capture_output=True)


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/etc/passwd",
        "C:\\x",
        ";rm -rf ~",
        "-rf",
        "CON",
        "..",
        "海賊",
        "<img onerror>",
        "a" * 100,
        '"; filename="x.exe',
        "%s%n",
    ],
)
def test_the_name_of_a_download_is_plain_whatever_the_adapter_is_called(studio, name):
    named = adapters.download_name(kept(studio, name))
    assert named.isascii()
    assert named.removesuffix(".zip").replace("-", "").isalnum()
    assert named[0] != "-"
    assert len(named) <= 80


def test_adapters_are_found_by_words_and_base(studio):
    first, second = kept(studio, "Pirate talk"), kept(studio, "Orders")
    assert [found.name for found in adapters.list_adapters(studio).items] == ["Orders", "Pirate talk"]
    assert [found.id for found in adapters.list_adapters(studio, "small pirate").items] == [first.id]
    assert [found.id for found in adapters.list_adapters(studio, sort="name").items] == [second.id, first.id]
    assert adapters.list_adapters(studio, base_model="other").items == []


def test_an_adapter_is_renamed_and_deleted(studio):
    adapter = kept(studio)
    assert adapters.shown(adapters.rename_adapter(studio, adapter.id, " Captain "))["name"] == "Captain"
    with pytest.raises(Invalid):
        adapters.rename_adapter(studio, adapter.id, " ")
    adapters.delete_adapter(studio, adapter.id)
    assert not studio.data.adapter(adapter.id).path.exists()
    for ask in (adapters.get_adapter, adapters.passport, adapters.zip_chunks, adapters.delete_adapter):
        with pytest.raises(NotFound):
            ask(studio, adapter.id)
