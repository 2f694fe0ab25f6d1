"""Word lists written as plain text."""


def listed(text: str) -> list[str]:
    """The words of a text, in order."""
    return text.split()
