"""Every page with a screen's worth of content: at both widths, with hostile names, and what a person does on them without training."""

from urllib.parse import quote

import pytest

from studio.records import Status
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import DESK, PHONE, wait_until
from tests.browser.running import running_studio
from tests.finished_runs import NASTY, leave_run, what_comes_with_it

RUNS = {
    "doneaaaa": ("whale", Status.SUCCEEDED),
    "nastyaaa": (NASTY, Status.SUCCEEDED),
    "failaaaa": ("sql-helper", Status.FAILED),
    "pauseaaa": ("haiku", Status.PAUSED),
}
ADDRESSES = (
    "/", "/models", "/data", "/data?id=pirate", "/train", "/train?from=doneaaaa", "/runs", "/run?id=doneaaaa", "/run?id=failaaaa", "/run?id=pauseaaa", "/compare?a=doneaaaa&b=nastyaaa", "/compare?columns=doneaaaa*0.5+nastyaaa*-1,base,nastyaaa,doneaaaa",
    "/adapters", "/adapters?id=nastyaaa",
)  # fmt: skip
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter((element) => {
  const box = element.getBoundingClientRect();
  if (!box.width || box.right <= innerWidth + 1) return false;
  for (let outer = element.parentElement; outer && outer !== document.body; outer = outer.parentElement)
    if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(outer).overflowX)) return false;
  return true;
}).map((element) => `${element.tagName}.${element.className} to ${Math.round(element.getBoundingClientRect().right)}`)"""


@pytest.fixture(scope="module")
def studio_app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "data"
    studio = Studio.open(StudioSettings(data_folder=folder))
    what_comes_with_it(studio)
    for number in range(55):
        leave_run(studio, f"number {number}", Status.CANCELLED, id=f"many{number}")
    for id, (name, state) in RUNS.items():
        leave_run(
            studio, name, state, id=id, problem="It needs 41 GiB and there are 24." if state is Status.FAILED else None
        )
    studio.database.close()
    with running_studio(folder, STUDIO_RUNNER="false") as running:
        yield running


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_is_wider_than_the_screen_and_none_meets_an_error(studio_app, open_page, viewport):
    wide = {}
    for address in ADDRESSES:
        page = open_page(studio_app.address + address, viewport)
        page.locator("[aria-busy=true]").first.wait_for(state="detached")
        if found := page.evaluate(TOO_WIDE):
            wide[address] = found
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        page.close()
    assert not wide


def test_names_and_answers_of_a_person_are_shown_as_text(studio_app, open_page):
    places = {
        f"/runs?q={quote('window.hacked')}": "table a",
        "/run?id=nastyaaa": "h1",
        "/adapters": "table a",
        "/adapters?id=nastyaaa": "h1",
        "/compare?a=nastyaaa": ".ls-answer b",
    }
    for address, place in places.items():
        page = open_page(studio_app.address + address)
        page.locator(place, has_text=NASTY).first.wait_for()
        assert page.evaluate("window.hacked") is None, address
        assert page.locator("img[src=x]").count() == 0
        page.close()
    page = open_page(f"{studio_app.address}/run?id=nastyaaa")
    page.get_by_role("tab", name="Samples").click()
    page.locator(".ls-sample dd", has_text=NASTY).first.wait_for()
    assert page.evaluate("window.hacked") is None


def test_filters_of_the_runs_stay_after_a_reload(studio_app, open_page):
    page = open_page(f"{studio_app.address}/runs")
    page.locator("table a", has_text="whale").wait_for()
    page.get_by_label("Failed").check()
    page.locator("table a", has_text="whale").wait_for(state="detached")
    page.get_by_label("Search").fill("sql")
    wait_until(page, "() => location.search.includes('q=sql') && location.search.includes('state=Failed')")
    page.reload()
    page.locator("table a", has_text="sql-helper").wait_for()
    assert page.get_by_label("Search").input_value() == "sql"
    assert page.get_by_label("Failed").is_checked()
    assert page.locator("table tbody tr").count() == 1
    page.get_by_label("Search").fill("nothing like it")
    page.get_by_text("No run matches").wait_for()


def test_fifty_runs_are_a_page_and_the_rest_is_on_the_next(studio_app, open_page):
    full = "() => document.querySelectorAll('table tbody tr').length === 50"
    rest = "() => { const rows = document.querySelectorAll('table tbody tr').length; return rows > 0 && rows < 50; }"
    page = open_page(f"{studio_app.address}/runs")
    wait_until(page, full)
    page.get_by_role("button", name="Next 50").click()
    wait_until(page, rest)
    page.reload()
    wait_until(page, f"() => ({rest})() && location.search.includes('cursor')")
    page.get_by_role("button", name="Previous 50").click()
    wait_until(page, full)
    page.get_by_label("Search").fill("number")
    page.get_by_role("button", name="Next 50").click()  # at once: the later wish wins, however the answers come
    wait_until(page, rest)
    page.reload()
    wait_until(page, f"() => ({rest})() && location.search.includes('q=number&cursor')")


def test_a_failed_run_says_why_and_leads_to_another_try(studio_app, open_page):
    page = open_page(f"{studio_app.address}/run?id=failaaaa")
    page.get_by_text("It needs 41 GiB and there are 24.").wait_for()
    page.get_by_text("Halve the batch.").wait_for()
    page.get_by_role("link", name="Change and train again").click()
    page.wait_for_url("**/train?from=failaaaa")
    page.get_by_role("button", name="Start training").wait_for()


def test_what_cannot_be_undone_is_asked_first(studio_app, open_page):
    page = open_page(f"{studio_app.address}/run?id=many3")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="No, leave it").click()
    page.get_by_role("button", name="Delete the run").wait_for(state="hidden")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete the run").click()
    page.get_by_text("There is no such run").wait_for()


def test_unknown_runs_and_adapters_are_told_kindly(studio_app, open_page):
    for address, words in (
        ("/run?id=nothere", "There is no such run"),
        ("/run", "There is no such run"),
        ("/adapters?id=nothere", "There is no such adapter"),
    ):
        page = open_page(studio_app.address + address)
        page.get_by_text(words).wait_for()


def test_an_adapter_is_renamed_and_its_program_can_be_copied(studio_app, open_page):
    page = open_page(f"{studio_app.address}/adapters?id=doneaaaa", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("whale two")
    page.get_by_role("button", name="Save the name").click()
    page.get_by_role("heading", name="whale two").wait_for()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert "PeftModel.from_pretrained" in page.evaluate("navigator.clipboard.readText()")
    open_page(f"{studio_app.address}/adapters?q=two").locator("table a", has_text="whale two").wait_for()


def test_the_chosen_models_are_in_the_address(studio_app, open_page):
    page = open_page(f"{studio_app.address}/compare?a=doneaaaa")
    wait_until(page, "() => document.querySelectorAll('.ls-answer').length === 2")
    page.get_by_role("button", name="Add a column").click()
    page.locator(".ls-answer").nth(2).wait_for()
    page.get_by_label("Column 3", exact=True).select_option("nastyaaa")
    wait_until(page, "() => location.search.includes('columns=base,doneaaaa,nastyaaa')")
    page.reload()
    wait_until(page, "() => document.querySelectorAll('.ls-answer').length === 3")
