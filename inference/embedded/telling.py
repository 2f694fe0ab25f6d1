"""Which words of a question tell what it is about: not its dates, and none that go with any question."""

from datetime import date

from inference.embedded.arguments.dates import find_periods
from inference.embedded.text import key_stems, stems
from inference.embedded.vocabulary import listed

NEUTRAL = frozenset(
    stem
    for word in listed(
        """now right currently moment present yet still already lately recently actually exactly anything something
        everything anyone somebody someone there show list give number numbers figure figures overall total all any each
        every many most often time times day days week weeks month months quarter quarters year years since until during
        between last next past today please quick quickly also us me have had make made one ones has"""
    )
    for stem in stems(word)
)


_POINTING = frozenset(
    stem
    for word in listed("one ones other others another thing things stuff first second third last former latter same")
    for stem in stems(word)
)


def only_points(text: str) -> bool:
    """Whether a text names nothing: "And that one?", "What about the other thing?"."""
    return _POINTING.issuperset(key_stems(text))


def telling_stems(text: str, today: date) -> tuple[str, ...]:
    """Stems of the words that tell; empty where a text has none."""
    bare = text
    for period in reversed(find_periods(text, today)):
        bare = f"{bare[: period.at[0]]} {bare[period.at[1] :]}"
    return tuple(each for each in key_stems(bare) if each not in NEUTRAL)
