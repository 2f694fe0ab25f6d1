"""ZIP archives, and the checks that every file which is a ZIP underneath must pass before it is opened."""

import io
import re
import zipfile
from pathlib import PurePosixPath

from knowledge.parse.draft import Draft, Limits, ParseFault

_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.I)
_SMALL = 10_000_000
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """A list of what is inside; each member becomes a document of its own."""
    draft = Draft("application/zip", title=PurePosixPath(name).stem)
    with open_archive(data, limits) as archive:
        for entry in archive.infolist():
            path = _path_of(entry)
            if path and not entry.is_dir():
                draft.parts.append((path, archive.read(entry)))
    if not draft.parts:
        raise ParseFault("The archive is empty.")
    draft.add("prose", f"The archive {name} holds {len(draft.parts)} file(s):")
    draft.add("list", "\n".join(f"- {path}" for path, _ in draft.parts))
    return draft


def open_archive(data: bytes, limits: Limits) -> zipfile.ZipFile:
    """An archive whose declared sizes are within the limits; a member never unpacks to more than it declares."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ParseFault(f"The archive is damaged: {error}.") from error
    if len(entries) > limits.max_entries:
        raise ParseFault(f"The archive has {len(entries)} entries; {limits.max_entries} are allowed.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked_bytes:
        raise ParseFault(
            f"The archive would unpack to {unpacked // 1_000_000} MB; "
            f"{limits.max_unpacked_bytes // 1_000_000} MB are allowed."
        )
    if unpacked > _SMALL and unpacked > limits.max_ratio * len(data):
        raise ParseFault(f"The archive would unpack to {unpacked // len(data)} times its size: a zip bomb.")
    if sum(entry.compress_size for entry in entries) > len(data):
        raise ParseFault("The archive's entries overlap: a zip bomb.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ParseFault("The archive is encrypted with a password; save it without one.")
    return archive


def open_office(data: bytes, limits: Limits) -> list[str]:
    """Check an Office file before a library sees it; returns warnings. Raises for entities and for macros."""
    warnings = []
    with open_archive(data, limits) as archive:
        names = archive.namelist()
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            if limits.macros == "refuse":
                raise ParseFault("It holds macros, which are refused; save it without macros.")
            warnings.append("It holds macros; they were ignored.")
        for name in names:
            if name.endswith((".xml", ".rels", ".vml")) and _declares(archive.read(name)):
                raise ParseFault("It declares a document type or entities in its XML, which are refused.")
    return warnings


def _declares(xml: bytes) -> bool:
    return bool(_DECLARATION.search(xml.replace(b"\x00", b"") if b"\x00" in xml[:200] else xml))


def _path_of(entry: zipfile.ZipInfo) -> str:
    parts = [part for part in entry.filename.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    path = "/".join(parts)
    hidden = any(part.startswith((".", "~$")) for part in parts)
    return "" if hidden or path.startswith(_IGNORED) or path.endswith(_IGNORED) else path
