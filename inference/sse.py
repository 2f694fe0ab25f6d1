"""Server-sent events, parsed from bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Lines end with CR, LF or CRLF and with nothing else: text-level splitting also cuts at control and Unicode
separators, which occur raw inside JSON strings.
"""

_BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES = 8 * 1024 * 1024


class SseTooLarge(ValueError):
    """One event is larger than any sane answer."""


class SseParser:
    """Turns chunks, cut anywhere, into the data of complete events. Comments and other fields are dropped."""

    __slots__ = ("_after_cr", "_begun", "_data", "_data_size", "_partial", "_partial_size")

    def __init__(self) -> None:
        self._partial: list[bytes] = []  # an unfinished line, in pieces: joining on every chunk would be quadratic
        self._data: list[bytes] = []
        self._partial_size = 0
        self._data_size = 0
        self._after_cr = False
        self._begun = False

    @property
    def midway(self) -> bool:
        """Whether the stream, if it ended here, would end inside an event."""
        return bool(self._data) or any(self._partial)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this chunk completes; raises `SseTooLarge`."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._after_cr = chunk[-1] == 0x0D
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        tail = lines.pop()
        events: list[bytes] = []
        if lines:
            if self._partial:
                self._partial.append(lines[0])
                lines[0] = b"".join(self._partial)
                self._partial.clear()
                self._partial_size = 0
            self._lines(lines, events)
        if tail:
            self._partial.append(tail)
            self._partial_size += len(tail)
            self._check(self._partial_size)
        return events

    def _lines(self, lines: list[bytes], events: list[bytes]) -> None:
        if not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BOM)
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                self._data_size = 0
            elif line.startswith(b"data: "):
                data.append(line[6:])
                self._data_size += len(line)
                self._check(self._data_size)
            elif line.startswith(b"data:"):
                data.append(line[5:])
                self._data_size += len(line)
                self._check(self._data_size)
            elif line == b"data":
                data.append(b"")

    @staticmethod
    def _check(size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise SseTooLarge(f"An event is larger than {MAX_EVENT_BYTES} bytes.")
