"""Payment card and bank account numbers: masked when their check digits prove that they are such."""

import re

from agents.review.verdict import Surroundings, Verdict, masked

CARD_MASK = "[card number removed]"
IBAN_MASK = "[account number removed]"
_CARD = re.compile(r"(?<![\w.])\d(?:[ \-–.]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,30}\b", re.IGNORECASE)


def check_numbers(text: str, around: Surroundings) -> Verdict:
    """Masks numbers that pass the Luhn check or the IBAN check."""
    del around
    safe = _IBAN.sub(_mask_iban, text)
    safe = _CARD.sub(lambda match: CARD_MASK if _luhn(match[0]) else match[0], safe)
    return masked(text, safe, "a payment number")


def _luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    if len(set(digits)) == 1:
        return False
    doubled = [digit if index % 2 == 0 else digit * 2 - 9 * (digit > 4) for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _mask_iban(match: re.Match[str]) -> str:
    """A loose match may have swallowed words that follow: the longest prefix that proves itself is masked."""
    text = match[0]
    for end in range(len(text), 14, -1):
        compact = re.sub(r"[ \-]", "", text[:end]).upper()
        if end < len(text) and text[end].isalnum() and text[end - 1] not in " -":
            continue
        if 15 <= len(compact) <= 34 and _mod97(compact):
            return IBAN_MASK + (" " if text[end - 1] in " -" else "") + text[end:]
    return text


def _mod97(iban: str) -> bool:
    digits = "".join(str(int(char, 36)) for char in iban[4:] + iban[:4])
    return int(digits) % 97 == 1
