"""Base models: the built-in one, folders on this machine, and the Hub; each checked and laid out clean before it is used."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select, update

from studio import hub
from studio.errors import BadInput, Conflict, Invalid, NotFound, Unavailable, clip
from studio.files import read_json
from studio.folders import BaseModelFolder, new_id
from studio.intake_process import look_at, write_request
from studio.listing import LIMIT, Listing, listing
from studio.model_facts import ModelFacts
from studio.model_files import inside
from studio.model_intake import check_template_name, prepare, write_template
from studio.plan import clean_name
from studio.records import LOCAL_PERSON, Adapter, BaseModel, Comparison, ModelState, Run, SuiteRun
from studio.studio import Studio
from studio.zip_stream import folder_name, zipped

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin" / "model"
BUILTIN_NAME = "Built-in"
NAME_LENGTH = 200
MOST_CANDIDATES = 200
MOST_DOWNLOADS = 2  # at the same time
SHOWN_FACTS = (
    "architecture", "layers", "context_length", "dtype", "vocabulary", "hidden_size", "has_chat_template", "template", "licence",
)  # fmt: skip


def add_builtin(studio: Studio) -> BaseModel:
    """The model that comes with the studio; made ready once, and again when the studio brings other weights."""
    folder = studio.data.base_model(BUILTIN)
    known = find(studio, BUILTIN)
    newest = max(path.stat().st_mtime for path in BUILTIN_FOLDER.iterdir())
    if known and folder.facts.is_file() and folder.facts.stat().st_mtime >= newest and usable(folder, facts_of(known)):
        return known
    facts = prepare(BUILTIN_FOLDER, folder.create(), BUILTIN_FOLDER)
    model = BaseModel(id=BUILTIN, name=BUILTIN_NAME, source="builtin", location="builtin", **_known(facts))
    with studio.database.write() as session:
        return session.merge(model)


def add_local(
    studio: Studio, path: str, name: str | None = None, template: str | None = None, owner: str = LOCAL_PERSON
) -> BaseModel:
    """The model in a folder below the models folder. Raises BadInput with the reason when it cannot be used."""
    check_template_name(template)
    source = local_folder(studio, path)
    model = BaseModel(id=new_id(), owner=owner, name=model_name(name, path), source="local", location=path.strip("/"))
    folder = studio.data.base_model(model.id).create()
    try:
        write_request(studio, folder, source, studio.settings.models_root, template)
        facts = look_at(studio, folder)
        for field, value in _known(facts).items():
            setattr(model, field, value)
        with studio.database.write() as session:
            session.add(model)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return model


def add_hub(
    studio: Studio, repo: str, revision: str = "main", template: str | None = None, owner: str = LOCAL_PERSON
) -> BaseModel:
    """Queue the download of a model from the Hub; the runner fetches it."""
    if studio.settings.hub_offline:
        raise Unavailable(
            "This studio does not contact the Hub.", "Start it without --hub-offline, or add a local folder."
        )
    check_template_name(template)
    repo, revision = hub.check_repo(repo), hub.check_revision(revision)
    model = BaseModel(
        id=new_id(), owner=owner, name=repo, source="hub", location=repo, revision=revision, state=ModelState.QUEUED
    )
    folder = studio.data.base_model(model.id).create()
    write_request(studio, folder, folder.files, folder.files, template, repo=repo, revision=revision)
    with studio.database.write() as session:
        session.add(model)
    return model


def merged_model(studio: Studio, id: str, owner: str, name: str, location: str) -> BaseModel:
    """The row of a model that a merge has left in its folder, checked; for the caller to save. Raises BadInput when it is not there."""
    folder = studio.data.base_model(id)
    if not folder.facts.is_file():
        raise BadInput("The merged model is gone.", "Merge again.")
    facts = ModelFacts.model_validate(read_json(folder.facts))
    if not any(path.is_symlink() for path in folder.model.iterdir()):
        shutil.rmtree(folder.files, ignore_errors=True)  # the weights live on in model/
    return BaseModel(id=id, owner=owner, name=name, source="merged", location=location[:500], **_known(facts))


def zip_chunks(studio: Studio, id: str) -> Iterator[bytes]:
    """A merged model as a zip with one folder that transformers loads. Raises Conflict for others: they are where they came from."""
    model = ready_model(studio, id)
    if model.source != "merged":
        raise Conflict(f"{model.name} was brought to this studio, not made by it.", "Fetch it from where it came from.")
    return zipped(folder_name(model.name, "model", model.id), studio.data.base_model(id).model)


def download_name(model: BaseModel) -> str:
    return f"{folder_name(model.name, 'model', model.id)}.zip"


def retry_download(studio: Studio, id: str) -> BaseModel:
    """Queue a download again that failed; what has arrived is kept. Raises Conflict when there is nothing to retry."""
    with studio.database.write() as session:
        model = session.get(BaseModel, id)
        if model is None:
            raise NotFound("base model", id)
        if model.source != "hub" or model.state is not ModelState.FAILED:
            raise Conflict(f"{model.name} is no download that failed.", "There is nothing to retry.")
        model.state, model.problem, model.fix, model.pid = ModelState.QUEUED, None, None, None
    return model


def local_folder(studio: Studio, path: str) -> Path:
    """The folder that a name below the models folder means. Raises Invalid when it leads elsewhere, BadInput when it is not there."""
    root, parts = studio.settings.models_root, Path(path).parts
    outside = not parts or parts[0].startswith(("/", "~")) or ".." in parts or "\0" in path or "\\" in path
    if (
        outside or len(path) > 500 or any(len(os.fsencode(part)) > 255 for part in parts)
    ):  # no file system takes longer names
        raise Invalid(
            f"'{clip(path)}' does not name a folder below {root}.",
            "Write its name as it is there, such as 'my-model'.",
            "path",
        )
    folder = root / path
    if not folder.is_dir():
        raise BadInput(
            f"There is no folder '{clip(path)}' in {root}.",
            "Put the model's folder there, then add it by its name.",
            "path",
        )
    if folder.resolve() == root:
        raise Invalid("That is the models folder itself.", "Name one of the folders in it.", "path")
    return inside(folder, root)


def local_candidates(studio: Studio, file: str = "config.json") -> list[str]:
    """Folders below the models folder that look like models, by name; those of an organisation's folder too."""
    root = studio.settings.models_root
    found = []
    for depth in (f"*/{file}", f"*/*/{file}"):
        found += sorted(str(path.parent.relative_to(root)) for path in root.glob(depth))
    return [name for name in dict.fromkeys(found) if not name.startswith(".")][:MOST_CANDIDATES]


def model_name(name: str | None, location: str) -> str:
    shown = clean_name(name or "")[:NAME_LENGTH].strip()
    return shown or clean_name(location.rstrip("/").rpartition("/")[2])[:NAME_LENGTH].strip() or "Model"


def list_models(studio: Studio, q: str = "", limit: int = LIMIT, cursor: str | None = None) -> Listing[BaseModel]:
    """The built-in model first, then the newest."""
    query = select(BaseModel).order_by(BaseModel.source != "builtin", BaseModel.created_at.desc(), BaseModel.id)
    if words := q.strip():
        query = query.where(
            BaseModel.name.icontains(words, autoescape=True) | BaseModel.location.icontains(words, autoescape=True)
        )
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def find(studio: Studio, id: str) -> BaseModel | None:
    with studio.database.read() as session:
        return session.get(BaseModel, id)


def get_model(studio: Studio, id: str) -> BaseModel:
    """Raises NotFound."""
    model = find(studio, id)
    if model is None:
        raise NotFound("base model", id)
    return model


def ready_model(studio: Studio, id: str) -> BaseModel:
    """A model that can be trained and chatted with now. Raises NotFound, or Conflict when it is not ready."""
    model = get_model(studio, id)
    if model.state in (ModelState.QUEUED, ModelState.DOWNLOADING):
        raise Conflict(
            f"{model.name} is still being downloaded.",
            "Wait until it is ready; the Models page shows how far it is.",
            "base_model",
        )
    if model.state is not ModelState.READY:
        raise Conflict(f"{model.name} is not ready: {model.problem}", model.fix or "Add it again.", "base_model")
    if not usable(studio.data.base_model(id), facts_of(model)):
        raise Conflict(
            f"The files of {model.name} are gone or were changed.",
            "Put them back as they were, or add the model again.",
            "base_model",
        )
    return model


def require_template(model: BaseModel) -> None:
    """Raises Conflict for a model that has no chat template yet."""
    if not facts_of(model).has_chat_template:
        raise Conflict(
            f"{model.name} has no chat template, so it is not known how its conversations are written.",
            "Choose one for it on the Models page; 'plain' works with any model.",
            "base_model",
        )


def facts_of(model: BaseModel) -> ModelFacts:
    """Raises Conflict before the model is ready."""
    if not model.facts:
        raise Conflict(
            f"{model.name} is not ready, so nothing is known of it yet.", "Wait until it is ready.", "base_model"
        )
    return ModelFacts.model_validate(model.facts)


def usable(folder: BaseModelFolder, facts: ModelFacts) -> bool:
    """Whether the prepared weights are there with the size that they had; links may lead to files that are gone."""
    try:
        return sum(path.stat().st_size for path in folder.model.glob("*.safetensors")) == facts.size_bytes
    except OSError:
        return False


def claim_download(studio: Studio) -> BaseModel | None:
    """Take the oldest queued download, in one statement; None while enough are under way."""
    oldest = (
        select(BaseModel.id)
        .where(BaseModel.state == ModelState.QUEUED)
        .order_by(BaseModel.created_at)
        .limit(1)
        .scalar_subquery()
    )
    with studio.database.write() as session:
        if session.scalar(select(func.count()).where(BaseModel.state == ModelState.DOWNLOADING)) >= MOST_DOWNLOADS:
            return None
        claimed = (
            update(BaseModel)
            .where(BaseModel.id == oldest)
            .values(state=ModelState.DOWNLOADING, pid=None)
            .returning(BaseModel)
        )
        return session.scalar(claimed)


def downloads_to_watch(studio: Studio) -> list[BaseModel]:
    with studio.database.read() as session:
        return list(session.scalars(select(BaseModel).where(BaseModel.state == ModelState.DOWNLOADING)))


def note_download_started(studio: Studio, id: str, pid: int) -> None:
    with studio.database.write() as session:
        session.execute(update(BaseModel).where(BaseModel.id == id).values(pid=pid))


def note_download_progress(studio: Studio, id: str) -> None:
    """Bring into the row what the process has told."""
    told = read_json(studio.data.base_model(id).download)
    if told:
        values = {"bytes_done": told["bytes_done"], "bytes_total": told["bytes_total"]}
        if any(getattr(get_model(studio, id), name) != value for name, value in values.items()):
            with studio.database.write() as session:
                session.execute(update(BaseModel).where(BaseModel.id == id).values(**values))


def finish_download(studio: Studio, id: str) -> BaseModel:
    """Settle a download whose process has ended: ready, failed with its words, or queued again when it broke off on its way."""
    folder = studio.data.base_model(id)
    told, refusal = read_json(folder.download, {}), read_json(folder.refusal)
    values: dict = {"pid": None, "bytes_done": told.get("bytes_done", 0), "bytes_total": told.get("bytes_total", 0)}
    if refusal:
        values |= {"state": ModelState.FAILED, "problem": refusal["problem"], "fix": refusal["fix"]}
    elif folder.facts.is_file():
        values |= _known(ModelFacts.model_validate(read_json(folder.facts))) | {"revision": told.get("revision")}
        if not any(path.is_symlink() for path in folder.model.iterdir()):
            shutil.rmtree(folder.files, ignore_errors=True)  # the weights live on in model/
    elif told.get("bytes_done", 0) > told.get("began_with", 0):
        values |= {"state": ModelState.QUEUED}
        folder.download.unlink(missing_ok=True)
    else:
        values |= {
            "state": ModelState.FAILED,
            "problem": "The download broke off without a word.",
            "fix": "Retry it; what has arrived is kept.",
        }
    with studio.database.write() as session:
        session.execute(update(BaseModel).where(BaseModel.id == id).values(**values))
        return session.get_one(BaseModel, id, populate_existing=True)


def choose_template(studio: Studio, id: str, template: str) -> BaseModel:
    """Give an offered template to a model that came without one. Raises Invalid, or Conflict when it has its own or is in use."""
    check_template_name(template)
    model = ready_model(studio, id)
    facts = facts_of(model)
    if facts.template == template:
        return model
    if facts.has_chat_template:
        raise Conflict(
            f"{model.name} has its own chat template.", "Keep it: the model was trained with it.", "template"
        )
    facts = write_template(studio.data.base_model(id), template)
    with studio.database.write() as session:
        model = session.get_one(BaseModel, id)
        model.facts = facts.model_dump(mode="json")
    return model


def delete_model(studio: Studio, id: str) -> None:
    """Raises Conflict for the built-in model and while runs or adapters need it."""
    model = get_model(studio, id)
    if model.source == "builtin":
        raise Conflict("The built-in model stays: examples and tests need it.", "Delete others.")
    with studio.database.write() as session:
        waits = "Cancel what still waits or trains, then delete these runs."
        for record, word in ((Run, "runs"), (Adapter, "adapters"), (SuiteRun, "runs of suites")):
            names = list(session.scalars(select(record.name).where(record.base_model == id).limit(4)))
            if names:
                more = "" if len(names) < 4 else " and others"
                raise Conflict(
                    f"{model.name} is needed by {word}: {', '.join(clip(name, 40) for name in names[:3])}{more}.",
                    waits if record is Run else f"Delete these {word} first.",
                )
        for comparison in session.scalars(select(Comparison).where(Comparison.base_model == id)):
            session.delete(comparison)
        session.delete(session.get_one(BaseModel, id))
    hub.end_download(studio.data.base_model(id), model.pid)
    folder = studio.data.base_model(id).path
    gone = folder.with_name(f".{folder.name}")  # out of sight at once, however long its files take to go
    if folder.exists():
        os.replace(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def shown(model: BaseModel) -> dict:
    """The model as the API and the pages show it."""
    facts = ModelFacts.model_validate(model.facts) if model.facts else None
    known = {name: getattr(facts, name, None) for name in SHOWN_FACTS}
    return {
        "id": model.id, "name": model.name, "source": model.source, "location": model.location, "revision": model.revision,
        "state": model.state.value, "progress": progress(model), "bytes_done": model.bytes_done, "bytes_total": model.bytes_total,
        **known, "parameters": model.parameters, "target_modules": facts.target_modules if facts else [],
        "size_bytes": facts.size_bytes if facts else model.bytes_total,
        "fingerprint": model.fingerprint, "problem": model.problem, "fix": model.fix, "created_at": model.created_at.isoformat(),
    }  # fmt: skip


def described(model: BaseModel) -> dict:
    """The model as an adapter's passport names it."""
    names = ("id", "name", "source", "location", "revision", "fingerprint", "parameters")
    return {**{name: getattr(model, name) for name in names}, "architecture": facts_of(model).architecture}


def progress(model: BaseModel) -> float:
    """From 0 to 1."""
    if model.state is ModelState.READY:
        return 1.0
    return min(1.0, model.bytes_done / model.bytes_total) if model.bytes_total else 0.0


def _known(facts: ModelFacts) -> dict:
    """The columns that follow from the facts."""
    return {
        "state": ModelState.READY, "problem": None, "fix": None, "parameters": facts.parameters,
        "fingerprint": facts.fingerprint, "facts": facts.model_dump(mode="json"),
    }  # fmt: skip
