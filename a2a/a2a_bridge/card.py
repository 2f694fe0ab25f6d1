"""The agent card: who we are to other agents (A2A 1.0 §4.4)."""

from collections.abc import Sequence

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentProvider,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)

from a2a_bridge.settings import A2ASettings
from agents.contracts import Specialist

JSONRPC_PATH = "/a2a/jsonrpc"
REST_PATH = "/a2a/rest"
_SCHEME = "bearer"


def build_card(settings: A2ASettings, *, base_url: str, version: str, specialists: Sequence[Specialist]) -> AgentCard:
    """A card with one skill per specialist; JSON-RPC first, HTTP+JSON second, both protocol 1.0."""
    return AgentCard(
        name=settings.name,
        description="Answers questions about an organisation's documents and operational data with citations, "
        "and proposes business actions for approval.",
        version=version,
        provider=AgentProvider(organization=settings.organization, url=base_url),
        supported_interfaces=[
            AgentInterface(protocol_binding="JSONRPC", protocol_version="1.0", url=f"{base_url}{JSONRPC_PATH}"),
            AgentInterface(protocol_binding="HTTP+JSON", protocol_version="1.0", url=f"{base_url}{REST_PATH}"),
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False),
        security_schemes={
            _SCHEME: SecurityScheme(
                http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="bearer", description="A Signalbox API key.")
            )
        },
        security_requirements=[SecurityRequirement(schemes={_SCHEME: StringList()})],
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain", "application/json"],
        skills=[_skill(specialist) for specialist in specialists],
    )


def _skill(specialist: Specialist) -> AgentSkill:
    return AgentSkill(
        id=specialist.name,
        name=specialist.name.replace("_", " ").capitalize(),
        description=specialist.description,
        tags=[specialist.name],
        examples=list(specialist.examples),
    )
