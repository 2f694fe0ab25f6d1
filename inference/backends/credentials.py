"""Keys and certificates that rotate while we run: files are read again when they change, never on the event loop."""

import asyncio
import ssl
from pathlib import Path

from pydantic import SecretStr

from inference.settings import TlsSettings
from signalbox.errors import UpstreamDown

_Stamp = tuple[tuple[int, int], ...]


class KeySource:
    """The API key of one backend, from settings or from a file."""

    def __init__(self, key: SecretStr | None, file: Path | None) -> None:
        self.current = key
        self._file = file
        self._stamp: _Stamp = ()

    @property
    def header(self) -> dict[str, str]:
        """What to send; empty without a key."""
        return {} if self.current is None else {"Authorization": f"Bearer {self.current.get_secret_value()}"}

    async def refresh(self) -> None:
        """Read the file again if it changed."""
        if self._file is not None:
            await asyncio.to_thread(self._read, self._file)

    def _read(self, file: Path) -> None:
        try:
            stamp = _stamp(file)
            if stamp == self._stamp:
                return
            text = file.read_text().strip()
        except OSError as error:
            if self.current is not None:
                return  # mid-rotation: keep what worked
            raise UpstreamDown(
                f"The API key file {str(file)!r} cannot be read: {error.strerror}.", hint="Set inference.api_key_file."
            ) from error
        if not text:
            return  # being written; an empty key opens nothing
        self._stamp = stamp
        self.current = SecretStr(text)


class TlsSource:
    """The TLS context of one backend; another one once its files changed, so that new connections use them."""

    def __init__(self, settings: TlsSettings, *, used: bool) -> None:
        self._settings = settings
        self._used = used
        self._stamp: _Stamp | None = None
        self.context: ssl.SSLContext | bool = True

    async def refresh(self) -> None:
        """Read the files again if they changed."""
        if self._used:
            await asyncio.to_thread(self._read)

    def _read(self) -> None:
        settings = self._settings
        files = [file for file in (settings.ca_file, settings.certificate_file, settings.key_file) if file]
        try:
            stamp = _stamp(*files)
            if stamp == self._stamp:
                return
            context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
            if settings.certificate_file:
                context.load_cert_chain(settings.certificate_file, settings.key_file)
        except (OSError, ssl.SSLError) as error:
            if self._stamp is not None:
                return  # mid-rotation: keep what worked
            raise UpstreamDown(
                f"The TLS files {[str(file) for file in files]} cannot be used: {error}.", hint="Check inference.tls."
            ) from error
        self._stamp = stamp
        self.context = context


def _stamp(*files: Path) -> _Stamp:
    return tuple((status.st_mtime_ns, status.st_size) for status in (file.stat() for file in files))
