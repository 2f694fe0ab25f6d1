"""Request bodies: parsed once, bounded in depth, and every fault in them told in the caller's terms."""

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from gateway.errors import InvalidBody
from signalbox.errors import UserFault

M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request, *, max_depth: int) -> dict[str, Any]:
    """The body as an object; raises `UserFault` when it is not one."""
    raw = await request.body()
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UserFault(
            f"We could not parse the JSON body of your request: {error}.", hint="Send one valid JSON object."
        ) from error
    if not isinstance(body, dict):
        raise UserFault("The JSON body must be an object.")
    _check_depth(body, max_depth)
    return body


def parse(model: type[M], body: dict[str, Any]) -> M:
    """The body as `model`; raises `InvalidBody`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidBody(error) from error


def _check_depth(body: Any, max_depth: int) -> None:
    level = [body]
    for _ in range(max_depth):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise UserFault(f"The JSON body is nested more than {max_depth} levels deep.")


def _children(node: Any) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node
    return [value for value in values if isinstance(value, dict | list)]
