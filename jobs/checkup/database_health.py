"""Whether the database can be read at all, holds what this version of the studio expects, and is not contradictory."""

import sqlite3
from pathlib import Path

from sqlalchemy import make_url

from jobs.checkup.finding import Checkup
from studio.database import Database

MOST_SHOWN = 3
BACKUP = "Stop the studio, keep a copy of the file, and put one from a backup in its place; or write what can be read into a new file: sqlite3 studio.sqlite .recover | sqlite3 new.sqlite."


def sqlite_file(url: str) -> Path | None:
    """The database's file; None for a server."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def fault_of_file(path: Path) -> str | None:
    """What is wrong with the file, or None. Opens it as any reader does, and changes nothing."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
    except sqlite3.Error as error:
        return str(error)
    try:
        said = [row[0] for row in connection.execute(f"PRAGMA quick_check({MOST_SHOWN})")]
    except sqlite3.Error as error:
        return str(error)
    finally:
        connection.close()
    return None if said == ["ok"] else "; ".join(" ".join(line.split()) for line in said)


def check_version(checkup: Checkup, database: Database) -> bool:
    """Whether the tables are those of this version, or have been brought to it."""
    found, newest, known = database.version()
    if found == newest:
        return True
    if found is not None and not known:
        checkup.ask(
            f"The database was last opened by a newer version of the studio (its tables are numbered {found}).",
            "Start that version, or put back a copy of the data folder from before it.",
        )
        return False
    problem = f"The database is of an older version (tables {found or 'none'}, newest {newest})."
    if checkup.at_work:
        checkup.ask(problem, "Stop the studio, and start it again: it brings the tables up to date.")
        return False
    checkup.mend(problem, "brought up to date", database.migrate)
    return not checkup.dry


def check_references(checkup: Checkup) -> None:
    """Rows that name others which are not there: only a hand or a damaged file makes them."""
    if sqlite_file(checkup.studio.database.url) is None:
        return
    with checkup.studio.database.read() as session:
        found = session.connection().exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if found:
        tables = ", ".join(sorted({f"{row[0]} (of {row[2]})" for row in found})[:MOST_SHOWN])
        checkup.ask(
            f"{len(found)} rows of the database name something that is not there: {tables}.",
            "Put a copy from a backup in its place, or delete what these belong to on its page.",
        )
