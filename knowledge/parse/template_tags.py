"""Template tags in prose sources (Jekyll, Liquid, Eleventy, Jinja): the tags go, the words inside them stay."""

import re

_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}(.*?)\{%-?\s*endraw\s*-?%\}", re.S)
_COMMENT = re.compile(r"\{%-?\s*comment\b.*?-?%\}.*?\{%-?\s*endcomment\s*-?%\}|\{#[^\n]*?#\}", re.S)
_TAG = re.compile(r"\{%-?\s*(?P<name>[\w-]*)(?P<rest>.*?)-?%\}", re.S)
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.S)
_ATTRIBUTES = re.compile(r"\{:\s?[^}\n]*\}")
_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)[`~]*[ \t]*$", re.S | re.M)
_CODE = re.compile(r"(?<!`)(`+)(?!`)[^`\n]+(?<!`)\1(?!`)")
_QUOTED = re.compile(r"\"([^\"]*)\"|“([^”]*)”|'([^']*)'")
_FILE = re.compile(r"^\S*\.[A-Za-z0-9]{2,5}$")
_STRUCTURE_WORDS = """
include include_relative include_cached render layout assign capture endcapture if elsif else endif unless
endunless for endfor case when endcase break continue increment decrement link post_url page set block
endblock extends import from macro endmacro with endwith highlight endhighlight raw endraw liquid paginate
endpaginate tablerow endtablerow cycle section endsection url asset download
"""
_STRUCTURE = frozenset(_STRUCTURE_WORDS.split())


def strip_template_tags(text: str) -> str:
    """Remove template syntax outside of code; what is between `raw` tags stays as it is."""
    if "{%" not in text and "{{" not in text and "{:" not in text and "{#" not in text:
        return text
    kept: list[str] = []
    text = _COMMENT.sub("", text)

    def keep(content: str) -> str:
        kept.append(content)
        return f"\x00{len(kept) - 1}\x00"

    text = _RAW.sub(lambda match: keep(match[1]), text)
    text = _FENCE.sub(lambda match: keep(match[0]), text)
    text = _CODE.sub(lambda match: keep(match[0]), text)
    text = _TAG.sub(_words_of_tag, text)
    text = _EXPRESSION.sub("", text)
    text = _ATTRIBUTES.sub("", text)
    for _ in range(3):  # a fence may hold a raw section, and so may code
        text = re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], text)
    return text


def _words_of_tag(match: re.Match[str]) -> str:
    """`{% alert "Heads up!" "error" %}` says "Heads up!", `{% channel "ops" %}` "#ops", `{% page "x" %}` nothing."""
    name = match["name"].lower()
    if name in _STRUCTURE or name.startswith("end"):
        return ""
    words = [next(part for part in found if part is not None) for found in _quoted(match["rest"])]
    words = [word for word in words if word.strip() and not _FILE.match(word)]
    if not words:
        return ""
    if "class" in name or name == "image":
        return words[-1]
    if "channel" in name:
        return words[0] if words[0].startswith("#") else f"#{words[0]}"
    if "icon" in name:
        return ""
    return words[0]


def _quoted(rest: str) -> list[tuple[str | None, ...]]:
    return [tuple(match.groups()) for match in _QUOTED.finditer(rest)]
