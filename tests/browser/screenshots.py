"""Pictures of all pages from a real studio that has trained: `make screenshots` writes docs/screenshots/<page>-{desk,phone}-{light,dark}.png."""

import argparse
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.running import CHROMIUM, CHROMIUM_ARGS, ROOT, running_studio

SCREENS = {"desk": ({"width": 1440, "height": 900}, 1), "phone": ({"width": 390, "height": 844}, 2)}
COLOURS = 192  # of a picture's palette: pages are flat, and a picture stays below 150 kB
TRAIN_SECONDS = 1800
# Trained before the pictures are taken; the last ones stay in the queue, so that there is something to watch.
RUNS = (
    {"name": "pirate-tone", "dataset": "pirate", "training": {"max_steps": 60}},
    {
        "name": "orders-as-json",
        "dataset": "orderstojson",
        "method": {"name": "lora", "rank": 8},
        "training": {"max_steps": 30},
    },
)
WAITING = (
    {"name": "pirate-long", "dataset": "pirate", "method": {"name": "lora", "rank": 32}},
    {"name": "review-labels", "dataset": "reviewlabels"},
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="studio-pictures-") as temporary:
        with running_studio(Path(temporary) / "data") as studio:
            ids = trained(studio.address)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
                for screen in SCREENS:
                    for theme in ("light", "dark"):
                        take_all(browser, studio.address, ids, folder, screen, theme)
                browser.close()


def trained(address: str) -> list[str]:
    """Train RUNS to their end, then queue WAITING. Returns the ids of what was trained."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=120) as api:
        ids = [queued(api, run) for run in RUNS]
        give_up = time.monotonic() + TRAIN_SECONDS
        while any(api.get(f"/runs/{id}").json()["state"] != "succeeded" for id in ids):
            if time.monotonic() > give_up:
                raise SystemExit(
                    f"The runs are not done after {TRAIN_SECONDS} s: {[api.get(f'/runs/{id}').json() for id in ids]}"
                )
            time.sleep(2)
        ids += [queued(api, run) for run in WAITING]
    return ids


def queued(api: httpx.Client, run: dict) -> str:
    answer = api.post("/runs", json={"base_model": "builtin", **run})
    answer.raise_for_status()
    return answer.json()["id"]


def take_all(browser: Browser, address: str, ids: list[str], folder: Path, screen: str, theme: str) -> None:
    viewport, scale = SCREENS[screen]
    context = browser.new_context(
        viewport=viewport, device_scale_factor=scale, color_scheme=theme, reduced_motion="reduce"
    )
    context.set_default_timeout(120_000)
    pages = {
        "home": "/",
        "models": "/models",
        "data": "/data?id=pirate",
        "train": "/train?model=builtin&data=pirate",
        "runs": "/runs",
        "run": f"/run?id={ids[0]}",
        "compare": f"/compare?a={ids[0]}&b={ids[1]}",
        "adapters": "/adapters",
    }
    for name, path in pages.items():
        page = context.new_page()
        page.goto(address + path)
        page.locator(".ls-head h1").wait_for()
        page.locator("[aria-busy=true]").first.wait_for(state="detached")
        if name == "compare":
            ask(page)
        page.wait_for_timeout(1500)  # fonts and curves
        take(page, folder / f"{name}-{screen}-{theme}.png")
        page.close()
    context.close()


def ask(page: Page) -> None:
    """The first example question, answered by all columns."""
    page.locator(".ls-answer").nth(2).wait_for()
    page.locator(".ls-examples button").first.click()
    page.get_by_text("changed 42 layers").nth(1).wait_for()
    page.evaluate("document.activeElement.blur()")


def take(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            path, optimize=True
        )
    print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "screenshots", help="where the pictures go (default: %(default)s)"
    )
    main(parser.parse_args().out)
