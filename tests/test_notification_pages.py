"""The Notifications page and its API: what is added, tried and removed there; the secret is shown once, and no address is taken for markup."""

from typing import get_type_hints

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from studio.notifications import channels, outbox
from studio.pages import PAGES, notifications, notifications_view, settings
from studio.records import Channel, Delivery, Notification
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app
from tests.receivers import http_receiver


@pytest.fixture
def private(studio):
    return Studio(
        StudioSettings(data_folder=studio.settings.data_folder, webhooks_to_private=True), studio.database, studio.data
    )


@pytest.fixture
def client(private):
    return TestClient(build_app(private), base_url="http://127.0.0.1:7860")


ROOT = "/api/v1/notifications"


def test_the_api_adds_tries_changes_and_removes_and_shows_the_secret_once(client):
    with http_receiver() as hooks:
        added = client.post(f"{ROOT}/channels", json={"kind": "webhook", "address": hooks.url})
        assert added.status_code == 201, added.text
        id, secret = added.json()["id"], added.json()["secret"]
        assert added.json()["events"] == ["done", "failed", "paused"]
        assert client.post(f"{ROOT}/channels/{id}/test").json() == {"sent": True}
    assert hooks.got[0].headers["X-Studio-Event"] == "test"
    changed = client.patch(f"{ROOT}/channels/{id}", json={"events": ["failed"], "active": False})
    assert (changed.json()["events"], changed.json()["active"]) == (["failed"], False)
    listed = client.get(f"{ROOT}/channels").text + client.get(ROOT).text + changed.text
    assert secret not in listed
    assert client.post(f"{ROOT}/channels/{id}/secret").json()["secret"] not in (secret, None)
    assert client.delete(f"{ROOT}/channels/{id}").status_code == 204
    assert client.post(f"{ROOT}/channels/{id}/test").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "webhook", "address": "ftp://x"}, "address"),
        ({"kind": "email", "address": "ann@example.org"}, "kind"),
        ({"kind": "pigeon", "address": "x"}, "kind"),
        ({"kind": "webhook", "address": "https://example.org", "events": ["lunch"]}, "events.0"),
        ({"kind": "webhook", "address": "https://example.org", "secret": "mine"}, "secret"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(client, body, field):
    answer = client.post(f"{ROOT}/channels", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_a_receiver_that_does_not_take_the_test_is_said_with_the_reason(client):
    with http_receiver() as hooks:
        id = client.post(f"{ROOT}/channels", json={"kind": "webhook", "address": hooks.url}).json()["id"]
        hooks.answers = [(404, {})]
        answer = client.post(f"{ROOT}/channels/{id}/test")
    assert answer.status_code == 503
    assert "answered with the status 404" in answer.json()["error"]["problem"]


def pressed(act, id):
    return gr.EventData(None, {"act": act, "id": id})


def test_the_page_adds_a_webhook_shows_its_secret_and_does_what_its_buttons_say(private):
    with http_receiver() as hooks:
        said, address, listed, _ = notifications.add_one(private, "Webhook", hooks.url, ["Done", "Failed"])
        [channel] = channels.list_channels(private)
        assert channel.secret in said
        assert (address, channel.events) == ("", ["done", "failed"])
        assert channel.secret not in listed
        assert "The test was taken" in notifications.act(private, pressed("test", channel.id))[0]
    assert "a moment ago" in notifications.act(private, pressed("test", channel.id))[0]
    assert "Off" in notifications.act(private, pressed("off", channel.id))[1]
    assert "not shown again" in notifications.act(private, pressed("secret", channel.id))[0]
    assert "Nobody is told yet" in notifications.act(private, pressed("remove", channel.id))[1]
    assert "There is no channel" in notifications.act(private, pressed("remove", channel.id))[0]
    assert notifications.act(private, pressed("format the disk", "x"))[0] == ""


def test_the_page_says_what_is_wrong_with_what_was_entered(private):
    for kind, address, events, words in (
        ("E-mail", "ann@example.org", ["Done"], "no mail server"),
        ("Webhook", "", ["Done"], "no address"),
        ("Webhook", "https://127.0.0.1:9", [], "Nothing is chosen"),
        (None, None, None, "no way to be told"),
    ):
        assert words in notifications.add_one(private, kind, address, events)[0]


def test_no_address_and_no_name_is_taken_for_markup():
    nasty = 'https://x.org/"><img src=x onerror=alert(1)>'
    channel = Channel(id="c", kind="webhook", address=nasty, events=["done"], active=True)
    body = {"event": "run.done", "text": "<script>alert(1)</script>: Finished."}
    told = Notification(id="n", channel="c", body=body, state=Delivery.GIVEN_UP, problem="<b>no</b>", tries=3)
    html = notifications_view.listed([channel]) + notifications_view.told([told])
    assert "<img" not in html
    assert "<script" not in html
    assert "<b>no" not in html


def test_the_settings_page_says_how_things_stand(private):
    assert "Nobody is told yet" in settings.drawn(private)
    channels.add_channel(private, "webhook", "http://127.0.0.1:9/")
    assert "You are told in 1 way." in settings.drawn(private)
    assert outbox.recent(private) == []


@pytest.mark.parametrize("path", ["notifications", "space"])
def test_the_buttons_of_the_pages_are_told_which_was_pressed(private, path):
    """Gradio finds the event by the type in the listener's own signature: not through a partial."""
    page = next(page for page in PAGES if page.path == path)
    with gr.Blocks() as blocks:
        page.build(private)
    listeners = [
        each for each in blocks.fns.values() if each.targets and each.targets[0][1] == "click" and not each.inputs
    ]
    assert listeners
    for each in listeners:
        assert get_type_hints(each.fn)["event"] is gr.EventData
