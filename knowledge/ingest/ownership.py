"""Whose a document is: by which key a source is kept, and what a source took under an earlier name."""

from urllib.parse import unquote_to_bytes

from knowledge.contracts import Former
from knowledge.ingest.changes import file_of

DEFAULT_TENANT = "default"


def source_key(tenant: str, name: str) -> str:
    """How the record names a tenant's source. Keys are unique within a tenant; the record keeps tenants apart."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}:{name}"


def took(former: Former, uri: str, document: str) -> bool:
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
