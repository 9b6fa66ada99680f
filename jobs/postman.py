"""Send what is to be told, beside the runner's loop: a receiver that is slow to answer keeps no training waiting."""

import logging
import threading

from studio.errors import StudioError
from studio.notifications import channels, outbox
from studio.records import Channel, Notification
from studio.studio import Studio

log = logging.getLogger("studio.runner")


class Postman:
    """One thread while something is due, none otherwise. It may die with the runner at any moment: what it had is sent again."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self.round: threading.Thread | None = None

    def tick(self) -> None:
        if (self.round is None or not self.round.is_alive()) and outbox.is_due(self.studio):
            self.round = threading.Thread(target=self.deliver_all, name="postman", daemon=True)
            self.round.start()

    def deliver_all(self) -> None:
        """Until nothing is due."""
        try:
            while claimed := outbox.claim(self.studio):
                self.deliver(*claimed)
        except Exception:
            log.exception("Notifications could not be sent; it is tried again.")

    def deliver(self, notification: Notification, channel: Channel) -> None:
        problem = None
        try:
            channels.deliver(self.studio, channel, notification.id, notification.body)
        except StudioError as error:
            problem = error.problem
        except Exception:  # a bug: it must not be sent again and again for ever
            log.exception("Notification %s could not be made.", notification.id)
            problem = "The studio could not make this message; the traceback is in the runner's log."
        state = outbox.settle(self.studio, notification, problem)
        log.info("Notification %s by %s: %s. %s", notification.id, channel.kind, state.value, problem or "")
