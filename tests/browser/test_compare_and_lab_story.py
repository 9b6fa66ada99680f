"""Compare and lab as one story in the browser: two adapters trained, compared, voted on, checked, mended, stacked, merged, and taken elsewhere."""

import re

import pytest

from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import wait_until
from tests.browser.running import running_studio
from tests.dataset_files import COUNTING, add_rows
from tests.finished_runs import what_comes_with_it
from tests.workers.test_main_job import ROWS

pytestmark = pytest.mark.training

DATA = {"whale": ROWS[:12], "counting": COUNTING[:12]}
QUESTION = "Do you like tea? (3)"
SHORT = "most=16"  # at temperature 0, as the address is silent about it
ANSWERED = """(turns) => [...document.querySelectorAll('.ls-answer')].every((column) => !column.matches('[aria-busy]')
  && column.querySelectorAll('.q').length === turns && column.querySelector('.ls-proof:not(:empty)'))"""
ENDED = """() => {
  const failed = document.querySelector('h1 .ls-chip.bad') && document.querySelector('.ls-banner.bad');
  if (failed) throw new Error(failed.textContent);
  return document.querySelector('.ls-banner.ok');
}"""
FINISHED = """(name) => {
  const job = [...document.querySelectorAll('.ls-jobs li')].find((row) => row.querySelector('.ls-name').textContent === name);
  if (job && job.querySelector('.ls-banner.bad')) throw new Error(job.textContent);
  return job && job.querySelector('.ls-chip').textContent === 'Done';
}"""
KEPT = "new URLSearchParams(location.search).get('talk')"
LONG = 300  # seconds a worker may take on a machine that is busy with other tests


@pytest.fixture(scope="module")
def studio_with_data(tmp_path_factory):
    place = tmp_path_factory.mktemp("studio")
    studio = Studio.open(StudioSettings(data_folder=place / "data"))
    what_comes_with_it(studio)
    data = {name: add_rows(studio, place, rows, f"{name}.jsonl").id for name, rows in DATA.items()}
    studio.database.close()
    with running_studio(place / "data") as running:
        yield running.address, data


@pytest.fixture(scope="module")
def empty_studio(tmp_path_factory):
    with running_studio(tmp_path_factory.mktemp("elsewhere") / "data") as running:
        yield running.address


@pytest.fixture(scope="module")
def told() -> dict:
    """What one step hands on to the next: ids, answers, the zip."""
    return {}


def ask(page, question: str, turn: int = 1) -> list[str]:
    """Put the question to all columns; what each of them says to it, and how many tokens that were."""
    page.get_by_label("Question").fill(question)
    page.get_by_label("Question").press("Enter")
    wait_until(page, ANSWERED, turn, LONG)
    return [
        f"{column.locator('.a').last.inner_text()} [{column.locator('.ls-col-h .r').inner_text().partition(' · ')[0]}]"
        for column in page.locator(".ls-answer").all()
    ]


def done(page, name: str) -> str:
    """Wait until this work of the lab is done; where its result is shown."""
    wait_until(page, FINISHED, name, LONG)
    return page.locator(".ls-jobs").get_by_role("link", name=name, exact=True).first.get_attribute("href")


def test_two_adapters_are_trained(studio_with_data, open_page, told):
    address, data = studio_with_data
    started = []
    for name, id in data.items():
        page = open_page(f"{address}/train?model=builtin&data={id}")
        page.get_by_role("button", name="Start training").wait_for()
        for label, value in (("Epochs", "6"), ("Learning rate", "0.004"), ("Batch size", "4"), ("Name", name)):
            page.get_by_label(label).first.fill(value)
        page.locator(".ls-cost, .ls-facts", has_text="4e-3").first.wait_for()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/run?id=*")
        told[name] = page.url.split("id=")[1]
        started.append(page)
    for page in started:
        wait_until(page, ENDED, seconds=LONG)


def test_three_columns_are_compared_in_two_turns(studio_with_data, open_page, told):
    address, _ = studio_with_data
    page = open_page(f"{address}/compare?columns=base,{told['whale']},{told['counting']}&{SHORT}")
    page.locator(".ls-answer").nth(2).wait_for()
    first = ask(page, QUESTION)
    assert len(set(first)) == 3, "three models, three answers"
    wait_until(page, f"() => {KEPT}")
    kept = page.evaluate(KEPT)
    assert ask(page, "Count to 3.", turn=2)[2] != first[2]
    wait_until(page, f"(before) => {KEPT} !== before", kept)
    told["talk"] = page.url
    proofs = [column.locator(".ls-proof").inner_text() for column in page.locator(".ls-answer").all()]
    assert "no layer changed" in proofs[0]
    assert all(f"adapter {name} · changed 42 layers" in proof for name, proof in zip(DATA, proofs[1:], strict=True))
    told["first"] = first
    told["columns"] = page.locator(".ls-answers").inner_text()


def test_the_page_that_is_opened_again_shows_the_same_conversation(open_page, told):
    page = open_page(told["talk"])
    page.locator(".ls-answer .a").first.wait_for()
    assert page.locator(".ls-answers").inner_text() == told["columns"]


def test_a_blind_vote_is_cast_and_revealed(studio_with_data, open_page, told):
    address, _ = studio_with_data
    page = open_page(f"{address}/compare?columns=base,{told['whale']},{told['counting']}&{SHORT}&blind=1")
    page.locator(".ls-answer").nth(2).wait_for()
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_label("Question").press("Enter")
    page.locator(".ls-votes button:not(:disabled)").first.wait_for()
    hidden = [part.inner_text() for part in page.locator(".ls-answer .a").all()]
    assert sorted(hidden) == sorted(answer.rpartition(" [")[0] for answer in told["first"])
    assert not [name for name in DATA if name in page.locator(".ls-answers").inner_text()]
    place = hidden.index(told["first"][1].rpartition(" [")[0])
    page.get_by_role("button", name=f"{'ABC'[place]} is better").click()
    page.get_by_text(f"You found answer {'ABC'[place]} best: the adapter whale.").wait_for()
    results = open_page(f"{address}/votes")
    results.get_by_text("1 of at least 10 votes").first.wait_for()


def test_a_suite_is_answered_and_its_check_tells_base_and_adapter_apart(studio_with_data, open_page, told):
    page = open_page(f"{studio_with_data[0]}/suites")
    page.get_by_label("Name").first.fill("Tea")
    page.get_by_label("Questions, one per line").fill(QUESTION)
    page.get_by_role("button", name="Make the suite").click()
    page.get_by_role("button", name="Edit prompt 1").click()
    page.get_by_label("Expected answer").fill("Only sea water, captain!")
    page.get_by_role("button", name="Save the prompt").click()
    page.get_by_text("is “Only sea water, captain!”").first.wait_for()
    page.get_by_label("Adapters and checkpoints (up to 3)").click()
    page.get_by_role("option", name="whale", exact=True).click()
    page.get_by_role("button", name="Answer the suite").click()
    page.get_by_text("1 of 1 passed").wait_for(timeout=LONG * 1000)
    page.get_by_text("0 of 1 passed").wait_for()


def test_a_bad_answer_is_mended_into_a_new_version_of_the_data(studio_with_data, open_page, told):
    address, data = studio_with_data
    page = open_page(f"{address}/compare?a={told['counting']}&{SHORT}")
    page.locator(".ls-answer").nth(1).wait_for()
    ask(page, "Count to 3.")
    page.get_by_role("button", name="Mend the data from the answer of counting").click()
    page.get_by_label("The right answer").fill("One, two, three!")
    page.get_by_role("button", name="Save as version 2").click()
    page.get_by_text("Version 2 of 'counting' is saved.").wait_for()
    for version, answer in ((1, "3!"), (2, "One, two, three!")):
        page = open_page(f"{address}/data?id={data['counting']}&version={version}")
        page.get_by_role("article", name="Row 3", exact=True).get_by_text(answer).first.wait_for()


def test_a_stack_is_mixed_with_sliders_and_saved(studio_with_data, open_page, told):
    page = open_page(f"{studio_with_data[0]}/adapters")
    for name in DATA:
        page.locator("#combine input").first.click()
        page.get_by_role("option", name=name).click()
        page.get_by_label(f"Weight of {name}").first.wait_for()
    page.get_by_label("range slider for Weight of whale").fill("0.75")
    page.get_by_label("number input for Weight of counting").fill("-0.5")
    page.route("**/compare?*", lambda route: route.fulfill(status=204))  # where it leads to is opened in the next step
    with page.expect_request("**/compare?*") as preview:
        page.get_by_role("button", name="Try it in Compare").click()  # right after typing
    told["preview"] = preview.value.url
    assert f"columns=base,{told['whale']}*0.75+{told['counting']}*-0.5" in told["preview"]
    page.get_by_label("Name").first.fill("both")
    page.get_by_role("button", name="Make the adapter").click()
    told["both"] = re.search(r"id=(\w+)", done(page, "both"))[1]


def test_the_saved_stack_answers_as_its_preview_did(open_page, told):
    page = open_page(f"{told['preview']},{told['both']}&{SHORT}")
    page.locator(".ls-answer").nth(2).wait_for()
    base, live, saved = ask(page, QUESTION)
    assert saved == live != base
    told["answer"] = saved


def test_it_is_merged_and_the_merged_model_answers_the_same(studio_with_data, open_page, told):
    address, _ = studio_with_data
    page = open_page(f"{address}/adapters?id={told['both']}")
    page.get_by_role("button", name="Merge into the base").click()
    page.get_by_label("Name").last.fill("merged both")
    page.get_by_role("button", name="Merge", exact=True).click()
    assert done(page, "merged both") == "/models"
    models = open_page(f"{address}/models")
    chat = models.get_by_role("link", name="Chat with merged both").get_attribute("href")
    merged = open_page(f"{address}{chat}&{SHORT}")
    merged.locator(".ls-answer").wait_for()
    assert ask(merged, QUESTION) == [told["answer"]]


def test_downloaded_and_imported_into_an_empty_studio_it_answers_the_same(
    studio_with_data, empty_studio, open_page, told, tmp_path
):
    assert told["answer"]
    page = open_page(f"{studio_with_data[0]}/adapters")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download both").click()
    taken = tmp_path / download.value.suggested_filename
    download.value.save_as(taken)
    page = open_page(f"{empty_studio}/adapters")
    page.locator("#import input[type=file]").set_input_files(taken)
    uploaded = page.get_by_role("cell", name=taken.name, exact=True)  # while it goes up its name stands there as well
    uploaded.wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("both is here now.").wait_for()
    id = re.search(r"id=(\w+)", page.get_by_role("link", name="Look at it").get_attribute("href"))[1]
    page = open_page(f"{empty_studio}/compare?a={id}&{SHORT}")
    page.locator(".ls-answer").nth(1).wait_for()
    base, imported = ask(page, QUESTION)
    assert imported == told["answer"] != base
    assert base == told["first"][0]
