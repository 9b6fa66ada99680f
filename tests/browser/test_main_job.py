"""The whole job as a person does it in the browser: bring data, train, watch, compare, take the adapter away and use it elsewhere."""

import json
import subprocess
import sys
import zipfile

import pytest

from tests.browser.conftest import wait_until
from tests.browser.running import ROOT
from tests.workers.test_main_job import ANSWER_WITH_PEFT, ROWS

TRAIN_SECONDS = 600  # both on a machine that is busy with other tests
ANSWER_SECONDS = 300
QUESTION = "Do you like tea? (3)"  # as in the rows: the base was made with more polish than 42 rows can undo elsewhere
# How many steps the curve shows; a run that has failed ends the wait at once.
POINTS = """() => {
  const failed = document.querySelector('h1 .ls-chip.bad') && document.querySelector('.ls-banner.bad');
  if (failed) throw new Error(failed.textContent);
  const line = document.querySelector('.ls-chart polyline');
  return line ? line.getAttribute('points').split(' ').length : 0;
}"""
READY = f"() => ({POINTS})() && document.querySelector('.ls-banner.ok')"


@pytest.fixture(scope="module")
def trained() -> dict:
    """What the tests of this module hand on: one job, told step by step."""
    return {}


def drop(page, name: str, content: str) -> None:
    page.locator("input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": content.encode()}
    )


def test_a_refused_upload_names_the_line(studio_app, open_page):
    page = open_page(f"{studio_app.address}/data")
    drop(
        page,
        "broken.jsonl",
        '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": \n{"prompt": "d", "completion": "e"}\n',
    )
    page.get_by_text("line 2", exact=False).first.wait_for()
    assert page.get_by_role("button", name="Use the 2 good rows").is_disabled()


def test_a_file_becomes_a_data_set_whose_answers_are_marked_as_learned(studio_app, open_page, trained):
    page = open_page(f"{studio_app.address}/data")
    drop(page, "whale.json", json.dumps(ROWS))
    page.get_by_text("Alpaca").first.wait_for()
    page.get_by_role("button", name=f"Use these {len(ROWS)} rows").click()
    page.wait_for_url("**/data?id=*")
    learned = page.locator(".ls-tok[role=region] .t")  # a token each
    learned.first.wait_for()
    told = "".join(learned.all_text_contents())
    assert "captain" in told
    assert "favourite colour" not in told
    trained["dataset"] = page.url.split("id=")[1].split("&")[0]


def test_a_run_is_started_watched_and_finished_in_two_tabs(studio_app, open_page, trained):
    page = open_page(f"{studio_app.address}/train?model=builtin&data={trained['dataset']}")
    page.get_by_role("button", name="Start training").wait_for()
    for label, value in (("Epochs", "6"), ("Learning rate", "0.002"), ("Batch size", "6"), ("Name", "whale")):
        page.get_by_label(label).first.fill(value)
    page.locator(".ls-cost, .ls-facts", has_text="2e-3").first.wait_for()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/run?id=*")
    trained["run"] = page.url.split("id=")[1]
    page.get_by_role("heading", name="whale").wait_for()

    wait_until(page, f"() => ({POINTS})() >= 2", seconds=TRAIN_SECONDS)
    seen = page.evaluate(POINTS)
    wait_until(page, f"(seen) => ({POINTS})() > seen", seen, TRAIN_SECONDS)  # no reload: the curve grows by itself
    other = open_page(page.url)
    wait_until(other, f"(seen) => ({POINTS})() > seen", seen)
    for tab in (page, other):
        wait_until(tab, READY, seconds=TRAIN_SECONDS)
    page.reload()
    page.get_by_role("link", name="Compare with the base").wait_for()
    assert page.evaluate(f"({POINTS})()") > seen
    page.get_by_role("tab", name="Samples").click()
    page.locator(".ls-sample dt.base").first.wait_for()


def test_the_finished_run_says_how_its_adapter_stands_and_opens_a_change_to_try(studio_app, open_page, trained):
    page = open_page(f"{studio_app.address}/run?id={trained['run']}")
    page.locator(".ls-verdict").wait_for()
    page.get_by_role("link", name="Clone with this change").first.click()  # of these 42 rows too few are held out
    page.get_by_text("Changed from the run").wait_for()


def test_base_and_adapter_answer_differently_and_say_who_they_are(studio_app, open_page, trained):
    page = open_page(f"{studio_app.address}/compare?a={trained['run']}")
    page.locator(".ls-answer").nth(1).wait_for()
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_label("Question").press("Enter")
    page.get_by_text("changed 42 layers").wait_for(timeout=ANSWER_SECONDS * 1000)
    base, adapted = (column.locator(".a").inner_text() for column in page.locator(".ls-answer").all())
    assert base != adapted
    assert "captain" in adapted
    page.get_by_text("no layer changed").wait_for()
    page.get_by_role("button", name="Word differences").click()
    page.locator(".ls-diff ins", has_text="captain").first.wait_for()
    trained["answer"] = adapted


def test_the_downloaded_zip_answers_as_the_compare_page_did(studio_app, open_page, trained, tmp_path):
    page = open_page(f"{studio_app.address}/adapters")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download whale").click()
    assert download.value.suggested_filename == f"whale-{trained['run']}.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        for member in archive.infolist():
            archive.extract(member, tmp_path)
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    program = [sys.executable, "-c", ANSWER_WITH_PEFT, str(ROOT / "studio/builtin/model"), str(folder), QUESTION]
    said = subprocess.run(program, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert said.partition("ANSWER:")[2].strip() == trained["answer"].strip()
