"""`/v1/conversations`: list, read, delete. Another's conversation does not exist."""

from typing import Any

from fastapi import APIRouter, Request

from conversations.contracts import Conversation, ConversationStore, Message
from gateway.auth import principal_of
from gateway.openai.models import extension_of
from gateway.paging import Limit
from runs.log import RunLog


class ConversationsApi:
    """The routes of conversations."""

    def __init__(self, store: ConversationStore, log: RunLog) -> None:
        self._store = store
        self._log = log
        self.router = APIRouter(prefix="/v1/conversations")
        self.router.add_api_route("", self.list, methods=["GET"])
        self.router.add_api_route("/{conversation_id}", self.get, methods=["GET"])
        self.router.add_api_route("/{conversation_id}", self.delete, methods=["DELETE"])

    async def list(self, request: Request, limit: Limit = 50, before: str | None = None) -> dict[str, Any]:
        """The caller's conversations, latest first."""
        found = await self._store.list(principal_of(request), limit=limit + 1, before=before)
        return {
            "object": "list",
            "data": [_conversation(item) for item in found[:limit]],
            "has_more": len(found) > limit,
        }

    async def get(self, request: Request, conversation_id: str, limit: Limit = 100) -> dict[str, Any]:
        """One conversation with its latest messages, oldest first."""
        principal = principal_of(request)
        conversation = await self._store.open(principal, conversation_id)
        messages = await self._store.history(principal, conversation_id, limit=limit)
        return {**_conversation(conversation), "messages": [_message(message) for message in messages]}

    async def delete(self, request: Request, conversation_id: str) -> dict[str, Any]:
        """Remove it with its messages, runs and approvals; a run in progress is stopped."""
        principal = principal_of(request)
        await self._store.open(principal, conversation_id)
        self._log.forget_conversation(principal, conversation_id)
        await self._store.delete(principal, conversation_id)
        return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


def _conversation(conversation: Conversation) -> dict[str, Any]:
    return {"object": "conversation", **conversation.model_dump(mode="json")}


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": message.role,
        "content": message.text,
        "at": message.at.isoformat(),
        "run_id": message.run_id,
    }
    if message.result is not None:
        found["signalbox"] = extension_of(message.result)
    return found
