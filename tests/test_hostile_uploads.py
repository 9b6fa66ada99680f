"""Hostile uploads through the process that reads them: its limits hold, refusals leave nothing behind, names are only text."""

import os

import pyarrow
import pyarrow.parquet
import pytest

from studio import datasets
from studio.errors import BadInput, TooLarge
from studio.settings import StudioSettings
from studio.studio import Studio

GOOD = '{"prompt": "Say hello.", "completion": "Hello!"}\n'
NESTED = '{"prompt": "a", "completion": "b", "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n"


@pytest.fixture
def upload(studio, tmp_path):
    def uploads(content: bytes | str, use=studio, **options):
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return datasets.add_upload(use, path, "data.jsonl", **options)

    return uploads


def left_behind(studio) -> list:
    return [path for name in ("incoming", "datasets") for path in (studio.data.path / name).iterdir()]


def test_a_line_that_crashes_other_readers_is_one_bad_row(studio, upload):
    with pytest.raises(BadInput, match=r"Row 2 \(line 2\): It is nested more than 64 deep"):
        upload(GOOD + NESTED)
    assert left_behind(studio) == []
    assert upload(GOOD + NESTED, on_bad_rows="drop").dropped_rows == 1


def test_a_refused_upload_leaves_nothing_and_takes_nothing_away(studio, upload):
    kept = upload(GOOD)
    for content in ("", "PK\x03\x04", "[" + GOOD, GOOD.replace("Hello!", "")):
        with pytest.raises(BadInput):
            upload(content)
    assert [path.name for path in left_behind(studio)] == [kept.id]
    assert [dataset.id for dataset in datasets.list_datasets(studio).items] == [kept.id]


def test_a_file_that_takes_too_much_memory_ends_its_reader_and_nothing_else(tmp_path, upload):
    small = Studio.open(StudioSettings(data_folder=tmp_path / "small", parse_memory_mb=256))
    assert upload(GOOD, use=small).rows == 1
    swelling = (
        '{"prompt": "a", "completion": "b", "x": [' + "[]," * 340_000 + "[]]}\n"
    )  # 30 bytes of memory for each of the file
    with pytest.raises(BadInput, match="256 MB of memory"):
        upload(swelling * 20, use=small)
    assert len(left_behind(small)) == 1
    small.database.close()


def test_parquet_that_takes_too_much_memory_is_told_as_that(tmp_path, upload):
    small = Studio.open(StudioSettings(data_folder=tmp_path / "small", parse_memory_mb=256))
    table = pyarrow.table({"prompt": [f"{number}" * 100_000 for number in range(300)], "completion": ["b"] * 300})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(BadInput, match="256 MB of memory"):
        upload((tmp_path / "rows.parquet").read_bytes(), use=small)
    small.database.close()


def test_a_file_that_takes_too_long_ends_its_reader(tmp_path, upload):
    hasty = Studio.open(StudioSettings(data_folder=tmp_path / "hasty", parse_seconds=1))
    with pytest.raises(BadInput, match="more than 1 seconds of computing"):
        upload(GOOD * 200_000, use=hasty)
    assert left_behind(hasty) == []
    hasty.database.close()


def test_a_file_above_the_limit_is_refused_unread(tmp_path, upload):
    narrow = Studio.open(StudioSettings(data_folder=tmp_path / "narrow", max_upload_mb=1))
    with pytest.raises(TooLarge, match="1 MB is the limit"):
        upload(GOOD * 30_000, use=narrow)
    narrow.database.close()


def test_no_secret_of_the_web_process_reaches_the_reader(studio, upload, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    seen = {}
    run = datasets.add_upload.__globals__["subprocess"].Popen
    monkeypatch.setattr(
        "studio.dataset_uploads.subprocess.Popen",
        lambda *args, **options: seen.update(options["env"]) or run(*args, **options),
    )
    upload(GOOD)
    assert "HF_TOKEN" not in seen
    assert seen["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../x", "../../x"),
        ("a\0b\nc", "ab c"),
        ("x" * 4000, "x" * 100),
        ("<img onerror=alert(1)>", "<img onerror=alert(1)>"),
        ("e\u0301t\u202e\u0301", "ét\u0301"),
        ("{{7*7}} %s%n 🎉", "{{7*7}} %s%n 🎉"),
        ("\u202e\x00", "data"),
        ("", "data"),
    ],
)  # fmt: skip
def test_names_are_only_text(studio, upload, name, shown):
    dataset = upload(GOOD, name=name)
    assert dataset.name == shown
    assert dataset.id.isalnum()


@pytest.mark.parametrize("file_name", ["../../etc/passwd", "C:\\data\\passwd", "/passwd", "passwd"])
def test_only_the_last_part_of_a_file_name_is_kept(studio, tmp_path, file_name):
    path = tmp_path / "upload"
    path.write_text(GOOD)
    assert datasets.add_upload(studio, path, file_name).file_name == "passwd"
