"""How an error leaves over HTTP: in the studio's own shape, and below /v1 in the one that OpenAI's clients read."""

from typing import Any

OPENAI = "/v1/"  # the addresses that speak OpenAI's protocol
CODES = {404: "not_found", 409: "conflict", 413: "too_large", 429: "rate_limit_exceeded"}


def status_of(path: str, status: int) -> int:
    """OpenAI's servers know no 422: what is wrong with a request is a 400 there."""
    return 400 if status == 422 and path.startswith(OPENAI) else status


def error_body(path: str, status: int, problem: str, fix: str, field: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of an error's answer to a request for `path`."""
    if not path.startswith(OPENAI):
        return {"error": {"problem": problem, "fix": fix, "field": field, **more}}
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    code = "model_not_found" if (status, field) == (404, "model") else CODES.get(status)
    return {"error": {"message": f"{problem} {fix}", "type": kind, "param": field, "code": code}}
