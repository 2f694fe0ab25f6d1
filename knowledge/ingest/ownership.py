"""Whose a document is: by which key a source is kept, and what a source took under an earlier name."""

from urllib.parse import unquote_to_bytes

from knowledge.contracts import Connector, Former
from knowledge.ingest.changes import file_of
from knowledge.ingest.contracts import KnownDocument, Record
from knowledge.ingest.tally import Tally
from knowledge.settings import IngestSettings

DEFAULT_TENANT = "default"


def source_key(tenant: str, name: str) -> str:
    """How the record names a tenant's source. Keys are unique within a tenant; the record keeps tenants apart."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}:{name}"


async def known_of(
    record: Record, connector: Connector, tenant: str, tally: Tally, settings: IngestSettings
) -> dict[str, KnownDocument]:
    """What the record holds of a source; what it took under earlier names of its own is made its own first."""
    source = source_key(tenant, connector.name)
    known = await record.known(tenant, source)
    former: Former | None = getattr(connector, "former", None)
    if former is None:
        return known
    for name in sorted(former.names - {configured.name for configured in settings.sources}):
        theirs = await record.known(tenant, source_key(tenant, name))
        adopted = {uri: document for uri, document in theirs.items() if _took(former, uri, document.document)}
        if not adopted:
            continue
        tally.warnings.append(f"Documents kept under the name {name!r} belong to this source now: {len(adopted)}.")
        if not tally.dry_run:
            await record.adopt([document.document_id for document in adopted.values()], source)
        known = adopted | known
    return known


def _took(former: Former, uri: str, document: str) -> bool:
    """Whether a source took this document under its earlier name: it lies where its path in the source says.

    Another folder of that name has another root, and below this root another folder's documents have other paths.
    """
    file = file_of(uri)
    for root in former.roots:
        inside = file.removeprefix(f"{root.rstrip('/')}/")
        if inside == file:
            continue
        path = unquote_to_bytes(inside).decode("utf-8", "backslashreplace")
        return document == path or (file != uri and document.startswith(f"{path}/"))
    return False
