"""Where a webhook may go: the address is looked up once, every answer is judged, and the connection goes to what was judged.

A person who may name an address must not reach through it what the server can reach and they cannot: its own services,
its network, a cloud's metadata. So a name is never looked up a second time between the judgement and the connection.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from studio.errors import Invalid
from studio.settings import StudioSettings

MOST_LETTERS = 500
NAT64 = ipaddress.ip_network("64:ff9b::/96")
FIELD = "address"


def check_url(url: str) -> SplitResult:
    """Raises Invalid for what is no plain http or https address."""
    given = url.strip()
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid("This is no address of a webhook.", "Write it with https:// and a host.", FIELD)
    if len(given) > MOST_LETTERS or not given.isascii() or not given.isprintable() or " " in given:
        raise Invalid(
            f"The address has spaces, letters beyond ASCII, or more than {MOST_LETTERS} of them.",
            "Copy it as its program shows it.",
            FIELD,
        )
    if parts.username is not None or parts.password is not None:
        raise Invalid(
            "The address holds a name or a password.",
            "Leave them out: messages are signed with a secret instead.",
            FIELD,
        )
    return parts


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def allowed_addresses(settings: StudioSettings, parts: SplitResult) -> list[str]:
    """Numbers that the host stands for, all of which may be reached. Raises Invalid where one may not, OSError for an unknown host."""
    port = port_of(parts)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    numbers = list(dict.fromkeys(str(address[4][0]) for address in found))
    for number in numbers:
        _check(settings, number, port)
    return numbers


def _check(settings: StudioSettings, number: str, port: int) -> None:
    ip = _meant(number)
    if ip.is_global and not ip.is_multicast:
        return
    if not settings.webhooks_to_private:
        raise Invalid(
            "This address leads to this machine or to a private network, and webhooks may only reach public addresses.",
            "Choose another, or ask whoever runs the studio to start it with --webhooks-to-private.",
            FIELD,
        )
    if ip.is_multicast or ip.is_unspecified or ip.is_link_local or ip.is_reserved:
        raise Invalid("No webhook can be at this address.", "Choose another.", FIELD)
    if ip.is_loopback and port == settings.port:
        raise Invalid("This is the studio's own address.", "Name the program that is to be told.", FIELD)


def _meant(number: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that is reached in the end, out of those IPv6 addresses that hold one of IPv4."""
    ip = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
