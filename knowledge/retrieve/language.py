"""The language of a question, as far as a few words tell: by script, then by the small words."""

import re

from knowledge.index.words import STOP_WORDS

_SMALL_WORDS = {
    "de": "der die das den dem des ein eine einer eines und oder ist sind war wie was wer wo wann warum welche welcher "
    "welches nicht von mit für auf im zu zum zur bei aus nach über wurde wird hat haben kann ich wir sie es als",
    "fr": "le la les des une et ou est sont était comment quel quelle quels quelles qui que quoi où quand pourquoi pas "
    "du au aux pour dans sur avec par ce cette ces il elle nous vous combien être ont peut",
    "es": "el los las una unos y es son era cómo qué quién quiénes dónde cuándo cuál cuáles por para con del al no que "
    "se su sus está están fue cuántos cuánto cuántas puede como",
    "pt": "os as um uma é são era como quem onde quando qual quais por para com do da dos das ao não que se seu sua "
    "está foi quantos quanto pode em no na",
    "it": "il lo gli una e è sono era come chi che cosa dove quando quale quali perché per con del della dei delle non "
    "si suo sua nel nella quanti quanto può di",
    "nl": "de het een en is zijn was hoe wat wie waar wanneer waarom welke niet van met voor op te bij uit naar over "
    "werd wordt heeft hebben kan ik wij zij als hoeveel door",
    "tr": "bir ve bu ne kim nerede nasıl hangi kaç için ile olan olarak da mi mı daha çok neden",
    "en": " ".join(STOP_WORDS | {"not", "but", "any", "all", "more", "than", "one", "into", "out", "up", "per"}),
}
_LISTS = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_SCRIPTS = (
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)


def language_of(query: str) -> str:
    """An ISO 639-1 code, or `und` when the words do not tell."""
    letters = sum(char.isalpha() for char in query)
    for language, script in _SCRIPTS:
        if letters and len(script.findall(query)) > 0.3 * letters:
            return "ja" if language == "zh" and _SCRIPTS[1][1].search(query) else language
    found = re.findall(r"[^\W\d_]+", query.lower())
    counts = {language: sum(word in small for word in found) for language, small in _LISTS.items()}
    best = max(counts, key=lambda language: (counts[language], language == "en"))
    return best if counts[best] else "und"
