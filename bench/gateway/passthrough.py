"""The least that a Python gateway can do: FastAPI takes the request, aiohttp sends it on, bytes come back as they are.

python -m bench.gateway.passthrough PORT UPSTREAM
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse


def build(upstream: str) -> FastAPI:
    """The app."""
    sessions: list[aiohttp.ClientSession] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sessions.append(session)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await request.body()
        url = f"{upstream}/v1/chat/completions"
        headers = {"content-type": "application/json"}
        if not orjson.loads(body).get("stream"):
            async with sessions[0].post(url, data=body, headers=headers) as reply:
                return Response(await reply.read(), reply.status, media_type="application/json")
        reply = await sessions[0].post(url, data=body, headers=headers)

        async def pieces() -> AsyncIterator[bytes]:
            async with reply:
                async for piece in reply.content.iter_any():
                    yield piece

        return StreamingResponse(pieces(), reply.status, media_type="text/event-stream")

    return app


if __name__ == "__main__":
    uvicorn.run(
        build(sys.argv[2]), port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="error"
    )
