"""Upload, list, read and remove files, as OpenAI's clients do. Another's file does not exist."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from gateway.auth import principal_of
from gateway.paging import page
from gateway.sse import ByteStream
from inference.batch.contracts import FilePurpose, StoredFile
from inference.batch.files import FileStore
from signalbox.errors import UserFault

PATH = "/v1/files"
_PART_BYTES = 512 * 1024
_NAME_CHARS = 255
_FIELDS = 8  # of a form; OpenAI's clients send three

Limit = Annotated[int, Query(ge=1, le=10_000)]


class FilesApi:
    """The routes of files."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self.router = APIRouter(prefix=PATH)
        self.router.add_api_route("", self.create, methods=["POST"])
        self.router.add_api_route("", self.list, methods=["GET"])
        self.router.add_api_route("/{file_id}", self.get, methods=["GET"])
        self.router.add_api_route("/{file_id}", self.delete, methods=["DELETE"])
        self.router.add_api_route("/{file_id}/content", self.content, methods=["GET"], response_model=None)

    async def create(self, request: Request) -> dict[str, Any]:
        """Take in one file of a form, with the purpose `batch`."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise UserFault("A file is sent as multipart/form-data with the fields 'purpose' and 'file'.")
        async with request.form(max_files=1, max_fields=_FIELDS) as form:
            upload = _upload(form)
            filename = PurePosixPath((upload.filename or "file.jsonl").replace("\\", "/")).name[:_NAME_CHARS]
            stored = await self._store.add(principal_of(request), filename, _parts(upload))
        return file_object(stored)

    async def list(
        self,
        request: Request,
        limit: Limit = 100,
        after: str | None = None,
        purpose: FilePurpose | None = None,
        order: Literal["desc"] = "desc",
    ) -> dict[str, Any]:
        """The caller's files, latest first; `after` is the last one of the page before."""
        del order
        found = await self._store.list(principal_of(request), limit=limit + 1, after=after, purpose=purpose)
        return page([file_object(item) for item in found], limit)

    async def get(self, request: Request, file_id: str) -> dict[str, Any]:
        """One file without its content."""
        return file_object(await self._store.get(principal_of(request), file_id))

    async def delete(self, request: Request, file_id: str) -> dict[str, Any]:
        """Remove a file."""
        await self._store.delete(principal_of(request), file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    async def content(self, request: Request, file_id: str) -> Response:
        """The content; of the results of a batch that runs, what there is by now."""
        parts = await self._store.read(principal_of(request), file_id)
        return ByteStream(_content(parts), media_type="application/jsonl")


def file_object(stored: StoredFile) -> dict[str, Any]:
    """The file as OpenAI shows it."""
    return {
        "id": stored.id,
        "object": "file",
        "bytes": stored.bytes,
        "created_at": int(stored.created_at.timestamp()),
        "expires_at": int(stored.expires_at.timestamp()),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
    }


def _upload(form: FormData) -> UploadFile:
    if form.get("purpose") != "batch":
        raise UserFault("The only purpose of uploads is 'batch'.", param="purpose")
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise UserFault("There is no file in the form.", param="file")
    return upload


async def _parts(upload: UploadFile) -> AsyncIterator[bytes]:
    while data := await upload.read(_PART_BYTES):
        yield data


async def _content(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async for data in parts:
        yield data
