"""Configuration, tokens and a folder of documents for tests of the knowledge server."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mcp_servers.hosting import CALL_META, TOKEN_META, HttpBinding, ServerConfig
from mcp_servers.knowledge.settings import KnowledgeServerSettings
from signalbox.identity import Chain, Principal, TokenMint

AUDIENCE = "knowledge"
MINT = TokenMint(SecretStr("a master secret for tests, long enough"))
ADA = Principal(user="ada", groups=frozenset({"staff"}))
CLARA = Principal(user="clara", groups=frozenset({"staff", "finance"}))
OPERATOR = Principal(user="ops", scopes=frozenset({"admin"}))

LEAVE = (
    "# Leave\n\n## Parents\n\nParental leave is 20 weeks. It is paid in full.\n\n"
    "## Sickness\n\nSend a note after three days.\n"
)
PAY = "# Pay\n\nThe chief executive earns 210,000 euros a year.\n"


def config(data_dir: Path, http: HttpBinding | None = None) -> ServerConfig[KnowledgeServerSettings]:
    """What the supervisor would hand over."""
    settings = KnowledgeServerSettings(data_dir=data_dir)
    return ServerConfig(audience=AUDIENCE, key=MINT.key_for(AUDIENCE), settings=settings, http=http)


def meta(principal: Principal, *, audience: str = AUDIENCE, run_id: str = "run_1", dry_run: bool = False) -> Any:
    """The `_meta` that the tool bus would send."""
    token = MINT.mint(Chain(principal=principal), audience)
    return {TOKEN_META: token, CALL_META: {"run_id": run_id, "dry_run": dry_run}}


def write_folder(folder: Path) -> Path:
    """Two documents, one of them for finance only."""
    (folder / "finance").mkdir(parents=True)
    (folder / "leave.md").write_text(LEAVE)
    (folder / "finance" / "pay.md").write_text(PAY)
    (folder / ".access.yaml").write_text('"finance/*": [group:finance]\n')
    return folder
