"""Whether a browser would show an element: by its attributes, its inline style, and the page's own style sheet."""

import re
from typing import Any

_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:^|[;{\s])opacity\s*:\s*0(?:\.0*)?\s*(?:[;!}]|$)"
    r"|font-size\s*:\s*0(?:\.0*)?(?:px|pt|em|rem|%)?\s*(?:[;!}]|$)|(?:text-indent|left|top|right)\s*:\s*-\d{4,}"
    r"|clip\s*:\s*rect\(\s*0|transform\s*:\s*scale\(\s*0\s*\)",
    re.I,
)
_FLAT = re.compile(r"(?:^|;)\s*(?:max-)?(?:height|width)\s*:\s*0(?:px)?\s*(?:;|$)", re.I)
_COLOUR = re.compile(r"(?:^|;)\s*color\s*:\s*([^;!]+)", re.I)
_GROUND = re.compile(r"(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]+)", re.I)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE = re.compile(r"^(?P<tag>[a-z][a-z0-9]*)?(?P<mark>[.#])(?P<name>[\w-]+)$", re.I)
_WHITE = frozenset({"white", "#fff", "#ffffff", "rgb(255,255,255)", "rgba(255,255,255,1)", "hsl(0,0%,100%)"})
_CLEAR = re.compile(r"^(?:transparent|(?:rgb|hsl)a\(.*,0(?:\.0+)?\))$")
_MAX_STYLE = 500_000


class Visible:
    """Judges the elements of one page."""

    def __init__(self, root: Any) -> None:
        self._classes: set[tuple[str, str]] = set()
        self._ids: set[str] = set()
        for style in root.iter("style"):
            self._read_sheet((style.text or "")[:_MAX_STYLE])

    def hides(self, element: Any) -> bool:
        """Whether this element itself is made invisible."""
        if element.get("hidden") is not None:
            return True
        style = element.get("style")
        if style and (_HIDING.search(style) or self._same_as_ground(element, style) or _is_flat(style)):
            return True
        if self._ids and element.get("id") in self._ids:
            return True
        if not self._classes:
            return False
        names = (element.get("class") or "").split()
        return any(("", name) in self._classes or (element.tag, name) in self._classes for name in names)

    def _read_sheet(self, sheet: str) -> None:
        sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.S)
        sheet = re.sub(r"@(?:media|supports)[^{]*print[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", sheet, flags=re.I)
        for selectors, body in _RULE.findall(sheet):
            if not (_HIDING.search(body) or _is_flat(body)):
                continue
            for selector in selectors.split(","):
                if match := _SIMPLE.match(selector.strip()):
                    if match["mark"] == "#":
                        self._ids.add(match["name"])
                    else:
                        self._classes.add(((match["tag"] or "").lower(), match["name"]))

    def _same_as_ground(self, element: Any, style: str) -> bool:
        """White on white, transparent, or the colour of the background that the element or an ancestor sets."""
        colour = _COLOUR.search(style)
        if not colour:
            return False
        wanted = re.sub(r"\s+", "", colour[1]).lower()
        if _CLEAR.match(wanted):
            return True
        for holder in [element, *element.iterancestors()]:
            ground = _GROUND.search(holder.get("style") or "")
            shade = re.sub(r"\s+", "", ground[1]).lower() if ground else (holder.get("bgcolor") or "").lower()
            if shade and not _CLEAR.match(shade):
                return wanted == shade or (wanted in _WHITE and shade in _WHITE)
            if holder.get("class"):
                return False  # a style sheet may colour it
        return wanted in _WHITE


def _is_flat(style: str) -> bool:
    return bool(_FLAT.search(style)) and re.search(r"overflow\s*:\s*hidden", style, re.I) is not None
