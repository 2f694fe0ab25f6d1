"""Secrets and personal data in text and JSON: what they look like, and how they are masked.

Deterministic recognisers only; they never grant anything. Secrets are replaced in what models see; personal data
is masked besides in what is kept about a call (audit, events). Names and addresses need a directory or a model:
they are not found here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Fields whose text is a credential whatever it looks like. The first list hides values from models, the second,
# wider one from what is kept about a call.
_CREDENTIAL_FIELDS = re.compile(
    r"(?i)(^|[_\-.])(pass(word|wd|phrase)|secret|api[_\-]?key|private[_\-]?key|(access|refresh|auth|session)[_\-]?token)s?$"
)
_DISCREET_FIELDS = re.compile(
    r"(?i)(^|[_\-.])(pass(word|wd|phrase)?|secret|api[_\-]?key|token|auth(orization)?|private[_\-]?key|credential|cookie)s?$"
)
_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private-key",
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.S),
    ),
    ("aws-key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("github-token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b")),
    ("gitlab-token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}")),
    ("slack-token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,200}")),
    ("stripe-key", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,99}\b")),
    ("model-api-key", re.compile(r"\bsk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,200}")),
    ("signalbox-key", re.compile(r"\bsbx?_[A-Za-z0-9_-]{24,100}")),
    ("google-key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("huggingface-token", re.compile(r"\bhf_[A-Za-z0-9]{30,60}\b")),
    ("npm-token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("pypi-token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,250}")),
    ("sendgrid-key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{32,60}")),
    ("azure-key", re.compile(r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,100}={0,2}")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{10,1000}")),
    ("bearer-token", re.compile(r"(?i)\b(?<=bearer )[A-Za-z0-9._~+/-]{20,2000}=*")),
    ("url-password", re.compile(r"(?<=://)[^\s/:@]{1,100}:[^\s/@]{1,200}(?=@)")),
    (
        "assigned-secret",
        re.compile(
            r"(?i)\b(?:password|passwd|pwd|api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|client[_-]?secret)"
            r"[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?"
            r"(?P<value>(?=[^\s\"',;]{0,200}[0-9])(?=[^\s\"',;]{0,200}[A-Za-z])[^\s\"',;]{8,200})"
        ),
    ),
)
# Two cheap looks that rule most texts out: every recogniser above needs one of the hints, every hint one of the
# anchors. Looking for thirty plain words takes a hundredth of the time of the expression; most of them hold a
# character that most texts do not.
_SHORTEST_SECRET = 7  # ://a:b@
_ANCHORS = (
    *("private", "akia", "asia", "xox", "aiza", "sg.", "token", "accountkey", "sharedaccesskey", "eyj", "bearer "),
    *("passw", "passphrase", "pwd", "apikey", "secret"),
)
_ANCHORS_BY_SIGN = {
    "_": (
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "rk_live", "rk_test", "sk_live", "sk_test"),
        *("sb_", "sbx_", "hf_", "npm_", "api_key"),
    ),
    "-": ("glpat-", "sk-", "pypi-", "api-key"),
}
_SECRET_HINT = re.compile(
    r"(?i)PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|[rs]k_(?:live|test)|sk-|sbx?_|AIza|hf_|npm_"
    r"|pypi-|SG\.|private[_-]?key|(?:refresh|auth|session)[_-]?token|AccountKey|SharedAccessKey|eyJ|bearer |://[^\s/]{1,300}@"
    r"|passw|passphrase|pwd|api[_-]?key|secret|access[_-]?token"
)
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_PHONE = re.compile(r"(?<![\w.+-])(?:\+|00)\d{1,3}[ .\-/]?(?:\(0?\d{1,4}\)[ .\-/]?)?\d(?:[ .\-/]?\d){6,11}(?![\w-])")


@dataclass(frozen=True)
class Finding:
    """A span of text that is sensitive, and what it is."""

    kind: str
    start: int
    end: int


def folded(text: str) -> str:
    """Lower case, as expressions that ignore case see it: plain words can be looked for in it."""
    if text.isascii():
        return text.lower()
    return text.casefold().replace("i\u0307", "i").replace("\u0131", "i")


def _holds_anchor(lower: str) -> bool:
    for anchor in _ANCHORS:  # `any` takes twice the time, and this is asked of every text
        if anchor in lower:
            return True
    return any(anchor in lower for sign, anchors in _ANCHORS_BY_SIGN.items() if sign in lower for anchor in anchors)


def secrets(text: str) -> Iterator[Finding]:
    """Spans that are credentials."""
    if not may_hold_secrets(text):
        return
    for kind, pattern in _SECRETS:
        for match in pattern.finditer(text):
            group = "value" if "value" in pattern.groupindex else 0
            yield Finding(kind, *match.span(group))


def personal(text: str) -> Iterator[Finding]:
    """Spans that are structured personal data: mail addresses, payment cards, bank accounts, phone numbers."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Finding("email", *match.span())
    if not _DIGIT.search(text):
        return
    for match in _CARD.finditer(text):
        if _luhn(match[0]):
            yield Finding("card", *match.span())
    for match in _IBAN.finditer(text):
        if _mod97(match[0]):
            yield Finding("iban", *match.span())
    for match in _PHONE.finditer(text):
        yield Finding("phone", *match.span())


def redact_secrets(text: str) -> str:
    """The text with every credential replaced by its kind."""
    return _replace(text, sorted(secrets(text), key=lambda finding: finding.start))


def mask(text: str) -> str:
    """The text with credentials and structured personal data replaced by their kinds."""
    return _replace(text, sorted((*secrets(text), *personal(text)), key=lambda finding: finding.start))


def may_hold_secrets(text: str) -> bool:
    """A quick look: False means that neither the text nor JSON that it spells can hold a credential that we know."""
    if len(text) < _SHORTEST_SECRET:
        return False
    lower = folded(text)
    url_with_user = "://" in lower and "@" in lower
    return (url_with_user or _holds_anchor(lower)) and _SECRET_HINT.search(text) is not None


def redact_value(value: Any) -> Any:
    """JSON with credentials replaced, in keys and values, however deep."""
    return _walk(value, redact_secrets, _CREDENTIAL_FIELDS)


def mask_value(value: Any, *, max_chars: int = 2000) -> Any:
    """JSON fit to be kept about a call: credentials and personal data masked, secret fields hidden, texts bounded."""
    return _walk(value, lambda text: _shorten(mask(text), max_chars), _DISCREET_FIELDS)


def _walk(value: Any, replace: Callable[[str], str], hidden: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, Mapping):
        return {
            replace(str(key)): "[secret]"
            if isinstance(item, str) and item and hidden.search(str(key))
            else _walk(item, replace, hidden)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_walk(item, replace, hidden) for item in value]
    return value


def _replace(text: str, findings: list[Finding]) -> str:
    parts: list[str] = []
    position = 0
    for finding in findings:
        if finding.end <= position:
            continue
        parts += [text[position : max(position, finding.start)], f"[{finding.kind}]"]
        position = finding.end
    return "".join((*parts, text[position:])) if parts else text


def _shorten(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[:max_chars]}… ({len(text)} characters)"


def _luhn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod97(text: str) -> bool:
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    rearranged = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1
