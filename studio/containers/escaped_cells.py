"""Cells of a table that a spreadsheet would compute: made text by an apostrophe when written, and as they were again when read."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet may compute (OWASP, "CSV Injection")."""
ESCAPED = "escaped"
"""The column in which the studio's own tables name, for each row, the columns whose cells have an apostrophe of ours."""


def escaped(cells: dict[str, str]) -> list[str]:
    """The cells with what may be computed made text, and after them the names of those columns."""
    dangerous = [name for name, text in cells.items() if text.startswith(FORMULA)]
    return [*(f"'{text}" if name in dangerous else text for name, text in cells.items()), " ".join(dangerous)]


def restored(row: dict[str, str]) -> dict[str, str]:
    """A row of such a table as it was, without that column. A table of others that has a column of this name stays as it is."""
    names = row.get(ESCAPED, "?").split()
    if not all(row.get(name, "").startswith("'") and row[name][1:].startswith(FORMULA) for name in names):
        return row
    return {name: text[1:] if name in names else text for name, text in row.items() if name != ESCAPED}
