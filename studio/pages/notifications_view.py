"""How the ways of being told, and what was told, are drawn. Addresses and names are somebody's text: escaped."""

from html import escape

from studio.notifications.messages import EVENTS
from studio.pages import parts, words
from studio.pages.events import action
from studio.records import Channel, Delivery, Notification

CRUMB = '<a href="/settings">Settings</a> / Notifications'
KINDS = {"webhook": "Webhook", "email": "E-mail"}
CHIPS = {
    Delivery.WAITING: ("Waiting", "warn"),
    Delivery.SENDING: ("Sending", "running"),
    Delivery.SENT: ("Sent", "ok"),
    Delivery.GIVEN_UP: ("Given up", "bad"),
}


def listed(channels: list[Channel]) -> str:
    if not channels:
        return parts.empty(
            "bell",
            "Nobody is told yet",
            "Add a webhook or an e-mail address below; a test shows at once whether it works.",
        )
    rows = [(_channel(channel), escape(", ".join(EVENTS[event] for event in channel.events if event in EVENTS)), _buttons(channel)) for channel in channels]  # fmt: skip
    return parts.table(
        ("Where", "When a run is", ""), rows, "Ways to be told", cell_classes=("wrap", "wrap", "ls-right")
    )


def _channel(channel: Channel) -> str:
    off = "" if channel.active else " " + parts.chip("Off", "idle")
    return f"<b>{escape(KINDS.get(channel.kind, channel.kind))}</b>{off}<br>{parts.text(channel.address)}"


def _buttons(channel: Channel) -> str:
    of = f" to {channel.address}"
    switch = ("Turn off", "off") if channel.active else ("Turn on", "on")
    buttons = [action("Send a test", "test", channel.id, label=f"Send a test{of}"), action(*switch, channel.id, quiet=True, label=f"{switch[0]}: {channel.address}")]  # fmt: skip
    if channel.kind == "webhook":
        ask = "Messages are signed with the new secret at once, and whoever checks them needs it. Make a new one?"
        buttons.append(
            action("New secret", "secret", channel.id, ask, quiet=True, label=f"New secret of {channel.address}")
        )
    ask = "Nothing is told there any more. Remove it?"
    buttons.append(action("Remove", "remove", channel.id, ask, quiet=True, label=f"Remove {channel.address}"))
    return f'<span class="ls-row">{"".join(buttons)}</span>'


def added(channel: Channel) -> str:
    """With the secret, which is shown here and never again."""
    if not channel.secret:
        return parts.banner("ok", "Added.", "Send a test to see that it arrives.")
    return (
        '<div class="ls-banner ok" role="status"><span><b>Copy this secret now: it is not shown again.</b> '
        "Whoever gets the messages checks with it that they are from here. "
        f'<code class="ls-mono">{escape(channel.secret)}</code></span></div>'
    )


def told(notifications: list[Notification]) -> str:
    if not notifications:
        return ""
    rows = [(parts.chip(*CHIPS[each.state]), parts.text(each.body["text"]), _when(each)) for each in notifications]
    table = parts.table(("", "What", "When"), rows, "What was told", cell_classes=("", "wrap", "wrap"))
    return f'<h2 class="ls-h2">What was told</h2>{table}'


def _when(each: Notification) -> str:
    if each.state is Delivery.SENT:
        return escape(words.ago(each.sent_at))
    again = f"Try {each.tries} failed. " if each.tries and each.state is Delivery.WAITING else ""
    return escape(f"{again}{each.problem or ''}") or escape(words.ago(each.created_at))
