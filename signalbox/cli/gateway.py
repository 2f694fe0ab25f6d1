"""What commands that speak to a running gateway have in common: whose key, which address."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import SecretStr

    from signalbox.cli.client import GatewayClient

User = Annotated[
    str | None,
    typer.Option("--as", envvar="SIGNALBOX_KEY", help="A user of var/keys.json (default: the first), or an API key."),
]
Url = Annotated[str | None, typer.Option("--url", help="The gateway; default: the one of your settings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def gateway_url(url: str | None) -> str:
    """The address that was given, or that of the settings."""
    if url:
        return url
    from signalbox.settings import load_settings

    return load_settings().base_url


def gateway_key(user: str | None) -> "SecretStr":
    """The key that was given, or the one of that user."""
    from pydantic import SecretStr

    if user and user.startswith("sk-sb-"):
        return SecretStr(user)
    from signalbox.cli.client import read_key
    from signalbox.settings import load_settings
    from signalbox.wiring.paths import Paths

    return read_key(Paths(load_settings().data_dir).keys, user)[1]


def gateway_client(user: str | None, url: str | None) -> "GatewayClient":
    """A client of the gateway."""
    from signalbox.cli.client import GatewayClient

    return GatewayClient(gateway_url(url), gateway_key(user))
