"""Who is measured: the model server alone, a bare pass-through, other gateways, and ours. One function each."""

import http.client
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.processes import Started, start, wait_until
from bench.gateway.upstream import MODEL
from bench.orchestration.venvs import make_venv

ROOT = Path(__file__).parents[2]
PINS = {"litellm": ("litellm[proxy]==1.108.7",), "vllm-router": ("vllm-router==0.1.17",)}
_READY_S = 180
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Place:
    """Where a bench puts things."""

    folder: Path
    venvs: Path
    port: int
    upstream: str
    core: int = 1


@dataclass(frozen=True)
class Target:
    """One that answers."""

    name: str
    port: int
    model: str
    started: Started | None = None
    key: str = ""

    def stop(self) -> None:
        """End it."""
        if self.started is not None:
            self.started.stop()


def passthrough(place: Place) -> Target:
    """Bare FastAPI + aiohttp."""
    command = [sys.executable, "-m", "bench.gateway.passthrough", str(place.port), place.upstream]
    return _started(place, "pass-through", command, MODEL)


def vllm_router(place: Place) -> Target:
    """vLLM's own router, in Rust."""
    python = make_venv("vllm-router", PINS["vllm-router"], place.venvs)
    metrics = str(place.port + 50)
    address = ["--host", "127.0.0.1", "--port", str(place.port), "--prometheus-port", metrics]
    command = [str(python.with_name("vllm-router")), *address, "--worker-urls", place.upstream, "--log-level", "error"]
    return _started(place, "vllm-router", [*command, "--policy", "round_robin"], MODEL)


def litellm(place: Place) -> Target:
    """LiteLLM's proxy with one worker: no database, no logging, no callbacks."""
    python = make_venv("litellm", PINS["litellm"], place.venvs)
    config = place.folder / "litellm.json"  # JSON is YAML
    model = {"model": f"openai/{MODEL}", "api_base": f"{place.upstream}/v1", "api_key": "none"}
    settings = {"model_list": [{"model_name": MODEL, "litellm_params": model}], "general_settings": {}}
    config.write_text(json.dumps(settings))
    address = ["--host", "127.0.0.1", "--port", str(place.port)]
    command = [str(python.with_name("litellm")), "--config", str(config), *address, "--num_workers", "1"]
    key = f"sk-{secrets.token_hex(32)}"  # it does not start without one
    more = {
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    target = _started(place, "litellm", command, MODEL, more, ready="/health/liveliness")
    return Target("litellm", target.port, MODEL, target.started, key)


def signalbox(place: Place, more: Mapping[str, str] | None = None) -> Target:
    """Ours: the whole system as `signalbox up` serves it, asked for `direct`; `more`: instead of its model server."""
    server = {"SIGNALBOX__INFERENCE__BASE_URL": place.upstream, "SIGNALBOX__INFERENCE__MODEL": MODEL}
    settings = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'a2a'}",
        "SIGNALBOX__DATA_DIR": str(place.folder / "var"),
        "SIGNALBOX__DEMO__ENABLED": "false",
        "SIGNALBOX__GATEWAY__PORT": str(place.port),
        "SIGNALBOX__GATEWAY__REQUESTS_PER_MINUTE": "100000000",
        "SIGNALBOX__GATEWAY__CALLS_PER_PRINCIPAL": "4096",
        "SIGNALBOX__GATEWAY__CALLS_TOTAL": "4096",
        "SIGNALBOX__INFERENCE__LIMITS": json.dumps({"max_in_flight_per_backend": 1024}),
    }
    command = [sys.executable, "-m", "signalbox", "up"]
    target = _started(place, "signalbox", command, "direct", {**settings, **(more or server)}, ready="/readyz")
    key = next(iter(json.loads((place.folder / "var/keys.json").read_text()).values()))
    return Target("signalbox", target.port, "direct", target.started, key)


TARGETS: Mapping[str, Callable[[Place], Target]] = {
    "pass-through": passthrough,
    "signalbox": signalbox,
    "vllm-router": vllm_router,
    "litellm": litellm,
}


def _started(
    place: Place,
    name: str,
    command: list[str],
    model: str,
    more: Mapping[str, str] | None = None,
    *,
    ready: str = "",
) -> Target:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX")}
    started = start(name, command, core=place.core, folder=place.folder, env={**kept, **(more or {})})
    try:
        wait_until(lambda: answers(place.port, ready, model), _READY_S, started)
    except BaseException:
        started.stop()
        raise
    return Target(name, place.port, model, started)


def answers(port: int, ready: str, model: str) -> bool:
    """Whether it answers on `ready`, or where that is empty, to a chat request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        if ready:
            connection.request("GET", ready)
        else:
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Ready?"}]})
            connection.request("POST", _CHAT, body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
