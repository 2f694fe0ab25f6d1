"""What an operator decides about models: where they run, which one serves what, and within which limits.

Nothing set: every purpose is answered by the embedded engine. `base_url` alone: every purpose is answered by the
server there. `backends`, `models` and `purposes` say more when there is more than one server or model.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from inference.purposes import Purpose

EMBEDDED = "embedded"
"""The name by which `purposes` and `fallback` mean the embedded engine."""

DEFAULT = "default"
DIRECT = "direct"
"""The bare model of the purpose `direct`, whichever that is."""

RESERVED = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "n", "response_format", "cache_salt"}
)
"""What belongs to a call itself and cannot be a parameter."""


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    if forbidden := RESERVED & parameters.keys():
        raise ValueError(f"parameters may not set {sorted(forbidden)}")
    return parameters


Parameters = Annotated[dict[str, Any], AfterValidator(_plain)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(_Frozen):
    """How we recognise a server, and how it recognises us (mTLS); files are read again when they change."""

    ca_file: Path | None = Field(default=None, description="Trust only this authority instead of the system's.")
    certificate_file: Path | None = Field(default=None, description="Our certificate chain, for mTLS.")
    key_file: Path | None = Field(default=None, description="Our private key; default: in `certificate_file`.")


class BackendSettings(_Frozen):
    """One server that speaks the OpenAI API: a vLLM, or a router in front of several."""

    name: str = ""
    base_url: str
    unix_socket: Path | None = Field(default=None, description="Connect here instead of to the URL's host.")
    api_key: SecretStr | None = None
    api_key_file: Path | None = Field(default=None, description="Read again when it changes: rotation without restart.")
    tls: TlsSettings = TlsSettings()
    health_path: str | None = Field(default="/health", description="None where a server has no such path.")
    max_in_flight: int | None = Field(default=None, ge=1, description="Default: limits.max_in_flight_per_backend.")

    @field_validator("base_url")
    @classmethod
    def _without_version(cls, url: str) -> str:
        url = url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not an http(s) URL, for example http://127.0.0.1:8000")
        return url

    @property
    def label(self) -> str:
        """The name, or the URL where none was given."""
        return self.name or self.base_url


class Price(_Frozen):
    """What a million tokens cost, in the currency of your choice."""

    input_per_million: float = 0
    cached_input_per_million: float | None = Field(default=None, description="Default: as input.")
    output_per_million: float = 0


class ModelSettings(_Frozen):
    """One model, wherever it is served."""

    served_name: str = Field(default="", description="Its name on the server; empty: whatever the server serves first.")
    backends: tuple[str, ...] = Field(default=(), description="Names of backends that serve it; empty: all.")
    dialect: Literal["vllm", "openai"] = Field(
        default="vllm", description="`openai`: leave out fields that only vLLM understands (priority, cache_salt)."
    )
    grammar: Literal["xgrammar", "guidance"] = Field(
        default="xgrammar", description="xgrammar forbids escapes in bounded strings: long ones are sent unbounded."
    )
    parameters: Parameters = Field(default_factory=dict, description="Sent with every call, e.g. temperature.")
    context_tokens: int = Field(default=32_768, ge=1)
    vision: bool = False
    price: Price = Price()


class PurposeSettings(_Frozen):
    """Which model serves a purpose, with which parameters; a plain string is the model's name."""

    model: str
    parameters: Parameters = Field(default_factory=dict)
    fallback: tuple[str, ...] | None = Field(default=None, description="Default: inference.fallback.to.")


class FallbackSettings(_Frozen):
    """Who answers, marked as degraded, when a purpose's own model does not."""

    to: tuple[str, ...] = Field(default=(), description="Names of models, or `embedded`, in order.")
    when_busy: bool = Field(default=False, description="Also when the model is up but its queue is full.")


class TimeoutSettings(_Frozen):
    """How long each phase of a call may take."""

    connect_s: float = Field(default=2, gt=0)
    first_token_s: float = Field(default=60, gt=0, description="From sending the request to the first token.")
    between_chunks_s: float = Field(default=15, gt=0, description="Silence inside a stream; keep-alives do not count.")
    whole_answer_s: float = Field(default=120, gt=0, description="A call that is not streamed.")
    total_s: float = Field(default=300, gt=0, description="A streamed call from start to end.")
    queue_s: float = Field(default=10, gt=0, description="Waiting here for a free place at a backend.")
    probe_s: float = Field(default=2, gt=0)


class LimitSettings(_Frozen):
    """How much may be under way; past it callers are told at once when to come back."""

    max_in_flight_per_backend: int = Field(default=128, ge=1)
    max_queued: int = Field(default=256, ge=0)
    max_queued_per_tenant: int = Field(default=64, ge=0)
    background_priority: int = Field(default=5, description="From this priority on, a call is background work.")
    background_share: float = Field(default=0.5, gt=0, le=1, description="Places and queue open to background work.")
    max_response_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)


class BreakerSettings(_Frozen):
    """When a backend is left alone for a while."""

    failures: int = Field(default=5, ge=1)
    window_s: float = Field(default=10, gt=0)
    open_s: float = Field(default=10, gt=0)


class ProbeSettings(_Frozen):
    """How often backends are asked whether they are well."""

    interval_s: float = Field(default=5, gt=0)
    sick_interval_s: float = Field(default=1, gt=0)
    failures_until_sick: int = Field(default=2, ge=1)


class RetrySettings(_Frozen):
    """Repeating a call on the same backend, before its first token only."""

    backoff_s: float = Field(default=0.2, ge=0, description="Mean pause before the repeat, jittered.")
    budget_share: float = Field(default=0.1, ge=0, description="Repeats per call in the long run.")
    budget_burst: float = Field(default=20, ge=0)


class InferenceSettings(_Frozen):
    """The inference layer's settings."""

    base_url: str | None = Field(default=None, description="The one server; shorthand for one entry in `backends`.")
    model: str = Field(default="", description="The one model on `base_url`; empty: whatever it serves first.")
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    tls: TlsSettings = TlsSettings()
    price: Price = Price()
    backends: tuple[BackendSettings, ...] = ()
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    purposes: dict[Purpose, PurposeSettings] = Field(default_factory=dict)
    offered: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Who may ask for which bare model: name → `everyone`, `user:…`, `group:…`. "
        "Not named: `direct` is open to everyone, every other name to nobody.",
    )
    embeddings: str = Field(
        default=EMBEDDED,
        description="What makes the vectors of `/v1/embeddings`: a name in `models`, or the embedder that searches "
        "the documents.",
    )
    fallback: FallbackSettings = FallbackSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    breaker: BreakerSettings = BreakerSettings()
    probes: ProbeSettings = ProbeSettings()
    retries: RetrySettings = RetrySettings()

    @field_validator("purposes", mode="before")
    @classmethod
    def _names_are_enough(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: {"model": item} if isinstance(item, str) else item for key, item in value.items()}

    @field_validator("base_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @model_validator(mode="after")
    def _names_exist(self) -> "InferenceSettings":
        backends = [backend.label for backend in self.all_backends()]
        if len(set(backends)) != len(backends):
            raise ValueError(f"Two backends have the same name: {sorted(backends)}.")
        if taken := {*self.all_models()} & {DIRECT, EMBEDDED, "signalbox"}:
            raise ValueError(f"A model cannot be called {sorted(taken)}: the name means something else already.")
        for name, model in self.models.items():
            if unknown := set(model.backends) - set(backends):
                raise ValueError(f"Model {name!r} names unknown backends {sorted(unknown)}; known: {backends}.")
            if not backends:
                raise ValueError(f"Model {name!r} has nowhere to run: set base_url or backends.")
        known = {*self.all_models(), EMBEDDED}
        wanted = {*self.fallback.to, self.embeddings}
        for purpose in self.purposes.values():
            wanted |= {purpose.model, *(purpose.fallback or ())}
        if unknown := self.offered.keys() - {*known, DIRECT}:
            raise ValueError(f"Unknown models {sorted(unknown)} in offered; known: {sorted({*known, DIRECT})}.")
        if unknown := wanted - known:
            raise ValueError(
                f"Unknown models {sorted(unknown)} in purposes, fallback or embeddings; known: {sorted(known)}."
            )
        return self

    def all_backends(self) -> tuple[BackendSettings, ...]:
        """Every backend, the one behind `base_url` first."""
        if self.base_url is None:
            return self.backends
        first = BackendSettings(
            name=DEFAULT, base_url=self.base_url, api_key=self.api_key, api_key_file=self.api_key_file, tls=self.tls
        )
        return (first, *self.backends)

    def all_models(self) -> dict[str, ModelSettings]:
        """Every model by name; the one behind `model` carries that name, or `default`."""
        if not self.all_backends():
            return {}
        if self.base_url is None and self.models:
            return dict(self.models)
        only = (DEFAULT,) if self.base_url is not None else ()
        first = ModelSettings(served_name=self.model, backends=only, price=self.price)
        return {self.model or DEFAULT: first, **self.models}

    def for_purpose(self, purpose: Purpose) -> PurposeSettings:
        """What serves this purpose: as set, else the first model, else the embedded engine."""
        if purpose in self.purposes:
            return self.purposes[purpose]
        return PurposeSettings(model=next(iter(self.all_models()), EMBEDDED))
