"""Every error as OpenAI clients expect it: `{"error": {message, type, param, code}}` and the right status."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from runs.events import RunFailed
from signalbox.errors import BudgetSpent, Bug, NotAuthenticated, SignalboxError, UpstreamDown, UserFault

# The types and codes that OpenAI itself sends, so that clients that match on them work.
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_CODES = {"not_authenticated": "invalid_api_key", "budget_spent": "rate_limit_exceeded"}


class InvalidBody(UserFault):
    """A request body that does not fit its model."""

    def __init__(self, error: ValidationError) -> None:
        super().__init__("The request body is not valid.")
        self.errors = error.errors(include_url=False, include_context=False, include_input=False)


@dataclass(frozen=True)
class Fault:
    """An error on its way out."""

    status: int
    message: str
    code: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The OpenAI error object."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """A reply with that object."""
        return Response(orjson.dumps(self.body()), self.status, dict(self.headers), media_type="application/json")


INTERNAL = Fault(
    500, "Something went wrong on our side. Try again; the request id helps to find it in the log.", "internal"
)


def fault_of(error: SignalboxError) -> Fault:
    """The one mapper from our error tree to HTTP."""
    if isinstance(error, Bug):
        return INTERNAL
    if isinstance(error, InvalidBody):
        return fault_of_validation(error.errors)
    headers: dict[str, str] = {}
    if isinstance(error, NotAuthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, BudgetSpent | UpstreamDown) and error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    param = error.param if isinstance(error, UserFault) else None
    return Fault(error.status, str(error), _CODES.get(error.code, error.code), param, headers)


def fault_of_run(event: RunFailed) -> Fault:
    """A failed run, as an answer to the request that started it."""
    status = event.status if 400 <= event.status <= 599 else 500
    return Fault(status, event.message, _CODES.get(event.code, event.code))


def fault_of_validation(errors: Any) -> Fault:
    """What Pydantic found, naming the first field at fault as OpenAI does: `messages[0].content`."""
    first = errors[0]
    param = _path(first.get("loc", ()))
    message = first.get("msg", "invalid").removeprefix("Value error, ")
    missing = first.get("type") == "missing"
    text = f"Missing required parameter: {param!r}." if missing else f"Invalid value for {param!r}: {message}."
    return Fault(400, text, "missing_required_parameter" if missing else "invalid_value", param or None)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in our shape."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    hints = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    message = hints.get(error.status_code, str(error.detail) or phrase)
    code = phrase.lower().replace(" ", "_")
    return Fault(error.status_code, message, code, headers=error.headers or {}).response()


async def on_validation_error(_request: Request, error: Exception) -> Response:
    """FastAPI's 422 for paths and queries, as OpenAI's 400."""
    assert isinstance(error, RequestValidationError | ValidationError)
    errors = [{**item, "loc": item["loc"][1:]} for item in error.errors()]  # drop "query", "path", "body"
    return fault_of_validation(errors).response()


async def on_signalbox_error(_request: Request, error: Exception) -> Response:
    """Our own errors."""
    assert isinstance(error, SignalboxError)
    return fault_of(error).response()


def _path(location: Any) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
