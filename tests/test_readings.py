"""A file that is being read: how far it is, for people and for programs, and its end by hand."""

import gzip
import os
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from studio import datasets, reading_progress, readings
from studio.dataset_reading import ReadingRequest, read_file
from studio.errors import BadInput, NotFound
from studio.folders import DatasetFolder
from studio.pages import data_hub
from studio.reading_progress import teller
from studio.web import build_app

PATIENCE = 60
ROW = '{"instruction": "Name it.", "output": "It is a kettle."}\n'


def progress_of(path, monkeypatch) -> list[tuple]:
    monkeypatch.setattr(reading_progress, "EVERY_SECONDS", -1.0)
    told: list[tuple] = []
    read_file(ReadingRequest(file=path, file_name="rows"), None, lambda *how_far: told.append(how_far))
    return told


def test_reading_tells_the_rows_and_the_share_of_the_bytes(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_text(ROW * 4096)
    told = progress_of(path, monkeypatch)
    assert [rows for rows, _ in told] == [1024, 2048, 3072, 4096]
    assert [share for _, share in told] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.05)  # read in blocks


def test_a_compressed_file_tells_its_rows_alone(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress((ROW * 1024).encode()))
    assert progress_of(path, monkeypatch) == [(1024, None)]


def test_the_data_page_says_how_far_a_file_is(tmp_path):
    folder = DatasetFolder(tmp_path / "abc").create()
    now = readings.Reading(folder, "<big>.jsonl", SimpleNamespace(pid=0))
    assert data_hub.reading(now) == ""  # one that is read in a moment is not worth a word
    teller(folder)(412_000, 0.38)
    shown = data_hub.reading(now)
    assert "Reading: 412,000 rows, 38%" in shown
    assert "&lt;big&gt;.jsonl" in shown
    assert 'data-act="end-reading"' in shown
    assert 'data-id="abc"' in shown


def test_a_reading_is_listed_and_ended_through_the_api_and_nothing_of_it_is_kept(studio, tmp_path):
    endless = tmp_path / "rows.jsonl"
    os.mkfifo(endless)  # nobody writes into it, so its reader waits until it is ended
    client = TestClient(build_app(studio), base_url="http://127.0.0.1:7860")
    with ThreadPoolExecutor(1) as person:
        bringing = person.submit(datasets.add_upload, studio, endless, "rows.jsonl")
        until = time.monotonic() + PATIENCE
        while not (items := client.get("/api/v1/datasets/readings").json()["items"]) and time.monotonic() < until:
            time.sleep(0.05)
        assert [(each["file_name"], each["rows_done"], each["done"]) for each in items] == [("rows.jsonl", 0, None)]
        assert client.delete(f"/api/v1/datasets/readings/{items[0]['id']}").status_code == 204
        with pytest.raises(BadInput, match="The reading was ended"):
            bringing.result(PATIENCE)
    assert readings.list_readings(studio) == []
    assert not any(studio.data.incoming.iterdir())
    with pytest.raises(NotFound):
        readings.end_reading(studio, items[0]["id"])
