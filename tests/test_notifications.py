"""Notifications: real receivers get what was promised, at least once and signed; nothing else on this machine can be reached by them."""

import hashlib
import hmac
import json
import socket
import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from jobs.postman import Postman
from studio import run_queue
from studio.errors import Conflict, Invalid, NotFound, StudioError, TooMany, Unavailable
from studio.notifications import addresses, channels, mail, messages, outbox, webhook
from studio.records import Channel, Delivery, Device, Notification, Person, Run, Status, Want, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.queueing import queued
from tests.receivers import CERTIFICATE, http_receiver, smtp_receiver

NASTY = "Pirate\r\nBcc: everybody@example.org\r\n\r\n<img src=x>\u2028\0"


@pytest.fixture
def hooks():
    with http_receiver() as receiver:
        yield receiver


def with_settings(studio, **settings) -> Studio:
    usual = {
        "data_folder": studio.settings.data_folder,
        "webhooks_to_private": True,
        "public_url": "https://lora.example.org/",
    }
    return Studio(StudioSettings(**{**usual, **settings}), studio.database, studio.data)


@pytest.fixture
def private(studio):
    """A studio whose webhooks may reach this machine."""
    return with_settings(studio)


def ended(studio, to=Status.SUCCEEDED, name="pirate", text="Finished after step 5.", want=Want.RUN, **values) -> Run:
    run = queued(studio, name, state=Status.RUNNING, want=want, epoch=1)
    return run_queue.settle(studio, run, to, text, **values)


def delivered(studio) -> list[Notification]:
    Postman(studio).deliver_all()
    return outbox.recent(studio)


def later(studio, **by):
    """Time goes by."""
    with studio.database.write() as session:
        for notification in session.query(Notification):
            notification.not_before -= timedelta(**by)


def test_a_webhook_gets_one_signed_message_when_a_run_is_done(private, hooks):
    channel = channels.add_channel(private, "webhook", f"{hooks.url}/hook?room=3")
    run = ended(private, heldout_loss=0.5, base_heldout_loss=2.0)
    [notification] = delivered(private)
    assert (notification.state, notification.tries, notification.run) == (Delivery.SENT, 1, run.id)
    [got] = hooks.got
    said = json.loads(got.body)
    assert got.path == "/hook?room=3"
    assert (said["event"], said["text"]) == ("run.done", "pirate: Finished after step 5.")
    assert said["run"]["url"] == f"https://lora.example.org/run?id={run.id}"
    assert (said["run"]["heldout_loss"], said["run"]["base_model"], said["run"]["dataset"]) == (
        0.5,
        "Small model",
        "Pirate talk",
    )
    assert said["id"] == got.headers["X-Studio-Delivery"] == notification.id
    at, _, mac = got.headers["X-Studio-Signature"].partition(",")
    signed = at.removeprefix("t=").encode() + b"." + got.body
    assert mac == "v1=" + hmac.new(channel.secret.encode(), signed, hashlib.sha256).hexdigest()


def test_each_person_is_told_of_what_they_chose_and_of_nothing_that_they_asked_for_themselves(private, hooks):
    with private.database.write() as session:
        session.add(Person(id="ann", name="Ann"))
    channels.add_channel(private, "webhook", f"{hooks.url}/mine", ["failed", "paused"])
    channels.add_channel(private, "webhook", f"{hooks.url}/anns", owner="ann")
    off = channels.add_channel(private, "webhook", f"{hooks.url}/off")
    channels.change_channel(private, off.id, active=False)
    ended(private)
    ended(private, Status.FAILED, text="It broke.\n\nThe end of the log:\nsecret", problem="It broke.", fix="Mend it.")
    ended(private, Status.PAUSED, text="Paused: the disk is full.", problem="The disk is full.", fix="Make room.")
    ended(private, Status.PAUSED, text="Paused.", want=Want.PAUSE)
    ended(private, Status.RETRY_WAIT, text="Tried again.")
    run = queued(private, "stopping", state=Status.CANCELLING, epoch=1)
    run_queue.settle(private, run, Status.CANCELLED, "Ended.")
    delivered(private)
    told = [(got.path, json.loads(got.body)["event"]) for got in hooks.got]
    assert sorted(told) == [("/mine", "run.failed"), ("/mine", "run.paused")]
    assert b"secret" not in b"".join(got.body for got in hooks.got)


def test_what_is_not_taken_is_tried_again_later_and_given_up_after_a_day(private, hooks):
    channels.add_channel(private, "webhook", hooks.url)
    hooks.answers = [(500, {}), (302, {"Location": "http://127.0.0.1:1/"})]
    ended(private)
    assert [(each.state, each.problem) for each in delivered(private)] == [
        (Delivery.WAITING, "127.0.0.1 answered with the status 500.")
    ]
    assert not outbox.is_due(private)
    later(private, seconds=31)
    assert "redirect (302), which is not followed" in delivered(private)[0].problem
    later(private, seconds=121)
    assert delivered(private)[0].state is Delivery.SENT
    assert len({json.loads(got.body)["id"] for got in hooks.got}) == 1
    hooks.answers = [(503, {})] * 20
    ended(private)
    for _ in range(len(outbox.PAUSES) + 3):
        later(private, days=1)
        newest = delivered(private)[0]
    assert (newest.state, newest.tries) == (Delivery.GIVEN_UP, len(outbox.PAUSES) + 1)


def test_a_runner_that_dies_while_it_sends_loses_nothing_and_the_double_has_the_same_id(private, hooks):
    channels.add_channel(private, "webhook", hooks.url)
    ended(private)
    notification, channel = outbox.claim(private)
    channels.deliver(private, channel, notification.id, notification.body)
    assert outbox.claim(private) is None  # nobody else sends it meanwhile
    later(private, seconds=121)
    assert delivered(private)[0].state is Delivery.SENT
    assert [got.headers["X-Studio-Delivery"] for got in hooks.got] == [notification.id] * 2
    outbox.settle(private, notification, "too late")  # the one that was taken for dead changes nothing any more
    assert outbox.recent(private)[0].state is Delivery.SENT


def test_many_at_once_send_each_once(private, hooks):
    channels.add_channel(private, "webhook", hooks.url)
    for number in range(12):
        ended(private, name=f"run {number}")
    threads = [threading.Thread(target=Postman(private).deliver_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hooks.got) == len({got.headers["X-Studio-Delivery"] for got in hooks.got}) == 12


def test_a_run_s_end_that_is_rolled_back_tells_nobody(private, hooks, monkeypatch):
    channels.add_channel(private, "webhook", hooks.url)

    def broken(*_):
        raise RuntimeError("the power fails")

    monkeypatch.setattr(messages, "address_of", broken)
    with pytest.raises(RuntimeError):
        ended(private)
    assert outbox.recent(private) == []
    with private.database.read() as session:
        assert session.query(Run).one().state is Status.RUNNING


def test_the_runner_s_tick_sends_beside_its_loop(private, hooks):
    channels.add_channel(private, "webhook", hooks.url)
    postman = Postman(private)
    postman.tick()
    assert postman.round is None
    ended(private)
    postman.tick()
    postman.round.join(30)
    assert outbox.recent(private)[0].state is Delivery.SENT


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/", "http://10.1.2.3/", "http://192.168.0.1/", "http://172.16.9.9/",
        "http://169.254.169.254/latest/meta-data", "http://[::ffff:127.0.0.1]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://100.64.0.1/",
        "http://2130706433/", "http://0x7f.1/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://224.0.0.1/",
    ],
)  # fmt: skip
def test_no_webhook_reaches_this_machine_or_a_private_network_unless_it_is_allowed(studio, url):
    with pytest.raises(Invalid, match=r"private network|no such host") as error:
        channels.add_channel(studio, "webhook", url)
    assert error.value.field == "address"
    with pytest.raises(StudioError):
        webhook.post(studio.settings, url, "s", "id", messages.body_of_test(studio.settings))


def test_where_it_is_allowed_a_cloud_s_metadata_and_the_studio_itself_stay_out(private):
    for url in (
        "http://169.254.169.254/",
        "http://0.0.0.0/",
        f"http://127.0.0.1:{private.settings.port}/api/v1/runs/x/cancel",
    ):
        with pytest.raises(Invalid):
            channels.add_channel(private, "webhook", url)


def test_a_name_that_turns_private_after_it_was_entered_is_refused_when_it_is_sent(studio, monkeypatch):
    answers = [[(2, 1, 6, "", ("93.184.216.34", 80))], [(2, 1, 6, "", ("127.0.0.1", 80))]]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
    channels.add_channel(studio, "webhook", "http://rebind.example.org/")
    ended(studio)
    assert "private network" in delivered(studio)[0].problem


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "file:///etc/passwd", "example.org", "", "http://", "http://a b/", "http://user:pw@example.org/", "http://example.org:99999/",
     "http://example.org/\r\nX: y", "http://é.example/", "http://example.org/" + "a" * 500, "http://[::1", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_refused_at_its_field(private, url):
    with pytest.raises(Invalid) as error:
        channels.add_channel(private, "webhook", url)
    assert error.value.field == "address"
    assert channels.list_channels(private) == []


def test_a_receiver_that_only_trickles_is_cut_off(private, monkeypatch):
    monkeypatch.setattr(webhook, "MOST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="could not be reached"):
            webhook.post(private.settings, url, "s", "id", messages.body_of_test(private.settings))


def test_over_tls_the_certificate_must_be_one_that_is_trusted(private, monkeypatch):
    with http_receiver(encrypted=True) as hooks:
        channel = channels.add_channel(private, "webhook", hooks.url)
        with pytest.raises(Unavailable, match="no certificate that can be trusted"):
            channels.send_test(private, channel.id)
        with private.database.write() as session:
            session.execute(update(Channel).values(tested_at=None))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        channels.send_test(private, channel.id)
    assert [json.loads(got.body)["event"] for got in hooks.got] == ["test"]


def mailing(studio, mails, **settings) -> Studio:
    usual = {
        "smtp_host": "localhost",
        "smtp_port": mails.port,
        "smtp_security": "none",
        "smtp_from": "studio@example.org",
    }
    return with_settings(studio, **{**usual, **settings})


def test_an_e_mail_says_what_came_of_the_run_and_a_name_adds_no_header(studio):
    with smtp_receiver() as mails:
        mailed = mailing(studio, mails)
        channels.add_channel(mailed, "email", " ann@example.org ")
        run = ended(mailed, Status.FAILED, name=NASTY, problem="Memory ran out.", fix="Halve the batch.")
        [notification] = delivered(mailed)
    assert notification.state is Delivery.SENT, notification.problem
    [message] = mails.got
    assert mails.recipients == ["ann@example.org"]
    assert message["To"] == "ann@example.org"
    assert message["Subject"] == "Failed: Pirate Bcc: everybody@example.org <img src=x>"
    assert message["Bcc"] is None
    assert message["Message-ID"] == f"<{notification.id}@lora-studio.invalid>"
    text = message.get_content()
    assert "Memory ran out.\nHalve the batch." in text.replace("\r\n", "\n")
    assert f"https://lora.example.org/run?id={run.id}" in text


def test_mail_goes_encrypted_and_signed_in_where_that_is_asked_for(studio, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv(mail.PASSWORD, "hunter2")
    with smtp_receiver(encrypted=True) as mails:
        mailed = mailing(studio, mails, smtp_security="starttls", smtp_user="studio")
        channel = channels.add_channel(mailed, "email", "ann@example.org")
        channels.send_test(mailed, channel.id)
    assert mails.encrypted == [True]
    assert len(mails.signed_in) == 1
    assert mails.got[0]["Subject"] == "LoRA Studio: a test"


def test_mail_is_never_sent_in_the_clear_where_encryption_is_asked_for(studio, monkeypatch):
    monkeypatch.setenv(mail.PASSWORD, "hunter2")
    with smtp_receiver() as mails:
        mailed = mailing(studio, mails, smtp_security="starttls", smtp_user="studio")
        channel = channels.add_channel(mailed, "email", "ann@example.org")
        with pytest.raises(Unavailable, match="offers no encryption"):
            channels.send_test(mailed, channel.id)
    assert (mails.got, mails.signed_in) == ([], [])


def test_a_mail_server_that_refuses_or_is_not_there_is_told_in_words(studio):
    with smtp_receiver() as mails:
        mails.refuse = "nobody@example.org"
        mailed = mailing(studio, mails)
        channel = channels.add_channel(mailed, "email", "nobody@example.org")
        with pytest.raises(Unavailable, match="takes no e-mail for nobody@example.org"):
            channels.send_test(mailed, channel.id)
    with pytest.raises(TooMany, match="a moment ago"):
        channels.send_test(mailed, channel.id)
    with studio.database.write() as session:
        session.execute(update(Channel).values(tested_at=utc_now() - timedelta(minutes=1)))
    with pytest.raises(Unavailable, match="could not be reached"):
        channels.send_test(mailed, channel.id)


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "a@b\r\nRCPT TO:<x@y>",
        "<ann@example.org>",
        "a@b,c@d",
        "ann@exa mple.org",
        "a" * 65 + "@example.org",
        "ann@example..org",
        '"x"@example.org',
        "",
    ],
)
def test_what_is_no_e_mail_address_is_refused_at_its_field(studio, address):
    mailed = with_settings(studio, smtp_host="localhost")
    with pytest.raises(Invalid) as error:
        channels.add_channel(mailed, "email", address)
    assert error.value.field == "address"


def test_without_a_mail_server_an_e_mail_cannot_be_chosen(studio):
    with pytest.raises(Invalid, match="no mail server") as error:
        channels.add_channel(studio, "email", "ann@example.org")
    assert error.value.field == "kind"


def test_channels_are_a_person_s_own_few_and_none_twice(private, hooks):
    with private.database.write() as session:
        session.add(Person(id="ann", name="Ann"))
    channel = channels.add_channel(private, "webhook", hooks.url)
    with pytest.raises(Conflict, match="told there already"):
        channels.add_channel(private, "webhook", hooks.url)
    for change in (channels.renew_secret, channels.send_test, channels.delete_channel, channels.change_channel):
        with pytest.raises(NotFound):
            change(private, channel.id, "ann")
    with pytest.raises(Invalid, match="Nothing is chosen"):
        channels.change_channel(private, channel.id, events=[])
    assert channels.renew_secret(private, channel.id).secret != channel.secret
    for number in range(channels.MOST - 1):
        channels.add_channel(private, "webhook", f"{hooks.url}/{number}")
    with pytest.raises(TooMany):
        channels.add_channel(private, "webhook", f"{hooks.url}/more")
    ended(private)
    channels.delete_channel(private, channel.id)
    assert len(outbox.recent(private, limit=50)) == channels.MOST - 1
    with private.database.read() as session:
        assert session.query(Device).count() == 0
