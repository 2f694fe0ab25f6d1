"""Names of files and batches, as OpenAI shapes them."""

import secrets

from inference.batch.contracts import Outlet

_BATCH = "batch_"
_ENDINGS: dict[Outlet, str] = {"output": "-output", "error": "-errors"}


def new_file_id() -> str:
    """For an upload."""
    return f"file-{secrets.token_hex(12)}"


def new_batch_id() -> str:
    """For a batch."""
    return f"{_BATCH}{secrets.token_hex(12)}"


def new_request_id() -> str:
    """For a line that never reached its endpoint."""
    return f"batch_req_{secrets.token_hex(12)}"


def result_file_id(batch_id: str, outlet: Outlet) -> str:
    """The file that takes a batch's results: known from the batch, so that no crash makes a second one."""
    return f"file-{batch_id.removeprefix(_BATCH)}{_ENDINGS[outlet]}"
