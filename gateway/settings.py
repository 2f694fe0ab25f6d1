"""Where the gateway listens, and what it lets through."""

from pydantic import BaseModel, ConfigDict, Field


class GatewaySettings(BaseModel):
    """Settings of the public door. Limits are per process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)

    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Larger requests get 413.")
    max_message_chars: int = Field(default=32_000, ge=1, description="Of one message.")
    max_messages: int = Field(default=400, ge=1, description="In one chat request.")
    max_embedding_texts: int = Field(default=512, ge=1, description="In one request for vectors.")
    max_json_depth: int = Field(default=64, ge=4)

    requests_per_minute: int = Field(default=240, ge=1, description="Of one principal.")
    runs_per_principal: int = Field(default=8, ge=1, description="At the same time; more get 429.")
    runs_total: int = Field(default=128, ge=1, description="At the same time; more get 503.")
    calls_per_principal: int = Field(default=64, ge=1, description="Bare model calls at the same time; more get 429.")
    calls_total: int = Field(default=512, ge=1, description="Bare model calls at the same time; more get 503.")

    keepalive_s: float = Field(default=10, gt=0, description="Silence on a stream before a comment is sent.")
    shutdown_grace_s: float = Field(default=3, ge=0, description="For runs to finish after SIGTERM.")
    key_cache_s: float = Field(default=5, ge=0, description="How long a valid key is not looked up again.")
    metrics_from_loopback: bool = Field(
        default=False, description="Let 127.0.0.1 read /metrics without a key; not behind a proxy on the same host."
    )
