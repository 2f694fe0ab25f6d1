"""`POST /v1/embeddings`: texts into vectors, as OpenAI clients ask for them."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from agents.embedding_calls import EmbeddingAsk, EmbeddingCalls
from gateway.auth import principal_of
from gateway.background import background_of
from gateway.calls import LiveCalls
from gateway.json_body import parse, read_json
from gateway.settings import GatewaySettings
from inference.contracts import UsageMeter
from runs.ids import new_run_id
from signalbox.errors import TooLarge, UpstreamDown, UserFault

EMBEDDINGS_PATH = "/v1/embeddings"


def _texts_of(given: Any) -> Any:
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and any(isinstance(each, int | list) for each in given):
        raise ValueError("arrays of tokens are not supported; send texts")
    return given


class EmbeddingRequest(BaseModel):
    """What is honoured; `user` has no effect."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field(max_length=200)
    input: Annotated[tuple[str, ...], BeforeValidator(_texts_of), Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)


class EmbeddingsApi:
    """The route; batches call `create` too."""

    def __init__(self, calls: EmbeddingCalls, live: LiveCalls, settings: GatewaySettings) -> None:
        self._calls = calls
        self._live = live
        self._settings = settings
        self.router = APIRouter()
        self.router.add_api_route(EMBEDDINGS_PATH, self.create, methods=["POST"], response_model=None)

    async def create(self, request: Request) -> Response:
        """Make the vectors."""
        asked = parse(EmbeddingRequest, await read_json(request, max_depth=self._settings.max_json_depth))
        self._check(asked.input)
        background = background_of(request)
        priority = background.priority if background else 0
        ask = EmbeddingAsk(principal_of(request), asked.model, asked.input, new_run_id(), priority)
        meter = UsageMeter()
        vectors, stopped = await self._live.until_gone(
            ask.principal,
            ask.run_id,
            request.receive,
            lambda: self._calls.embed(ask, meter),
            meter,
            background=priority > 0,
        )
        if vectors is None:
            raise UpstreamDown(f"The call was stopped: {stopped}.", hint="Try again.", retry_after_s=2)
        if asked.dimensions not in (None, len(vectors[0])):
            told = f"The model {self._calls.engine!r} makes vectors of {len(vectors[0])} numbers."
            raise UserFault(told, hint="Leave 'dimensions' out.", param="dimensions")
        return self._answer(asked, ask.run_id, vectors, meter)

    def _check(self, texts: Sequence[str]) -> None:
        settings = self._settings
        if len(texts) > settings.max_embedding_texts:
            raise TooLarge(f"A request takes at most {settings.max_embedding_texts} texts.", param="input")
        for index, text in enumerate(texts):
            if not text:
                raise UserFault(f"input[{index}] is empty.", hint="Leave it out.", param=f"input[{index}]")
            if len(text) > settings.max_message_chars:
                told = f"A text takes at most {settings.max_message_chars} characters."
                raise TooLarge(told, hint="Cut it into passages.", param=f"input[{index}]")

    def _answer(
        self, asked: EmbeddingRequest, run_id: str, vectors: Sequence[Sequence[float]], meter: UsageMeter
    ) -> Response:
        coded = _base64 if asked.encoding_format == "base64" else list
        usage = meter.usage
        answer = {
            "object": "list",
            "model": self._calls.engine,
            "data": [
                {"object": "embedding", "index": index, "embedding": coded(vector)}
                for index, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.total_tokens},
            "signalbox": {"run_id": run_id, "engine": self._calls.engine, "cost": meter.cost},
        }
        return Response(orjson.dumps(answer), media_type="application/json", headers={"x-run-id": run_id})


def _base64(vector: Sequence[float]) -> str:
    """As OpenAI's clients unpack it: 32-bit floats, little-endian."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
