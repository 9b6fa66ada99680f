"""Uploads through the API: forms whose fields are known, and their files on our disk for as long as they are looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, Request, UploadFile

from studio.errors import Invalid, clip
from studio.folders import new_id
from studio.studio import Studio


def known_fields(*known: str) -> Any:
    """A dependency that refuses a form with other fields: a misspelt one would be as good as left out, and nobody told."""

    async def check(request: Request) -> None:
        for field in await request.form():
            if field not in known:
                raise Invalid(f"There is no field '{clip(field)}'.", f"There are: {', '.join(known)}.", field)

    return Depends(check)


@contextmanager
def incoming(here: Studio, file: UploadFile) -> Iterator[Path]:
    """The uploaded bytes as a file of our own, gone afterwards."""
    path = here.data.incoming / new_id()
    try:
        with open(path, "wb") as target:
            while piece := file.file.read(1 << 20):
                target.write(piece)
        yield path
    finally:
        path.unlink(missing_ok=True)
