"""The web process dies in the middle of a training: the training goes on, and the page of a new process finds it."""

import httpx

from tests.browser.conftest import wait_until
from tests.browser.running import end, start
from tests.browser.test_main_job import POINTS, READY, TRAIN_SECONDS


def test_a_run_outlives_the_web_process_and_is_found_again(tmp_path, open_page):
    folder = tmp_path / "data"
    first = start(folder)
    try:
        plan = {
            "name": "survivor",
            "base_model": "builtin",
            "dataset": "pirate",
            "training": {"max_steps": 14, "batch_size": 8},
        }
        run = httpx.post(f"{first.address}/api/v1/runs", json=plan, timeout=60).json()["id"]
        page = open_page(f"{first.address}/run?id={run}")
        wait_until(page, POINTS, seconds=TRAIN_SECONDS)
        page.close()
        first.kill()

        second = start(folder)
        page = open_page(f"{second.address}/run?id={run}")
        wait_until(page, READY, seconds=TRAIN_SECONDS)
        told = httpx.get(f"{second.address}/api/v1/runs/{run}", timeout=60).json()
        assert (told["state"], told["attempt"], told["step"]) == ("succeeded", 1, 14)
    finally:
        for studio in (first, locals().get("second")):
            if studio:
                end(folder, studio.process)
