"""Which language a text is in, by its script and its most frequent words; good enough to choose an index by."""

import re
from collections import Counter

_STOP_WORDS = {
    "en": "the of and to in a is that for it as was with be by on not he his but at are this have from or had an "
    "they which one you were all her she there would their we him been has when who will no more if out so "
    "what up said its about than into them can only other time new some could these two may first then do any "
    "like my now over such our your should how must also use please make need after before each where most "
    "via per yes because while does did get",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus "
    "er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber "
    "vor zur bis mehr durch man sein wurde wenn kann ihre wir ich ihr uns bitte müssen sollte",
    "fr": "à l d qu n c de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il "
    "sont la ou avec son aux mais comme on nous vous cette été leur ses être fait sans peut ont aussi elle "
    "tous deux même ces entre chez",
    "nl": "de van een het en in is dat op te voor met zijn die niet aan er om ook als dan maar bij door worden naar "
    "uit heeft hij nog wordt tot je ze deze over kan wel geen hun was meer of moet wij we u onze",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si "
    "sin sobre este ya entre cuando todo esta ser son dos también fue había era muy hasta desde está nuestro",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à "
    "seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem "
    "mesmo aos",
    "it": "di e il la che in a per è un del non con una i le da si dei al come nel sono più gli alla anche della lo "
    "se ha o su dal ma questo delle essere nella tra stato ai ci loro sua suo",
    "sv": "och i att det som en på är av för med den till inte om ett han men var jag sig från vi så kan hade nu de "
    "när ska eller också efter vid där har",
    "pl": "w i na z do się nie to jest że o jak po co ale od za przez dla są oraz był tym być jego tego lub czy "
    "może także przy które który",
    "tr": "ve bir bu da de için ile çok daha olarak gibi en ama var kadar olan sonra ne mi her ya o değil ise ki",
}
_WORDS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
_SCRIPTS = (
    (re.compile("[\u3040-\u30ff]"), "ja", 0.05),
    (re.compile("[\uac00-\ud7af]"), "ko", 0.2),
    (re.compile("[\u4e00-\u9fff]"), "zh", 0.2),
    (re.compile("[\u0400-\u04ff]"), "ru", 0.3),
    (re.compile("[\u0370-\u03ff]"), "el", 0.3),
    (re.compile("[\u0590-\u05ff]"), "he", 0.3),
    (re.compile("[\u0600-\u06ff]"), "ar", 0.3),
    (re.compile("[\u0e00-\u0e7f]"), "th", 0.3),
    (re.compile("[\u0900-\u097f]"), "hi", 0.3),
)
_WORD = re.compile(r"[^\W\d_]+")
_SCANNED = 20_000


def language_of(text: str) -> str:
    """An ISO 639-1 code, or `und` where the text is too short or looks like none."""
    sample = text[:_SCANNED]
    letters = sum(character.isalpha() for character in sample)
    if letters == 0:
        return "und"
    for script, language, share in _SCRIPTS:
        if len(script.findall(sample)) >= share * letters:
            return language
    counts = Counter(word.lower() for word in _WORD.findall(sample))
    total = counts.total()
    scores = {language: sum(counts[word] for word in words) / total for language, words in _WORDS.items()}
    ranked = sorted(scores, key=lambda language: -scores[language])
    best, second = ranked[0], ranked[1]
    if scores[best] < (0.08 if total >= 20 else 0.15) or scores[best] < 1.1 * scores[second]:
        return "und"
    return best


def stop_words(language: str) -> frozenset[str]:
    """The words of a language that say nothing about what a text is about."""
    return _WORDS.get(language, frozenset())
