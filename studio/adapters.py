"""Trained adapters: take them in from a run, list, describe, rename, delete, and hand them out as a zip."""

import shutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from sqlalchemy import or_, select

from studio import storage
from studio.adapter_files import check_adapter, put_in_place, size_of
from studio.errors import NotFound
from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, AttemptFolder
from studio.listing import LIMIT, Listing, listing
from studio.plan import given_name
from studio.records import Adapter, BaseModel, Run
from studio.studio import Studio
from studio.zip_stream import folder_name, zipped

PASSPORT = "passport.json"
SORTS = {"newest": (Adapter.created_at.desc(), Adapter.id), "name": (Adapter.name, Adapter.id)}


def take_in(studio: Studio, run: Run, attempt: AttemptFolder) -> Adapter:
    """The adapter that this attempt left, checked and put in its own folder; its row is for the caller to save (run_queue.settle).

    Its id is the run's: taking it in twice, after a crash between folder and row, makes one adapter. Raises BadInput when
    it is not whole or not finite.
    """
    trained = AdapterFolder(attempt.adapter)
    check_adapter(trained)
    folder = studio.data.adapter(run.id)
    for left in folder.path.parent.glob(f".{run.id}.*"):  # of one that was cut off; only the runner takes in
        storage.remove(left)
    put_in_place(trained.path, folder.path)
    result = read_json(attempt.result, {})
    method = read_json(attempt.run.plan, {}).get("method", {})
    sha256 = sha256_of(folder.weights)
    passport = read_json(folder.passport, {})
    write_json(folder.passport, {"version": 1, "name": run.name, "run": run.id, **passport, "adapter_sha256": sha256})
    return Adapter(
        id=run.id, owner=run.owner, name=run.name, base_model=run.base_model, run=run.id, source="run", method=run.method, rank=method.get("rank"),
        size_bytes=size_of(folder.path), sha256=sha256, heldout_loss=result.get("heldout_loss"), base_heldout_loss=result.get("base_heldout_loss"),
        verdict=word_in(result),
    )  # fmt: skip


def word_in(result: dict) -> str | None:
    """The verdict of a worker's result, in a word."""
    return (result.get("verdict") or {}).get("word")


def get_adapter(studio: Studio, id: str) -> Adapter:
    with studio.database.read() as session:
        adapter = session.get(Adapter, id)
    if adapter is None:
        raise NotFound("adapter", id)
    return adapter


def adapter_of_run(studio: Studio, run_id: str) -> Adapter | None:
    with studio.database.read() as session:
        return session.scalar(select(Adapter).where(Adapter.run == run_id).order_by(Adapter.created_at.desc()).limit(1))


def list_adapters(
    studio: Studio, q: str = "", base_model: str | None = None, method: str | None = None, owner: str | None = None, sort: str = "newest",
    limit: int = LIMIT, cursor: str | None = None,
) -> Listing[Adapter]:  # fmt: skip
    """Adapters whose name or base model's name has all words of `q`."""
    query = select(Adapter).order_by(*SORTS.get(sort, SORTS["newest"]))
    for column, value in ((Adapter.base_model, base_model), (Adapter.method, method), (Adapter.owner, owner)):
        if value:
            query = query.where(column == value)
    for word in q.split():
        named = select(BaseModel.id).where(BaseModel.name.icontains(word, autoescape=True))
        query = query.where(
            or_(Adapter.name.icontains(word, autoescape=True), Adapter.base_model.in_(named), Adapter.id == word)
        )
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def passport(studio: Studio, id: str) -> dict:
    """Where the adapter comes from: base, data, settings, results, checksums."""
    get_adapter(studio, id)
    return read_json(studio.data.adapter(id).passport, {})


def rename_adapter(studio: Studio, id: str, name: str) -> Adapter:
    """Raises Invalid for a name that is empty or too long."""
    with studio.database.write() as session:
        adapter = session.get(Adapter, id)
        if adapter is None:
            raise NotFound("adapter", id)
        adapter.name = given_name(name)
        return adapter


def delete_adapter(studio: Studio, id: str) -> None:
    with studio.database.write() as session:
        adapter = session.get(Adapter, id)
        if adapter is None:
            raise NotFound("adapter", id)
        session.delete(adapter)
    shutil.rmtree(studio.data.adapter(id).path, ignore_errors=True)


def shown(adapter: Adapter) -> dict:
    """An adapter as pages and API show it."""
    names = (
        "id",
        "owner",
        "name",
        "base_model",
        "base_model_name",
        "run",
        "source",
        "method",
        "rank",
        "size_bytes",
        "sha256",
        "heldout_loss",
        "base_heldout_loss",
        "verdict",
    )
    return {**{name: getattr(adapter, name) for name in names}, "created_at": adapter.created_at.isoformat()}


def slug(adapter: Adapter) -> str:
    """A folder's name that every system takes."""
    return folder_name(adapter.name, "adapter", adapter.id)


def download_name(adapter: Adapter) -> str:
    return f"{slug(adapter)}.zip"


def zip_chunks(studio: Studio, id: str, instead: Mapping[str, bytes] = MappingProxyType({})) -> Iterator[bytes]:
    """The adapter as a zip with one folder that PEFT loads, made while it is read; the same bytes every time.

    `instead`: contents of files, by their names, that go into it in place of what is in the folder.
    """
    adapter = get_adapter(studio, id)
    folder = studio.data.adapter(id).path
    if not folder.is_dir():
        raise NotFound("adapter", id)
    return zipped(slug(adapter), folder, instead)
