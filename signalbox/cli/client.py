"""What the command line says to a running gateway, over its public API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from pydantic import SecretStr

from signalbox.errors import SignalboxError, UpstreamDown, UserFault

_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 300.0
_PROBE_TIMEOUT_S = 2.0


class GatewayError(SignalboxError):
    """The gateway refused; carries its words."""

    code = "gateway"


class GatewayClient:
    """A small synchronous client; every call is one request."""

    def __init__(self, url: str, key: SecretStr) -> None:
        self._url = url.rstrip("/")
        self._http = httpx2.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx2.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        )

    def __enter__(self) -> "GatewayClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        """A JSON document."""
        return self._json("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON, get JSON."""
        return self._json("POST", path, body)

    def upload(self, path: str, file: Path, fields: dict[str, str]) -> Any:
        """Send a file of this machine in a form, get JSON."""
        try:
            with file.open("rb") as content:
                response = self._http.post(path, data=fields, files={"file": (file.name, content)})
        except OSError as error:
            raise UserFault(f"{str(file)!r} cannot be read: {error.strerror}.") from error
        except httpx2.TransportError as error:
            raise self._down(error) from error
        if response.status_code >= 400:
            raise _refusal(response)
        return response.json()

    def download(self, path: str, into: BinaryIO) -> None:
        """Write a document as it comes."""
        try:
            with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _refusal(response)
                for piece in response.iter_bytes():
                    into.write(piece)
        except httpx2.TransportError as error:
            raise self._down(error) from error

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Send JSON, get the data of a server-sent event stream, one object at a time."""
        try:
            with self._http.stream("POST", path, json=body) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _refusal(response)
                yield from _events(response)
        except httpx2.TransportError as error:
            raise self._down(error) from error

    def lines(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Send JSON, get one JSON object a line."""
        try:
            with self._http.stream("POST", path, json=body) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _refusal(response)
                for line in _split(response):
                    data = json.loads(line)
                    if "error" in data:
                        raise GatewayError(data["error"].get("message", "It broke off."))
                    yield data
        except httpx2.TransportError as error:
            raise self._down(error) from error

    def _json(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            response = self._http.request(method, path, json=body)
        except httpx2.TransportError as error:
            raise self._down(error) from error
        if response.status_code >= 400:
            raise _refusal(response)
        return response.json() if response.content else None

    def _down(self, error: Exception) -> UpstreamDown:
        return UpstreamDown(
            f"Nothing answers at {self._url} ({type(error).__name__}).", hint="Start Signalbox with `signalbox up`."
        )


def is_running(url: str) -> bool:
    """Whether a gateway answers there; commands that need the index ask it then, since it holds the index."""
    try:
        return httpx2.get(f"{url.rstrip('/')}/healthz", timeout=_PROBE_TIMEOUT_S).status_code == 200
    except httpx2.TransportError:
        return False


def read_key(path: Path, user: str | None) -> tuple[str, SecretStr]:
    """A user's key from the keys file; the first user's when none is named."""
    try:
        keys: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserFault(f"There is no {str(path)!r}.", hint="Run `signalbox up` once, or pass --key.") from error
    except ValueError as error:
        raise UserFault(
            f"{str(path)!r} is not valid JSON.", hint="Delete it; `signalbox up` writes new keys."
        ) from error
    if user is None:
        user = next(iter(keys))
    if user not in keys:
        raise UserFault(f"There is no key for {user!r}.", hint=f"Known: {', '.join(keys)}.")
    return user, SecretStr(keys[user])


def _events(response: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in _split(response):
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        data = json.loads(line[6:])
        if data.get("error"):
            raise GatewayError(data["error"].get("message", "The answer broke off."))
        yield data


def _split(response: httpx2.Response) -> Iterator[bytes]:
    # By bytes: line iterators split on Unicode separators, which JSON may hold.
    buffer = b""
    for chunk in response.iter_bytes():
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        yield from (line for line in lines if line.strip())
    if buffer.strip():
        yield buffer


def _refusal(response: httpx2.Response) -> GatewayError:
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"The gateway answered {response.status_code}."
    return GatewayError(message)
