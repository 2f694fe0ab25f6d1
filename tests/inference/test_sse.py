import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.sse import MAX_EVENT_BYTES, SseParser, SseTooLarge

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.one_of(
    st.binary(max_size=12).map(lambda raw: b"data: " + raw.replace(b"\n", b"").replace(b"\r", b"")),
    st.text(max_size=12).map(lambda text: b"data:" + text.encode().replace(b"\n", b"").replace(b"\r", b"")),
    st.sampled_from([b"", b"", b"data", b": keep-alive", b"event: x", b"id: 1", b"retry: 5", b"datax: 1", b"nonsense"]),
)
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=30)


def slow_reference(stream: bytes) -> list[bytes]:
    """The specification, one byte at a time."""
    lines, line, i = [], bytearray(), 0
    while i < len(stream):
        if stream[i] == 13:
            lines.append(bytes(line))
            line.clear()
            if i + 1 < len(stream) and stream[i + 1] == 10:
                i += 1
        elif stream[i] == 10:
            lines.append(bytes(line))
            line.clear()
        else:
            line.append(stream[i])
        i += 1
    if lines:
        lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    events: list[bytes] = []
    data: list[bytes] | None = None
    for each in lines:
        name, _, value = each.partition(b":")
        if not each:
            if data is not None:
                events.append(b"\n".join(data))
            data = None
        elif name == b"data":
            data = [*(data or []), value.removeprefix(b" ")]
    return events


def parse(chunks: list[bytes]) -> list[bytes]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@given(STREAMS, st.data(), st.booleans())
def test_any_chunking_gives_the_events_of_the_specification(lines, data, bom):
    stream = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line, end in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(chunks) == slow_reference(stream)
    assert parse([bytes([byte]) for byte in stream]) == slow_reference(stream)


def test_separators_inside_json_do_not_split_an_event():
    payload = '{"content": "a\u2028b\u0085c\x0cd\x1ee"}'.encode()
    assert parse([b"data: " + payload + b"\n\n"]) == [payload]


def test_a_stream_cut_inside_an_event_is_midway():
    parser = SseParser()
    assert parser.feed(b'data: {"a":') == []
    assert parser.midway
    parser.feed(b"1}\n\n")
    assert not parser.midway


def test_an_endless_event_is_refused_and_endless_comments_are_not():
    parser = SseParser()
    for _ in range(40):
        parser.feed(b": " + b"x" * (MAX_EVENT_BYTES // 8) + b"\n")
    with pytest.raises(SseTooLarge):
        for _ in range(20):
            parser.feed(b"x" * (MAX_EVENT_BYTES // 8))
