"""Pictures of all pages from a real studio that has trained: `make screenshots` writes docs/screenshots/<page>-{desk,phone}-{light,dark}.png."""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.running import CHROMIUM, CHROMIUM_ARGS, ROOT, running_studio

SCREENS = {"desk": ({"width": 1440, "height": 900}, 1), "phone": ({"width": 390, "height": 844}, 2)}
COLOURS = 256  # of a picture's palette: pages are flat, and a picture stays below 150 kB
TRAIN_SECONDS = 1800
# Trained before the pictures are taken: all of them, then the first of the others is watched while it runs.
RUNS = (
    {"name": "pirate-tone", "dataset": "pirate"},
    {"name": "robot-tone", "dataset": "twoturnrobot", "method": {"name": "lora", "rank": 8}},
    {
        "name": "orders-as-json",
        "dataset": "orderstojson",
        "method": {"name": "lora", "rank": 8},
        "training": {"max_steps": 60},
    },
)
OTHERS = (
    {
        "name": "pirate-long",
        "dataset": "pirate",
        "method": {"name": "lora", "rank": 32},
        "training": {"epochs": 60, "evaluate_every": 100},
    },
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
    """Train RUNS to their end and the first of OTHERS for some steps. Returns the ids of RUNS."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=120) as api:
        ids = [queued(api, run) for run in RUNS]
        wait_for(api, ids, lambda run: run["state"] == "succeeded")
        watched, _ = [queued(api, run) for run in OTHERS]
        wait_for(api, [watched], lambda run: run["step"] >= 20)
    return ids


def wait_for(api: httpx.Client, ids: list[str], reached: Callable[[dict], bool]) -> None:
    give_up = time.monotonic() + TRAIN_SECONDS
    while True:
        seen = [api.get(f"/runs/{id}").json() for id in ids]
        if all(reached(run) for run in seen):
            return
        if time.monotonic() > give_up or any(run["state"] == "failed" for run in seen):
            raise SystemExit(
                f"The runs did not get there: {[(run['name'], run['state'], run['problem']) for run in seen]}"
            )
        time.sleep(2)


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
        in_palette(picture.convert("RGB")).save(path, optimize=True)
    print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB", flush=True)


def in_palette(picture: Image.Image) -> Image.Image:
    """The picture in its most frequent colours, which stay exactly as they are; the edges of letters take the nearest."""
    colours, place, counts = numpy.unique(
        numpy.asarray(picture).reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    kept = colours[numpy.argsort(counts)[-COLOURS:]].astype(int)
    nearest = [int(((kept - colour) ** 2).sum(axis=1).argmin()) for colour in colours]
    reduced = Image.fromarray(
        numpy.array(nearest, numpy.uint8)[place.reshape(-1)].reshape(picture.height, picture.width), "P"
    )
    reduced.putpalette(kept.astype(numpy.uint8).tobytes())
    return reduced


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "screenshots", help="where the pictures go (default: %(default)s)"
    )
    main(parser.parse_args().out)
