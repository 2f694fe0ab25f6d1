"""A file read as the ingest reads it, and what it was taken for, block by block."""

from knowledge.contracts import ParsedDocument
from knowledge.parse.pool import ParserPool


async def read(parser: ParserPool, name: str, data: bytes) -> ParsedDocument:
    document = (await parser.parse(name, data)).parts[-1].document
    assert document is not None
    for block in document.blocks:
        assert document.text[block.start : block.end].strip()
    return document


def outline(document: ParsedDocument) -> list[tuple[str, int | None, str]]:
    return [(block.kind, block.page, document.text[block.start : block.end]) for block in document.blocks]
