"""PDF: text with its places on the page, from which paragraphs, headings, lists and tables are recognised."""

import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from knowledge.parse.draft import Draft, Limits, ParseFault
from knowledge.parse.pdf_layout import Segment, add_pages
from knowledge.parse.plain import add_text

_PDF_DATE = re.compile(r"D?:?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:Z|([+-])(\d\d)'?(\d\d)?)?")
_NO_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel) - .*|untitled.*|.*\.(?:docx?|pptx?|xlsx?|indd|tex|pdf))$", re.I
)
_HYPHENS = frozenset({"\x02", "\ufffe"})
_INVISIBLE = 3
_MIN_SIZE = 1.5
_SCANNED_BELOW = 8
_OCR_DPI = 200
_OCR_MAX_PIXELS = 25_000_000
_OCR_TIMEOUT_S = 50


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """Every page with its number; pages that are only a picture are read by OCR where enabled, else reported."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise ParseFault("The PDF is encrypted with a password; save it without one.") from error
        raise ParseFault(f"The PDF is damaged: {error}") from error
    draft = Draft("application/pdf")
    count = len(document)
    if count > limits.max_pages:
        raise ParseFault(f"The PDF has {count} pages; {limits.max_pages} are allowed.")
    _read_metadata(draft, document.get_metadata_dict())
    pages: dict[int, list[Segment]] = {}
    scanned: list[int] = []
    for number in range(1, count + 1):
        try:
            page = document[number - 1]
        except pdfium.PdfiumError:
            draft.warnings.append(f"Page {number} is damaged and was left out.")
            continue
        segments = list(_segments(page))
        if sum(len(segment.text) for segment in segments) < _SCANNED_BELOW and _has_picture(page):
            scanned.append(number)
            if limits.ocr and (text := _ocr(page, limits)):
                add_pages(draft, pages)
                pages = {}
                add_text(draft, text, page=number)
                continue
        pages[number] = segments
    add_pages(draft, pages)
    if scanned:
        what = "were read by OCR" if limits.ocr else "are scanned pictures without text; enable OCR to read them"
        draft.warnings.append(f"{len(scanned)} of {count} pages {what}: {_ranges(scanned)}.")
    return draft


def _read_metadata(draft: Draft, metadata: dict[str, str]) -> None:
    title = metadata.get("Title", "").strip()
    draft.title = "" if _NO_TITLE.match(title) else title
    draft.authors = [author.strip() for author in re.split(r"[;,]", metadata.get("Author", "")) if author.strip()]
    draft.keywords = [word.strip() for word in re.split(r"[;,]", metadata.get("Keywords", "")) if word.strip()]
    draft.modified = _date(metadata.get("ModDate") or metadata.get("CreationDate") or "")


def _date(value: str) -> str | None:
    match = _PDF_DATE.match(value)
    if not match:
        return None
    numbers = [
        int(part) if part else default for part, default in zip(match.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True)
    ]
    offset = timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0)) if match[7] else timedelta()
    try:
        return datetime(*numbers, tzinfo=timezone(-offset if match[7] == "-" else offset)).isoformat()  # type: ignore[misc]
    except ValueError:
        return None


def _segments(page: Any) -> Iterator[Segment]:
    """Runs of characters without a wide gap, in the order of the page; invisible ones are left out."""
    from pypdfium2 import raw

    text_page = page.get_textpage()
    box = raw.FS_RECTF()
    scan_layer = _has_picture(page)
    current: Segment | None = None
    for index in range(raw.FPDFText_CountChars(text_page)):
        character = chr(raw.FPDFText_GetUnicode(text_page, index) or 0xFFFD)
        if character in "\r\n":
            if current is not None:
                yield current
            current = None
            continue
        if character == " " and raw.FPDFText_IsGenerated(text_page, index) == 1:
            if current is not None:
                current.text += " "
            continue
        raw.FPDFText_GetLooseCharBox(text_page, index, box)
        size = box.top - box.bottom
        if character in _HYPHENS:
            character = "\u00ad\n"  # marks a word that goes on in the next line
        if current is not None and not current.takes(box.left, box.bottom, size):
            yield current
            current = None
        if current is None:
            if character == " " or not _visible(raw, text_page, index, size, scan_layer=scan_layer):
                continue
            current = Segment(character, box.left, box.right, box.bottom, size, _bold(raw, text_page, index))
        else:
            current.text += character
            current.right = max(current.right, box.right)
    if current is not None:
        yield current


def _visible(raw: Any, text_page: Any, index: int, size: float, *, scan_layer: bool) -> bool:
    """Whether a reader sees it; the invisible text over a scanned picture is its OCR and counts."""
    if size < _MIN_SIZE:
        return False
    holder = raw.FPDFText_GetTextObject(text_page, index)
    if holder and raw.FPDFTextObj_GetTextRenderMode(holder) == _INVISIBLE:
        return scan_layer
    from ctypes import byref, c_uint

    red, green, blue, alpha = c_uint(), c_uint(), c_uint(), c_uint(255)
    raw.FPDFText_GetFillColor(text_page, index, byref(red), byref(green), byref(blue), byref(alpha))
    return alpha.value > 0


def _bold(raw: Any, text_page: Any, index: int) -> bool:
    from ctypes import c_int, create_string_buffer

    if raw.FPDFText_GetFontWeight(text_page, index) >= 600:
        return True
    buffer, flags = create_string_buffer(128), c_int()
    length = raw.FPDFText_GetFontInfo(text_page, index, buffer, 128, flags)
    return b"bold" in buffer.raw[: max(0, min(length, 128))].lower()


def _has_picture(page: Any) -> bool:
    from pypdfium2 import raw

    return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))


def _ocr(page: Any, limits: Limits) -> str:
    """The words that `tesseract` reads on a page; the picture goes through a pipe, no file is written."""
    width, height = page.get_size()
    scale = min(_OCR_DPI / 72, (_OCR_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    rows = bytes(bitmap.buffer)
    pixels = b"".join(rows[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height))
    picture = f"P5\n{bitmap.width} {bitmap.height}\n255\n".encode() + pixels
    command = [limits.tesseract, "stdin", "stdout", "-l", limits.ocr_languages]
    try:
        done = subprocess.run(command, input=picture, capture_output=True, timeout=_OCR_TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").replace("\f", "")


def _ranges(numbers: list[int]) -> str:
    """`1-3, 7` for [1, 2, 3, 7]."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)
