"""How the probe is started; light to import, for processes that need nothing else of the tests."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from signalbox.identity import TokenMint
from toolbus.settings import ServerSpec

ROOT = Path(__file__).parents[3]
PROBE = Path(__file__).with_name("probe.py")
MINT = TokenMint(SecretStr("a master secret of thirty-two bytes"))


def probe_spec(folder: Path, **changes: Any) -> ServerSpec:
    """The probe over stdio, as a server of ours."""
    fields: dict[str, Any] = {
        "name": "probe",
        "command": sys.executable,
        "args": (str(PROBE),),
        "env": {
            "PYTHONPATH": str(ROOT),
            "PROBE_LOG": str(folder / "probe.log"),
            "PROBE_KEY": MINT.key_for("probe").get_secret_value(),
        },
        "ours": True,
        "audience": "probe",
        "auto_approve": True,
    }
    return ServerSpec(**{**fields, **changes})
