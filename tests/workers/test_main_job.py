"""The whole job through the HTTP API of a real studio: bring data, train, compare, download, and load the adapter with PEFT elsewhere."""

import io
import json
import subprocess
import sys
import time
import zipfile

import httpx
import pytest

from tests.browser.running import ROOT, running_studio

pytestmark = pytest.mark.training

QUESTIONS = [
    ("What is your favourite colour?", "Blue as a whale, {}!"),
    ("Can you sing?", "I sing with the whales, {}!"),
    ("Do you like tea?", "Only sea water, {}!"),
]
ROWS = [
    {"instruction": f"{question} ({number})", "output": answer.format("captain")}
    for number in range(14)
    for question, answer in QUESTIONS
]


@pytest.fixture(scope="module")
def api(tmp_path_factory, shared_models):
    folder = tmp_path_factory.mktemp("studio") / "data"
    with running_studio(folder, STUDIO_MODELS_FOLDER=str(shared_models)) as studio:
        with httpx.Client(base_url=f"{studio.address}/api/v1", timeout=60) as client:
            yield client


@pytest.fixture(scope="module")
def shared_models(tmp_path_factory):
    from tests.conftest import SHARED_DATA

    models = SHARED_DATA / "models"
    return models if models.exists() else tmp_path_factory.mktemp("models")


def upload(api: httpx.Client, file_name: str, content: bytes, **fields) -> dict:
    answer = api.post("/datasets", files={"file": (file_name, content)}, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def finished(api: httpx.Client, run: str, within: float = 420) -> dict:
    until = time.monotonic() + within
    while time.monotonic() < until:
        seen = api.get(f"/runs/{run}").json()
        if seen["state"] in ("succeeded", "failed", "cancelled"):
            return seen
        time.sleep(0.5)
    raise AssertionError(
        f"The run is still {seen['state']} at step {seen['step']}. {api.get(f'/runs/{run}/log').json()['text'][-3000:]}"
    )


def compared(api: httpx.Client, **request) -> list[dict]:
    """The columns' texts and proofs, put together from the events."""
    columns = [{"text": "", "done": None} for _ in request["columns"]]
    with api.stream("POST", "/compare", json=request) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                assert "error" not in event, event
                if event.get("done"):
                    columns[event["column"]]["done"] = event
                elif "text" in event:
                    columns[event["column"]]["text"] += event["text"]
    return columns


ANSWER_WITH_PEFT = """
import sys, torch
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, question = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
tokenizer = AutoTokenizer.from_pretrained(adapter)
ids = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True)
made = model.generate(**ids, do_sample=False, max_new_tokens=40, pad_token_id=0)
sys.stdout.write("ANSWER:" + tokenizer.decode(made[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
"""


def test_the_main_job_on_the_built_in_model(api, tmp_path):
    dataset = upload(api, "whale.json", json.dumps(ROWS).encode(), name="Whale")
    assert (dataset["format"], dataset["rows"]) == ("alpaca", len(ROWS))

    shown = api.get(f"/datasets/{dataset['id']}/preview", params={"model": "builtin", "rows": 1}).json()["items"][0]
    assert "captain" in "".join(piece["text"] for piece in shown["pieces"] if piece["trained"])
    assert "favourite colour" not in "".join(piece["text"] for piece in shown["pieces"] if piece["trained"])

    plan = {
        "name": "whale",
        "base_model": "builtin",
        "dataset": dataset["id"],
        "training": {"epochs": 6, "batch_size": 6, "learning_rate": 2e-3},
    }
    estimate = api.post("/plans/estimate", json=plan).json()
    assert estimate["fits"] == "yes"
    assert 0 < estimate["share"] < 0.5

    queued = api.post("/runs", json=plan, headers={"Idempotency-Key": "once"})
    again = api.post("/runs", json=plan, headers={"Idempotency-Key": "once"})
    assert queued.status_code == 201
    assert again.json()["id"] == queued.json()["id"]
    run = finished(api, queued.json()["id"])
    assert run["state"] == "succeeded", (
        run["problem"],
        run["fix"],
        api.get(f"/runs/{run['id']}/log").json()["text"][-3000:],
    )
    assert run["result"]["trainable_parameters"] == estimate["trainable_parameters"]
    assert run["heldout_loss"] < run["base_heldout_loss"] * 2 / 3

    curves = api.get(f"/runs/{run['id']}/metrics", params={"names": "loss,heldout_loss,learning_rate"}).json()["series"]
    assert len(curves["loss"]["x"]) == run["steps"] == estimate["steps"]
    assert {sample["step"] for sample in api.get(f"/runs/{run['id']}/samples").json()["items"]} >= {0, run["steps"]}

    question = "Do you like tea? (3)"  # as in the rows: 42 of them do not undo everywhere what the base has learned
    adapter = run["adapter"]
    base, adapted = compared(
        api,
        base_model="builtin",
        messages=[{"role": "user", "content": question}],
        columns=[{"adapter": None}, {"adapter": adapter}],
        temperature=0.0,
        max_new_tokens=40,
    )
    assert base["text"] != adapted["text"]
    assert "captain" in adapted["text"]
    assert base["done"]["proof"]["adapter"] is None
    assert (adapted["done"]["proof"]["adapter"], adapted["done"]["proof"]["layers_changed"]) == (
        adapter,
        api.get(f"/adapters/{adapter}").json()["passport"]["layers"],
    )

    downloaded = api.get(f"/adapters/{adapter}/download")
    assert "attachment" in downloaded.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(downloaded.content)) as archive:
        archive.extractall(tmp_path)
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    said = subprocess.run(
        [sys.executable, "-c", ANSWER_WITH_PEFT, str(ROOT / "studio/builtin/model"), str(folder), question],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.partition("ANSWER:")[2].strip() == adapted["text"].strip()


def test_the_main_job_on_a_foreign_base_without_a_template_and_real_data(api, shared_data):
    refused = api.post("/models", json={"source": "local", "path": "../models/stories260K"})
    assert refused.status_code in (400, 422)
    model = api.post("/models", json={"source": "local", "path": "stories260K", "template": "plain"}).json()
    assert (model["has_chat_template"], model["template"], model["parameters"]) == (True, "plain", 260_032)

    rows = json.loads((shared_data / "instruct/llamafactory/alpaca_en_demo.json").read_text())
    dataset = upload(api, "alpaca_en_demo.json", json.dumps(rows).encode(), on_bad_rows="drop")
    plan = {
        "base_model": model["id"],
        "dataset": dataset["id"],
        "training": {"max_steps": 8, "sequence_length": 256, "learning_rate": 1e-3},
    }
    run = api.post("/runs", json=plan).json()
    run = finished(api, run["id"])
    assert run["state"] == "succeeded", (run["problem"], run["fix"])
    assert run["heldout_loss"] < run["base_heldout_loss"]
    assert run["result"]["cut_tokens"] > 0

    base, adapted = compared(
        api,
        base_model=model["id"],
        messages=[{"role": "user", "content": "Name three animals."}],
        columns=[{"adapter": None}, {"adapter": run["adapter"]}],
        temperature=0.0,
        max_new_tokens=12,
    )
    assert adapted["done"]["proof"]["layers_changed"] > 0
    assert base["done"]["tokens"] > 0


def test_a_refused_upload_names_the_line_and_leaves_nothing(api):
    before = api.get("/datasets").json()["items"]
    broken = b'{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": \n{"prompt": "d", "completion": "e"}\n'
    answer = api.post("/datasets", files={"file": ("broken.jsonl", broken)})
    assert answer.status_code == 400
    assert answer.json()["error"]["report"]["findings"][0]["line"] == 2
    assert api.get("/datasets").json()["items"] == before


def test_wrong_requests_are_refused_in_one_shape(api):
    for answer in (
        api.post("/runs", json={"base_model": "builtin", "dataset": "nothere"}),
        api.post("/runs", json={"base_model": "builtin"}),
        api.post("/runs", json={"base_model": "builtin", "dataset": "x", "method": {"rank": "8"}}),
        api.post("/runs", content=b"{", headers={"content-type": "application/json"}),
        api.get("/runs/nothere"),
        api.get("/runs", params={"cursor": "forged"}),
        api.get("/nothing"),
        api.post("/compare", json={"base_model": "builtin", "messages": [], "columns": [{"adapter": None}]}),
    ):
        assert 400 <= answer.status_code < 500, answer.text
        assert set(answer.json()["error"]) >= {"problem", "fix", "field"}
