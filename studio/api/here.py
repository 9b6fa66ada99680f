"""What every route is given: the studio, the person who asks, and how errors are answered."""

import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from studio.error_body import OPENAI, error_body, status_of
from studio.errors import DiskFull, StudioError
from studio.folders import new_id
from studio.lab_settings import KINDS
from studio.methods import METHODS
from studio.records import LOCAL_PERSON
from studio.storage import is_full
from studio.studio import Studio
from studio.wrong_values import first_finding, unknown_name

log = logging.getLogger("studio.api")


MOST_NUMBER = 2**53 - 1  # of rows and bytes; beyond, neither files nor JSON readers count exactly
ALTERNATIVES = (*METHODS, *KINDS, "local", "hub")  # pydantic puts the chosen one into a field's place


def _studio(request: Request) -> Studio:
    return request.app.state.studio


def _person() -> str:
    """Whoever reaches the loopback address is the one local person, until accounts come."""
    return LOCAL_PERSON


def only_known_query(request: Request) -> None:
    """Refuse a parameter that the address does not take: a misspelt one would be as good as left out, and nobody told."""
    if request.url.path.startswith(OPENAI):
        return  # its servers pass over what they do not know
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise unknown_name("parameter", name, name, known)


Here = Annotated[Studio, Depends(_studio)]
Who = Annotated[str, Depends(_person)]
Search = Annotated[str, Query(max_length=200, description="Words that all must be found.")]


class Body(BaseModel):
    """A request's JSON body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ErrorBody(BaseModel):
    problem: str
    fix: str
    field: str | None = None


class ErrorAnswer(BaseModel):
    error: ErrorBody


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer, "description": meaning}
    for code, meaning in {
        400: "What was sent cannot be used.", 404: "There is no such thing.", 409: "Its state forbids it now.", 413: "Too large.",
        422: "A setting is wrong; `field` names it.", 429: "A limit is reached.", 503: "A part that is needed is not running.",
        507: "The disk is full.",
    }.items()
}  # fmt: skip


def answer(
    request: Request, status: int, problem: str, fix: str, field: str | None = None, **more: Any
) -> JSONResponse:
    path = request.url.path
    return JSONResponse(error_body(path, status, problem, fix, field, **more), status_of(path, status))


def answer_errors(app: FastAPI) -> None:
    """Every error leaves in one shape; a bug leaves a number by which its traceback is found in the log."""

    @app.exception_handler(StudioError)
    async def told(request: Request, error: StudioError) -> JSONResponse:
        report = getattr(error, "report", None)
        more = {"report": report.model_dump(mode="json")} if report is not None else {}
        return answer(request, error.status, error.problem, error.fix, error.field, **more)

    @app.exception_handler(OSError)
    async def of_the_system(_: Request, error: OSError) -> JSONResponse:
        if not is_full(error):
            raise error
        return answer(DiskFull.status, **DiskFull().as_dict())

    @app.exception_handler(RequestValidationError)
    async def wrong_request(request: Request, error: RequestValidationError) -> JSONResponse:
        if error.errors()[0]["type"] == "json_invalid":
            found = error.errors()[0]
            return answer(
                request,
                422,
                f"The body is not JSON: {found['ctx']['error']} at character {found['loc'][-1]}.",
                "Send a JSON object.",
            )
        # the first part of a place says where it was sent (body, query, path, header), not what it is called
        findings = [{**found, "loc": found["loc"][1:]} for found in error.errors()]
        if (
            error.errors()[0]["loc"] == ("body",) and "ctx" not in error.errors()[0]
        ):  # a wrong choice between alternatives has a ctx
            fix = 'Send one with the header "Content-Type: application/json".'
            return answer(request, 422, "The body is not a JSON object.", fix)
        body = request.scope["route"].body_field
        wrong = first_finding(findings, ALTERNATIVES, body and body.field_info.annotation)
        return answer(request, wrong.status, wrong.problem, wrong.fix, wrong.field)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> JSONResponse:
        problem = {404: "There is nothing at this address.", 405: "This address does not take that method."}.get(
            error.status_code, str(error.detail)
        )
        return answer(request, error.status_code, problem, "See /docs for what there is.")

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        number = new_id()
        log.error("fault %s at %s %s", number, request.method, request.url.path, exc_info=error)
        return answer(
            request,
            500,
            f"Something in the studio broke (fault {number}).",
            "Try again; if it stays, report it with the traceback in the studio's log.",
        )
