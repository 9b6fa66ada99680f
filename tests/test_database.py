"""Tables, migrations and sessions on a real SQLite file."""

import sqlite3
import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select

from studio.database import MIGRATIONS, Database
from studio.errors import Unavailable
from studio.records import BaseModel, Dataset, DatasetVersion, Person, Record, Run, Status, UtcDateTime


def migrate_to(path, version):
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


def test_an_older_database_keeps_its_rows_when_it_is_upgraded(tmp_path):
    path = tmp_path / "studio.sqlite"
    migrate_to(path, "0001")
    with sqlite3.connect(path) as old:
        old.execute(
            "INSERT INTO people (id, name, role, created_at) VALUES ('local', 'Ann', 'admin', '2026-01-02 03:04:05')"
        )
        old.execute(
            "INSERT INTO base_models (id, owner, name, source, location, state, bytes_done, bytes_total, parameters, facts, created_at)"
            " VALUES ('builtin', 'local', 'Built-in', 'builtin', 'builtin', 'ready', 0, 0, 5, '{}', '2026-01-02 03:04:05')"
        )
        old.execute(
            "INSERT INTO datasets (id, owner, name, source, file_name, format, rows, heldout_rows, dropped_rows, size_bytes, sha256, created_at)"
            " VALUES ('d', 'local', 'Pirate', 'upload', 'p.json', 'alpaca', 3, 0, 0, 9, 'x', '2026-01-02 03:04:05')"
        )
        old.execute(
            "INSERT INTO runs (id, owner, name, base_model, dataset, method, tags, notes, state, want, epoch, attempt_epoch, attempt, max_attempts, priority,"
            " gpus, oom_retries, steps, step, sparkline, queued_at)"
            " VALUES ('r', 'local', 'first', 'builtin', 'd', 'lora', '[]', '', 'succeeded', 'run', 1, 1, 1, 3, 0, 1, 0, 10, 10, '[]', '2026-01-02 03:04:05')"
        )
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.read() as session:
        run = session.get(Run, "r")
        assert (run.name, run.state, run.queued_at.isoformat()) == (
            "first",
            Status.SUCCEEDED,
            "2026-01-02T03:04:05+00:00",
        )
        assert session.get(Person, "local").name == "Ann"
        assert session.get(Dataset, "d").kind == "conversations"
        first = session.get(DatasetVersion, ("d", 1))
        assert (first.why, first.rows, first.sha256, first.parent) == ("As it was brought.", 3, "x", None)
        assert (session.get(Dataset, "d").version, run.dataset_version) == (1, 1)
    database.close()


def test_the_migrations_make_exactly_the_tables_that_the_records_declare(studio):
    def same_type(_context, _inspected, _declared, _seen, declared):
        return False if isinstance(declared, UtcDateTime) else None

    engine = create_engine(studio.settings.url_of_database)
    with engine.connect() as connection:
        assert (
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": same_type}), Record.metadata)
            == []
        )
    engine.dispose()


def test_migrating_twice_changes_nothing(studio):
    studio.database.migrate()
    with studio.database.read() as session:
        assert len(list(session.scalars(select(Person)))) == 1


def test_a_damaged_database_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "studio.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(Unavailable, match="backup"):
        Database(f"sqlite:///{tmp_path / 'studio.sqlite'}").migrate()


def test_two_writers_lose_no_update(studio):
    with studio.database.write() as session:
        session.add(BaseModel(id="m", name="m", source="local", location="m", parameters=0))

    def add_to_it():
        for _ in range(50):
            with studio.database.write() as session:
                session.get(BaseModel, "m").parameters += 1

    threads = [threading.Thread(target=add_to_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with studio.database.read() as session:
        assert session.get(BaseModel, "m").parameters == 200


def test_a_transaction_that_fails_leaves_nothing(studio):
    def fail_half_way():
        with studio.database.write() as session:
            session.add(
                Dataset(
                    id="d", name="d", source="upload", file_name="x", format="alpaca", rows=1, size_bytes=1, sha256="x"
                )
            )
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with studio.database.read() as session:
        assert session.get(Dataset, "d") is None
