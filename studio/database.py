"""Engine, sessions and migrations. SQLite in WAL by default, any other database by URL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from studio.database_words import in_words, told_of
from studio.errors import Unavailable
from studio.records import LOCAL_PERSON, Person

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """`write()` is one transaction that holds the write lock from its start; `read()` never takes it."""

    def __init__(self, url: str, wait_seconds: float = 30.0):
        """`wait_seconds`: for a lock that another process holds."""
        self.url, self.wait_seconds = url, wait_seconds
        self._writing = _engine(url, "BEGIN IMMEDIATE", wait_seconds)
        self._reading = _engine(url, "BEGIN", wait_seconds)
        self._writer = sessionmaker(self._writing, expire_on_commit=False)
        self._reader = sessionmaker(self._reading, expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        with in_words(self.wait_seconds), self._writer.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with in_words(self.wait_seconds), self._reader() as session:
            yield session

    def migrate(self) -> None:
        """Bring the tables to this version, and make sure that the local person is there."""
        try:
            with self._writing.connect() as connection:
                config = _migrations()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        except (DatabaseError, sqlite3.DatabaseError) as error:
            raise told_of(error, self.wait_seconds) or Unavailable(
                f"The database {self._writing.url.render_as_string(hide_password=True)} cannot be opened: {error.__cause__ or error}.",
                "If it is damaged, put a copy from a backup in its place; if its disk is full or read-only, mend that first.",
            ) from error
        with self.write() as session:
            if session.get(Person, LOCAL_PERSON) is None:
                session.add(Person(id=LOCAL_PERSON, name="You"))

    def version(self) -> tuple[str | None, str, bool]:
        """(number of the tables as they are, the newest that this code knows, whether it knows the former)."""
        script = ScriptDirectory.from_config(_migrations())
        with self._reading.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        return found, script.get_current_head(), found in {revision.revision for revision in script.walk_revisions()}

    def close(self) -> None:
        self._writing.dispose()
        self._reading.dispose()


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _engine(url: str, begin: str, wait_seconds: float) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, wait_seconds))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, wait_seconds: float) -> None:
    # The driver's own transactions lose updates silently; we begin them ourselves, with the write lock taken at once.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={round(1000 * wait_seconds)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
