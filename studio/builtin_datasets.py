"""The data sets that come with the studio: registered at each start, read once."""

import hashlib
import shutil
from pathlib import Path

from sqlalchemy import exists, select

from studio.dataset_reading import ReadingRequest, read_file
from studio.dataset_uploads import keep, record_of, refuse_unusable
from studio.files import read_json, write_json
from studio.folders import DatasetFolder, new_id
from studio.records import Dataset, Run
from studio.studio import Studio

BUILTIN = Path(__file__).parent / "builtin" / "datasets"


def index(folder: Path = BUILTIN) -> list[dict]:
    """What comes with the studio: id, title, description, format, file, heldout_file, example_prompts, licence."""
    return read_json(folder / "index.json", [])


def builtin_example_prompts(dataset: Dataset) -> list[str]:
    """Prompts to try a model on that has learned from this data set; none for one that was uploaded."""
    return next((entry.get("example_prompts", []) for entry in index() if entry["id"] == dataset.builtin_id), [])


def add_builtins(studio: Studio, folder: Path = BUILTIN) -> list[Dataset]:
    """All built-in data sets, made of their files where that has not happened yet or the files are new since then."""
    return [_add(studio, folder, entry) for entry in index(folder)]


def _add(studio: Studio, folder: Path, entry: dict) -> Dataset:
    files = [folder / entry[key] for key in ("file", "heldout_file") if entry.get(key)]
    sha256 = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    id = "".join(letter for letter in entry["id"].lower() if letter.isascii() and letter.isalnum())[:24]
    known = _known(studio, id)
    if known and _made_of(studio, known, sha256):
        return known
    if known and (known.version > 1 or _is_used(studio, id)):  # edited or learned from: it stays as it is under its id
        id += sha256[:6]
        newer = _known(studio, id)
        if newer:
            return newer
    else:
        _forget(studio, id)
    return _read(studio, files, entry, id)


def _known(studio: Studio, id: str) -> Dataset | None:
    with studio.database.read() as session:
        return session.get(Dataset, id)


def _made_of(studio: Studio, dataset: Dataset, sha256: str) -> bool:
    folder = studio.data.dataset(dataset.id)
    return folder.messages.exists() and (read_json(folder.report) or {}).get("upload_sha256") == sha256


def _is_used(studio: Studio, id: str) -> bool:
    with studio.database.read() as session:
        return bool(session.scalar(select(exists().where(Run.dataset == id))))


def _forget(studio: Studio, id: str) -> None:
    with studio.database.write() as session:
        found = session.get(Dataset, id)
        if found:
            session.delete(found)
    shutil.rmtree(studio.data.dataset(id).path, ignore_errors=True)


def _read(studio: Studio, files: list[Path], entry: dict, id: str) -> Dataset:
    """Read in this process: the files are our own."""
    folder = DatasetFolder(studio.data.incoming / new_id())
    folder.path.mkdir(mode=0o700)
    try:
        request = ReadingRequest(
            file=files[0],
            file_name=files[0].name,
            format=entry.get("format"),
            heldout_file=files[1] if len(files) > 1 else None,
        )
        report = read_file(request, folder)
        refuse_unusable(report)
        write_json(folder.report, report.model_dump(mode="json"))
        return keep(
            studio,
            folder,
            record_of(
                report, id=id, name=entry["title"], source="builtin", builtin_id=entry["id"], file_name=files[0].name
            ),
            "Comes with the studio.",
        )
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
