"""The master secret of an installation: made once, readable by its owner alone."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from signalbox.errors import UserFault

_BYTES = 32


def master_secret(path: Path) -> SecretStr:
    """Read the secret, or make it; two processes that start at once agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text().strip()
        if len(text) < _BYTES:
            hint = "Delete it: a new one is made at the next start, and running tool servers must be restarted."
            raise UserFault(f"{str(path)!r} does not hold a secret.", hint=hint) from None
        return SecretStr(text)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(_BYTES))
    return master_secret(path)
