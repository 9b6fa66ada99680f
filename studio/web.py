"""The web application: the gate, the HTTP API, downloads and the pages, in this order."""

from fastapi import Depends
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import studio as package
from studio import base_models, datasets, pages
from studio.api import routers
from studio.api.here import answer_errors, only_known_query
from studio.api.idempotency import Idempotency
from studio.gate import Gate
from studio.studio import Studio
from studio.suites.builtin import add_builtin_suites

ABOUT = 'Everything that the pages can do. Errors answer with what happened and what to do: `{"error": {"problem", "fix", "field"}}`.'


def build_app(studio: Studio) -> ASGIApp:
    """Everything that answers HTTP, behind the gate."""
    api = FastAPIOffline(
        title="LoRA Studio",
        version=package.__version__,
        description=ABOUT,
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs-assets",
    )
    api.state.studio = studio
    answer_errors(api)
    for router in routers():
        api.include_router(router, dependencies=[Depends(only_known_query)])
    api.add_api_route(
        "/api/{rest:path}", _nothing_here, methods=["GET", "POST", "PATCH", "DELETE"], include_in_schema=False
    )
    app = Idempotency(pages.web.mount(api, studio), studio)
    megabyte = 1_000_000
    return Gate(
        app,
        [page.path for page in pages.PAGES],
        studio.settings.max_upload_mb * megabyte,
        studio.settings.max_body_mb * megabyte,
    )


def add_what_comes_with_it(studio: Studio) -> None:
    """Register the built-in base model, data sets and suites; quick when they are there already. What an earlier start left half-way goes."""
    datasets.clear_incoming(studio)
    base_models.add_builtin(studio)
    datasets.add_builtins(studio)
    add_builtin_suites(studio)


def _nothing_here(rest: str) -> None:
    raise HTTPException(404)
