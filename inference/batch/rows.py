"""Batches between their rows and their models."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from inference.batch.contracts import Batch, BatchRequest, BatchState, Counts, LineFault, Work
from inference.batch.tables import batch
from inference.batch.times import utc
from signalbox.identity import Principal


def new_row(principal: Principal, made: Batch) -> dict[str, Any]:
    """The row of a new batch."""
    return {
        "id": made.id,
        "tenant": principal.tenant,
        "user": principal.user,
        "groups": sorted(principal.groups),
        "scopes": sorted(principal.scopes),
        "request": made.request.model_dump_json(),
        "state": made.state.value,
        "faults": [],
        "times": {},
        "created_at": made.created_at,
        "expires_at": made.expires_at,
    }


def batch_of(row: Mapping[Any, Any]) -> Batch:
    """The batch in a row."""
    return Batch(
        id=row["id"],
        request=BatchRequest.model_validate_json(row["request"]),
        state=BatchState(row["state"]),
        counts=Counts(total=row["total"], completed=row["completed"], failed=row["failed"]),
        output_file_id=row["output_file_id"],
        error_file_id=row["error_file_id"],
        faults=tuple(LineFault.model_validate(fault) for fault in row["faults"]),
        created_at=utc(row["created_at"]),
        expires_at=utc(row["expires_at"]),
        times={name: datetime.fromisoformat(at) for name, at in row["times"].items()},
    )


def work_of(row: Mapping[Any, Any]) -> Work:
    """The batch in a row, with the person for whom it is done."""
    owner = Principal(
        user=row["user"],
        tenant=row["tenant"],
        groups=frozenset(row["groups"]),
        scopes=frozenset(row["scopes"]),
    )
    return Work(batch=batch_of(row), owner=owner)


def owned(principal: Principal) -> tuple[sa.ColumnElement[bool], ...]:
    """What is this principal's; another's batch is not found."""
    return batch.c.tenant == principal.tenant, batch.c.user == principal.user


def entering(row: Mapping[Any, Any], state: BatchState, at: datetime) -> dict[str, Any]:
    """What changes in a row when the batch enters a state."""
    return {"state": state.value, "times": {**row["times"], state.value: at.isoformat()}}
