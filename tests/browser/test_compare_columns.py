"""Columns of the Compare page in the browser: a mix that is moved, asked and saved, own settings, an edited question, and the keyboard."""

import re

import pytest

from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import PHONE, wait_until
from tests.browser.running import running_studio
from tests.finished_runs import what_comes_with_it
from tests.random_adapter import leave_adapter

NAMES = {"tulipaaa": "tulip-tone", "walrusaa": "walrus-tone"}
ALL_ANSWERED = """() => document.querySelectorAll('.ls-answer').length === document.querySelectorAll('.ls-answer .ls-proof:not(:empty)').length
  && !document.querySelector('.ls-answer[aria-busy]')"""
ON_TOP = """() => {
  const button = document.querySelector('.ls-mend button[data-act]'), at = button && button.getBoundingClientRect();
  return at && button.contains(document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2));
}"""
FOCUSED = "document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def studio_app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "data"
    studio = Studio.open(StudioSettings(data_folder=folder))
    what_comes_with_it(studio)
    for seed, (id, name) in enumerate(NAMES.items()):
        leave_adapter(studio, id, name, seed, strength=0.15)
    studio.database.close()
    with running_studio(folder) as running:
        yield running


def ask(page, question: str) -> None:
    page.get_by_label("Question").fill(question)
    page.get_by_label("Question").press("Enter")
    page.get_by_text(question).first.wait_for()
    wait_until(page, ALL_ANSWERED)


def test_a_mix_answers_with_the_weights_of_its_sliders_and_is_saved_with_them(studio_app, open_page):
    page = open_page(f"{studio_app.address}/compare?a=tulipaaa")
    page.get_by_role("button", name="Add a column").click()
    page.get_by_label("Column 3", exact=True).select_option("mix")
    slider = page.get_by_label("Weight of walrus-tone", exact=True)
    slider.fill("-0.5")
    wait_until(page, "() => /columns=base,tulipaaa,[^&]*walrusaa\\*-0.5/.test(location.search)")
    ask(page, "What is the capital city of Italy?")
    page.get_by_text(re.compile("− ?0.5 × walrus-tone")).first.wait_for()
    page.get_by_label("Weight of walrus-tone, as a number").fill("0.25")
    wait_until(page, "() => location.search.includes('walrusaa*0.25')")
    ask(page, "And of France?")
    page.get_by_text("0.25 × walrus-tone").wait_for()
    page.get_by_role("button", name="Save this mix as an adapter").click()
    page.get_by_role("link", name="Open the adapter").wait_for()
    again = open_page(page.url)
    again.locator(".ls-mix").wait_for()
    assert again.get_by_label("Weight of walrus-tone", exact=True).input_value() == "0.25"


def test_own_settings_and_an_edited_question_work_by_keyboard_alone(studio_app, open_page):
    page = open_page(f"{studio_app.address}/compare?columns=base,base,tulipaaa")
    page.locator(".ls-answer").nth(2).wait_for()
    page.locator(".ls-own summary").nth(1).press("Enter")
    page.locator(".ls-own textarea").nth(1).fill("Answer in one word.")
    page.locator(".ls-own textarea").nth(1).press("Tab")
    wait_until(page, "() => location.search.includes('system2=Answer+in+one+word.')")
    ask(page, "What is the capital city of Italy?")
    page.locator(".ls-answer").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == "Adapter tulip-tone"
    page.keyboard.press("r")
    page.get_by_text("draw 2").wait_for()
    wait_until(page, ALL_ANSWERED)
    page.keyboard.press("Escape")
    wait_until(page, "() => document.activeElement.tagName === 'TEXTAREA'")
    page.keyboard.press("ArrowUp")
    page.get_by_text("You are editing question 1.").wait_for()
    assert page.get_by_label("Question").input_value() == "What is the capital city of Italy?"
    ask(page, "Who are you?")
    assert page.locator(".ls-answer .q").count() == 3


def test_on_a_phone_answers_are_written_in_sight_and_nothing_lies_on_what_is_asked(studio_app, open_page):
    page = open_page(f"{studio_app.address}/compare?columns=base,tulipaaa,tulipaaa*0.5%2Bwalrusaa*0.5", PHONE)
    page.locator(".ls-mix").wait_for()
    page.locator(".ls-answer").nth(2).wait_for()
    ask(page, "Who are you?")
    assert page.evaluate("document.querySelector('.ls-answers').getBoundingClientRect().top < innerHeight / 2")
    page.get_by_role("button", name="Edit turn 1").first.click()
    editing = page.get_by_text("You are editing question 1.")
    editing.wait_for()
    assert editing.bounding_box()["y"] < page.get_by_label("Question").bounding_box()["y"] < PHONE["height"]
    page.get_by_role("button", name="Leave it as it was").click()
    page.get_by_role("button", name="Mend the data from the answer of Built-in (base)").click()
    wait_until(page, ON_TOP)  # neither the question nor the bar of the pages covers its buttons
