"""Alembic's environment and the versions of the tables, from the first on."""
