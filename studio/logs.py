"""What web app and runner say: on the terminal, and in files of the data folder that are begun anew when they have grown."""

import logging
from logging.handlers import RotatingFileHandler

from studio.folders import DataFolder
from studio.settings import StudioSettings

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CHATTY = ("httpx", "alembic")


class LogFile(RotatingFileHandler):
    """On a full disk nothing is lost but its lines: they stand on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        pass


def keep_log(settings: StudioSettings, name: str) -> None:
    """Log to the terminal and to logs/<name>.log, of which at most --log-files older ones of --log-mb are kept."""
    logging.basicConfig(level=settings.log_level.upper(), format=LINE)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    folder = DataFolder(settings.root).logs
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        size = int(settings.log_mb * 1_000_000)
        file = LogFile(folder / f"{name}.log", maxBytes=size, backupCount=settings.log_files, encoding="utf-8")
    except OSError as error:
        logging.getLogger("studio").warning("The log is on the terminal alone: %s.", error)
        return
    file.setFormatter(logging.Formatter(LINE))
    logging.getLogger().addHandler(file)
