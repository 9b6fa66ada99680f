"""The adapter lab in a real Chromium: two adapters are mixed with sliders, and the result is looked at."""

import re

import pytest

from studio import base_models
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import wait_until
from tests.browser.running import running_studio
from tests.lora_adapters import add_lora


@pytest.fixture(scope="module")
def studio_with_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "data"
    studio = Studio.open(StudioSettings(data_folder=folder))
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, seed=1)
    add_lora(studio, "orders", rank=2, seed=2)
    studio.database.close()
    with running_studio(folder) as running:
        yield running


def test_two_adapters_are_mixed_with_sliders_and_the_result_is_looked_at(studio_with_two, open_page):
    page = open_page(f"{studio_with_two.address}/adapters")
    for name in ("pirate", "orders"):
        page.locator("#combine input").first.click()
        page.get_by_role("option", name=f"The {name}").click()
        page.get_by_label(f"Weight of The {name}").first.wait_for()
    page.get_by_label("number input for Weight of The orders").fill("-0.5")
    page.get_by_label("number input for Weight of The orders").press("Tab")
    page.get_by_role("button", name="Make the adapter").click()
    made = page.get_by_role("link", name="The pirate − 0.5 The orders").first
    made.wait_for()
    wait_until(page, "document.querySelector('.ls-jobs').textContent.includes('Exactly the sum of the updates')")
    id = re.search(r"id=(\w+)", made.get_attribute("href"))[1]
    page = open_page(f"{studio_with_two.address}/adapters?id={id}")
    page.locator(".ls-heat td b").first.wait_for()
    assert "weight -0.5" in page.locator(".ls-parents").inner_text()
    assert page.locator(".ls-heat tbody tr").count() == 6
    page.get_by_role("button", name="Make it smaller").click()
    page.get_by_text("All 6 of its directions are used").wait_for()
