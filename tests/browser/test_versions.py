"""From a row that is wrong to a run on the version in which it is right: edited, saved, compared, and on the Train page."""

import pytest

from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import PHONE
from tests.browser.running import running_studio
from tests.dataset_files import COUNTING, add_rows
from tests.finished_runs import what_comes_with_it

NASTY = "two!\n</textarea><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def studio_app(tmp_path_factory):
    place = tmp_path_factory.mktemp("studio")
    studio = Studio.open(StudioSettings(data_folder=place / "data"))
    what_comes_with_it(studio)
    id = add_rows(studio, place, COUNTING[:30]).id
    studio.database.close()
    with running_studio(place / "data", STUDIO_RUNNER="false") as running:
        yield running.address, id


def test_a_row_is_edited_saved_as_a_version_and_trained_on(studio_app, open_page):
    address, id = studio_app
    page = open_page(f"{address}/data?id={id}")
    page.get_by_role("button", name="Edit row 2").click()
    page.locator(".ls-form textarea[data-role=assistant]").fill(NASTY)
    page.get_by_role("button", name="Keep this change").click()
    page.get_by_text("1 edit waits to be saved").wait_for()
    page.get_by_role("button", name="Drop row 3").click()
    page.get_by_role("button", name="Hold out: row 4", exact=True).click()
    page.get_by_text("3 edits wait to be saved").wait_for()
    page.get_by_role("button", name="Undo the last").click()
    page.get_by_text("2 edits wait to be saved").wait_for()
    page.get_by_label("Search").fill("count to 9.")
    page.get_by_label("Search").press("Enter")
    page.get_by_role("article", name="Row 8").wait_for(state="detached")
    assert page.get_by_role("article").count() == 1

    again = open_page(f"{address}/data?id={id}", PHONE)  # what waits is there on any screen
    again.get_by_text("2 edits wait to be saved").wait_for()
    again.get_by_label("What the version is for").fill("Two is louder")
    again.get_by_role("button", name="Save as version 2").click()
    again.get_by_text("version 2 of 2").wait_for()

    page.get_by_role("button", name="Drop row 9").click()  # on version 1, which is not the newest any more
    page.get_by_text("has been saved meanwhile").first.wait_for()

    page = open_page(f"{address}/data?id={id}")
    page.get_by_text("Two is louder").first.wait_for()
    page.get_by_role("button", name="Changes of version 2").click()
    page.get_by_role("article", name="Changed row 2").locator("ins").first.wait_for()
    assert page.locator("img[src=x]").count() == 0
    train = open_page(f"{address}/train?data={id}&version=1")
    version = train.get_by_label("Version of the data")
    version.wait_for()
    assert version.input_value() == "Version 1: As it was brought."
    train.get_by_text("30 rows, half").wait_for()
