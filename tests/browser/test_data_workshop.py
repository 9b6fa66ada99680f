"""From a file with twenty kinds of fault to a run on what was mended: read, fixed, looked at token by token, saved, trained."""

import re

import pytest

from studio.files import read_json
from studio.learning import Learning, sequences
from studio.length_audit import audit
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import ChatTokenizer
from studio.versions import checking, lineage
from tests.browser.conftest import PHONE
from tests.browser.running import running_studio
from tests.dataset_files import rows_of
from tests.faulty_rows import FAULTS, ROWS_OUT, ROWS_READY, faulty_file
from tests.finished_runs import what_comes_with_it

KINDS = {kind for kind, _ in FAULTS} - {"unanswered", "near", "near_duplicate", "language"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("studio")
    studio = Studio.open(StudioSettings(data_folder=place / "data"))
    what_comes_with_it(studio)
    studio.database.close()
    (place / "ships.jsonl").write_text(faulty_file(), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def address(place):
    with running_studio(place / "data", STUDIO_RUNNER="false") as running:
        yield running.address


def test_twenty_kinds_of_fault_are_found_fixed_by_click_and_trained_without(address, place, open_page):
    page = open_page(f"{address}/data")
    page.locator("input[type=file]").first.set_input_files(place / "ships.jsonl")
    page.get_by_text(f"{ROWS_OUT} cannot be used").wait_for()
    page.get_by_label(f"Leave out the {ROWS_OUT} rows that cannot be used").check()
    page.get_by_role("button", name=f"Use the {ROWS_READY} good rows").click()

    page.get_by_role("button", name="Look closer").click()
    page.get_by_text(f"{ROWS_READY} rows checked, closely.").wait_for()
    id = page.url.partition("id=")[2].partition("&")[0]
    studio = Studio.open(StudioSettings(data_folder=place / "data"))
    found = checking.checked_state(studio, id).counts
    assert found.keys() == KINDS | {"near_duplicate", "language", "left_out"}

    page.get_by_role("button", name="Show rows: E-mail addresses").click()
    page.get_by_role("article", name=re.compile("E-mail addresses")).get_by_text("jane.doe").first.wait_for()
    page.get_by_role("button", name=re.compile("Fix row")).click()
    page.get_by_text("Waits to be saved").first.wait_for()
    page.get_by_role("button", name="Fix all: Duplicates").click()
    page.get_by_text("2 edits wait to be saved").first.wait_for()
    page.get_by_role("button", name="Fix all of them").click()
    page.get_by_role("button", name="Fix all of them").wait_for(state="detached")
    page.get_by_role("button", name="Save as version 2").first.click()
    page.get_by_text("version 2 of 2").wait_for()
    assert checking.checked_state(studio, id).counts.keys() <= {"left_out"}
    version = lineage.get_version(studio, id)
    assert "1 row with e-mail addresses replaced" in version.why
    assert "brought back with their messages in order" in version.why
    assert len(rows_of(studio, id, 1)) == ROWS_READY  # the original stays

    coloured = [tokens_of_row(page, number) for number in (1, 2, 3)]
    longest = audit(studio, id, "builtin").length
    page.get_by_label("Sequence length").fill(str(longest // 4))
    page.get_by_label("Sequence length").press("Tab")
    raise_it = page.get_by_role("link", name=re.compile("Train with"))
    raise_it.wait_for()
    said = page.get_by_text(re.compile("Raise the length to")).inner_text()
    advised = int(re.search(r"to ([\d,]+)", said)[1].replace(",", ""))
    raise_it.click()
    page.get_by_role("button", name=re.compile("Start")).wait_for()
    page.get_by_role("button", name=re.compile("Start")).click()
    page.wait_for_url(re.compile("/run\\?id="))
    run = studio.data.run(page.url.partition("id=")[2].partition("&")[0])
    plan = read_json(run.plan)
    assert (plan["dataset_version"], plan["training"]["sequence_length"]) == (2, advised)
    assert coloured == [learned_in(studio, row) for row in rows_of(studio, id)[:3]]
    studio.database.close()


def tokens_of_row(page, number: int) -> list[list]:
    """(id, whether it is coloured as trained) of every token of a row as the page shows it."""
    page.get_by_label("Row", exact=True).fill(str(number))
    page.get_by_label("Row", exact=True).press("Tab")
    page.get_by_text(f"Row {number} of").wait_for()
    shown = page.locator(".ls-tok [data-token]")
    return shown.evaluate_all("all => all.map(one => [Number(one.dataset.token), one.classList.contains('t')])")


def learned_in(studio: Studio, row: dict) -> list[list]:
    """The same, from the trainer's own function."""
    tokenizer = ChatTokenizer.load(studio.data.base_model("builtin").model)
    (encoded,) = sequences(tokenizer, row, Learning())
    return [[id, trained] for id, trained in zip(encoded.ids, encoded.trained, strict=True)]


def test_findings_fit_a_phone(address, place, open_page):
    page = open_page(f"{address}/data", PHONE)
    page.get_by_role("link", name="ships").first.click()
    page.get_by_role("heading", name="Findings").wait_for()
    page.get_by_text("checked").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
