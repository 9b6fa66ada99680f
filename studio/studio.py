"""The studio as one value: settings, database and data folder, handed to every service, page and route."""

from dataclasses import dataclass

from studio.database import Database
from studio.folders import DataFolder
from studio.settings import StudioSettings


@dataclass(frozen=True)
class Studio:
    settings: StudioSettings
    database: Database
    data: DataFolder

    @classmethod
    def open(cls, settings: StudioSettings) -> "Studio":
        """Make the data folder if it is missing and bring the database to this version."""
        data = DataFolder(settings.root).create()
        settings.models_root.mkdir(parents=True, exist_ok=True)
        database = Database(settings.url_of_database, settings.database_wait_seconds)
        database.migrate()
        return cls(settings, database, data)
