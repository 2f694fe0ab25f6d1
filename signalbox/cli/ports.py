"""Is the port free? Said before anything is started, not after ten seconds of work."""

import socket

from signalbox.errors import UserFault


def require_free_port(host: str, port: int) -> None:
    """Raise `UserFault` when something listens there already."""
    if port == 0:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            hint = "Stop it, or choose another port: SIGNALBOX__GATEWAY__PORT=8081."
            raise UserFault(f"Port {port} on {host} is taken ({error.strerror}).", hint=hint) from error
