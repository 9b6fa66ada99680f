"""Send one e-mail through the mail server that the studio was started with."""

import os
import re
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from studio.errors import Invalid, Unavailable
from studio.settings import StudioSettings

SECONDS = 20.0
PASSWORD = "STUDIO_SMTP_PASSWORD"
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def check_address(address: str) -> str:
    """One plain address. Raises Invalid."""
    given = address.strip()
    if not ADDRESS.fullmatch(given) or ".." in given:
        raise Invalid("This is no e-mail address.", "Write one, such as ann@example.org.", "address")
    return given


def check_set_up(settings: StudioSettings) -> None:
    """Raises Invalid where no e-mail can be sent."""
    if not settings.smtp_host:
        raise Invalid(
            "This studio has no mail server.",
            "Ask whoever runs it to start it with --smtp-host, or use a webhook.",
            "kind",
        )


def send(settings: StudioSettings, to: str, id: str, subject: str, text: str) -> None:
    """Raises Invalid without a mail server, Unavailable in words when it did not take the message."""
    check_set_up(settings)
    server = f"The mail server {settings.smtp_host}"
    fix = "Whoever runs the studio can look at the --smtp options and at the server's log."
    try:
        with _connected(settings) as connection:
            connection.send_message(message(settings, to, id, subject, text))
    except smtplib.SMTPRecipientsRefused:
        raise Unavailable(f"{server} takes no e-mail for {to}.", "Look at the address.") from None
    except smtplib.SMTPNotSupportedError:
        raise Unavailable(f"{server} offers no encryption or no sign-in on port {settings.smtp_port}.", fix) from None
    except smtplib.SMTPResponseException as error:
        raise Unavailable(f"{server} refused with the code {error.smtp_code}.", fix) from None
    except TimeoutError:
        raise Unavailable(f"{server} did not answer within {SECONDS:.0f} seconds.", fix) from None
    except ssl.SSLError as error:
        raise Unavailable(f"{server} has no certificate that can be trusted ({error.reason or error}).", fix) from None
    except (OSError, smtplib.SMTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise Unavailable(f"{server} could not be reached ({why}).", fix) from None


def message(settings: StudioSettings, to: str, id: str, subject: str, text: str) -> EmailMessage:
    """`id` names it: the same message sent twice has the same Message-ID."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = settings.smtp_from, to, subject
    made["Date"], made["Message-ID"] = formatdate(), f"<{id}@lora-studio.invalid>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    return made


def _connected(settings: StudioSettings) -> smtplib.SMTP:
    host, port, me = settings.smtp_host, settings.smtp_port, socket.gethostname()
    trusted = ssl.create_default_context()
    if settings.smtp_security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, me, SECONDS, context=trusted)
    else:
        connection = smtplib.SMTP(host, port, me, SECONDS)
    try:
        if settings.smtp_security == "starttls":
            connection.starttls(context=trusted)
        if settings.smtp_user:
            connection.login(settings.smtp_user, os.environ.get(PASSWORD, ""))
    except BaseException:
        connection.close()
        raise
    return connection
