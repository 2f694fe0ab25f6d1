"""`/v1/approvals`: what waits for a person, and the decision."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth import principal_of
from gateway.json_body import parse, read_json
from gateway.paging import Limit
from runs.approvals import Approval, Approvals, ApprovalState


class Decision(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "deny"]
    reason: str = Field(default="", max_length=2000)


class ApprovalsApi:
    """The routes of approvals."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self.router = APIRouter(prefix="/v1/approvals")
        self.router.add_api_route("", self.list, methods=["GET"])
        self.router.add_api_route("/{approval_id}", self.get, methods=["GET"])
        self.router.add_api_route("/{approval_id}", self.decide, methods=["POST"])

    async def list(self, request: Request, state: ApprovalState | None = None, limit: Limit = 50) -> dict[str, Any]:
        """Approvals that the caller asked for or may decide, latest first."""
        found = await self._approvals.list(principal_of(request), state=state, limit=limit)
        return {"object": "list", "data": [approval_object(item) for item in found]}

    async def get(self, request: Request, approval_id: str) -> dict[str, Any]:
        """One approval."""
        return approval_object(await self._approvals.get(principal_of(request), approval_id))

    async def decide(self, request: Request, approval_id: str) -> dict[str, Any]:
        """Approve or deny; an approved call is carried out before the answer. A second decision is a conflict."""
        decision = parse(Decision, await read_json(request, max_depth=8))
        approval = await self._approvals.decide(
            principal_of(request), approval_id, approve=decision.decision == "approve", reason=decision.reason
        )
        return approval_object(approval)


def approval_object(approval: Approval) -> dict[str, Any]:
    """An approval as the API shows it; what binds it stays inside."""
    shown = approval.model_dump(mode="json", exclude={"chain", "binding", "pin", "tenant"})
    return {"object": "approval", **shown, "actors": list(approval.chain.actors)}
