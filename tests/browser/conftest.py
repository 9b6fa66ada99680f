"""A real Chromium before a real studio. Every page must stay without an error in the browser's console."""

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.running import CHROMIUM, CHROMIUM_ARGS, running_studio

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def studio_app(tmp_path_factory):
    with running_studio(tmp_path_factory.mktemp("studio") / "data") as studio:
        yield studio


@pytest.fixture
def open_page(chromium):
    """open_page(address, viewport) → a new tab of one browser; at the end none of the tabs may have met an error.

    A tab is not led from page to page: that cuts off what it was just asking for, which Gradio tells as an error.
    """
    contexts, errors = {}, []

    def opened(address: str, viewport: dict = DESK, **options):
        key = (viewport["width"], *map(str, options.values()))
        if key not in contexts:
            contexts[key] = chromium.new_context(viewport=viewport, **options)
            contexts[key].set_default_timeout(90_000)
        page = contexts[key].new_page()
        page.on(
            "console", lambda message: errors.append(f"{page.url}: {message.text}") if message.type == "error" else None
        )
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        page.goto(address)
        page.locator(".ls-head h1").wait_for()
        return page

    yield opened
    for context in contexts.values():
        context.close()
    assert not errors


def wait_until(page, condition: str, argument=None, seconds: float = 60) -> None:
    """Wait for a JavaScript condition about the page."""
    page.wait_for_function(condition, arg=argument, timeout=seconds * 1000)
