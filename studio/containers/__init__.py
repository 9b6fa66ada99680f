"""Containers of rows: JSON, JSON Lines, tables, Parquet and plain text, recognised by what is in the file and never by its name."""

from studio.containers.container import Container, SourceRow
from studio.containers.recognise import open_container

__all__ = ["Container", "SourceRow", "open_container"]
