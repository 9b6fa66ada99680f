"""Suites in a real Chromium: written, answered by base and adapter, filtered, looked at, taken along, and forgetting told."""

import pytest

from studio import base_models
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import PHONE, wait_until
from tests.browser.running import running_studio
from tests.lora_adapters import add_lora

ASKED = "What is the capital of France?\nWhat is 2 + 3?\n<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def studio_with_one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / "data"
    studio = Studio.open(StudioSettings(data_folder=folder))
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, seed=1)
    studio.database.close()
    with running_studio(folder) as running:
        yield running


@pytest.mark.training
def test_a_suite_is_written_answered_filtered_and_taken_along(studio_with_one, open_page):
    page = open_page(f"{studio_with_one.address}/suites")
    page.get_by_label("Name").first.fill("Small talk")
    page.get_by_label("Questions, one per line").fill(ASKED)
    page.get_by_role("button", name="Make the suite").click()
    page.get_by_role("heading", name="Small talk").wait_for()
    page.get_by_role("button", name="Edit prompt 1").click()
    page.get_by_label("Expected answer").fill("The capital of France is Paris")
    page.get_by_role("button", name="Save the prompt").click()
    wait_until(page, "document.body.textContent.includes('is “The capital of France is Paris”')")
    page.get_by_label("Adapters and checkpoints (up to 3)").click()
    page.get_by_role("option", name="The pirate", exact=True).click()
    page.get_by_role("button", name="Answer the suite").click()
    page.get_by_text("1 of 1 passed").wait_for()
    address = page.url
    assert "/answers?id=" in address
    worse = open_page(f"{address}&show=worse")
    worse.locator(".ls-answers-t tbody tr").first.wait_for()
    assert worse.locator(".ls-answers-t tbody tr").count() == 1
    worse.locator(".ls-answers-t tbody a").first.click()
    worse.get_by_role("heading", name="Word differences against the base").wait_for()
    assert worse.locator(".ls-answers .ls-chip").all_inner_texts() == ["Pass", "Fail"]
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    told = taken.value.path().read_text(encoding="utf-8-sig")
    assert "The capital of France is Paris." in told
    assert "<img src=x" in told
    phone = open_page(address, PHONE)
    phone.locator(".ls-answers-t tbody tr").first.wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert phone.locator(".ls-answers-t tbody tr").count() == 3


def test_what_an_adapter_has_forgotten_is_asked_for_on_its_page(studio_with_one, open_page):
    page = open_page(f"{studio_with_one.address}/adapters?id=pirate")
    page.get_by_role("button", name="Look what it has forgotten").click()
    page.get_by_text("What it has forgotten is being looked at.").wait_for()
    address = page.get_by_role("link", name="Look at it").get_attribute("href")
    answers = open_page(f"{studio_with_one.address}{address}")
    answers.get_by_role("button", name="Cancel").click()
    answers.get_by_role("button", name="Delete…").wait_for()
