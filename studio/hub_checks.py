"""What must be true before an adapter may be fetched from the Hub or pushed to it."""

from studio import adapters, base_models, hub
from studio.adapter_job_checks import Checked
from studio.errors import Invalid, Unavailable, at_field
from studio.lab_settings import FetchSettings, PushSettings
from studio.plan import clean_name
from studio.studio import Studio

MOST_TOKEN_LETTERS = 1000


def check_fetch(studio: Studio, settings: FetchSettings) -> Checked:
    """Raises Unavailable, Invalid or NotFound with the reason, at the field."""
    check_online(studio)
    repo, revision = hub.check_repo(settings.repo), hub.check_revision(settings.revision)
    if settings.base_model:
        with at_field("base_model"):
            base_models.ready_model(studio, settings.base_model)
    limit = studio.settings.max_upload_mb << 20
    name = settings.name or clean_name(repo.rpartition("/")[2])[:100] or "Imported adapter"
    return Checked(None, [], [], name, {"repo": repo, "revision": revision, "limit": limit})


def check_push(studio: Studio, settings: PushSettings) -> Checked:
    """Raises Unavailable, Invalid or NotFound with the reason, at the field."""
    check_online(studio)
    with at_field("adapter"):
        adapter = adapters.get_adapter(studio, settings.adapter)
    repo = hub.check_repo(settings.repo)
    token = settings.token.get_secret_value() if settings.token else None
    if token is not None and (
        not 0 < len(token) <= MOST_TOKEN_LETTERS or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise Invalid(
            "That is no token of the Hub.", "Copy it from the Hub's settings, with the right to write.", "token"
        )
    base = base_models.get_model(studio, adapter.base_model)
    return Checked(base, [adapter], [1.0], settings.name or f"{adapter.name} to {repo}"[:100], {"repo": repo})


def check_online(studio: Studio) -> None:
    if studio.settings.hub_offline:
        raise Unavailable("This studio does not contact the Hub.", "Start it without --hub-offline.")
