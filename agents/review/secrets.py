"""Keys, tokens and passwords: masked where they stand; a private key is withheld."""

import re

from agents.review.verdict import Surroundings, Verdict, masked

MASK = "[secret removed]"
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEYS = re.compile(
    r"""(?x)
    \b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}   # OpenAI, Stripe and the many that copy them
    | \bsbx?[-_][A-Za-z0-9_-]{20,}                           # our own
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                          # AWS
    | \bgh[pousr]_[A-Za-z0-9]{30,} | \bgithub_pat_\w{40,}    # GitHub
    | \bglpat-[\w-]{20,}                                     # GitLab
    | \bxox[abposr]-[\w-]{10,}                               # Slack
    | \bAIza[\w-]{30,}                                       # Google
    | \bhf_[A-Za-z0-9]{30,}                                  # Hugging Face
    | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+                   # JSON web tokens
    """
)
_NAMED = re.compile(
    r"(?i)\b(pass(?:word|wd|phrase)?|secret|api[ _-]?key|access[ _-]?key|auth[ _-]?token|bearer)\b"
    r"(\W{0,3}(?:\s*[:=]\s*|\s+is\s+)[\"'`*]{0,3}|\s+)([^\s\"'`*]{12,})"
)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]+:)([^\s@/]+)(@)")


def check_secrets(text: str, around: Surroundings) -> Verdict:
    """Withholds private keys, masks what looks like a credential."""
    if _PRIVATE_KEY.search(around.before[-80:] + text):
        return Verdict("withhold", "", "a private key")
    safe = _KEYS.sub(MASK, text)
    safe = _URL_PASSWORD.sub(rf"\g<1>{MASK}\g<3>", safe)
    safe = _NAMED.sub(_mask_named, safe)
    return masked(text, safe, "a credential")


def _mask_named(match: re.Match[str]) -> str:
    value = match[3]
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return f"{match[1]}{match[2]}{MASK}" if mixed and "://" not in value else match[0]
