"""Dates and periods in English text, relative to a day: "last month", "since 1 March", "Q3 2025", "2026-03-01"."""

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from inference.embedded.vocabulary import listed

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_DAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
_SMALL = {w: n for n, w in enumerate(listed("""zero one two three four five six seven eight nine ten eleven twelve"""))}
_SMALL |= {"a": 1, "an": 1, "couple of": 2, "few": 3}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_COUNT = r"\d{1,4}|" + "|".join(sorted(_SMALL, key=len, reverse=True))
_UNIT = r"day|week|month|quarter|year"
_ORDINAL = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}


@dataclass(frozen=True)
class Period:
    """Days from `start` to `end`, both included; None leaves that side open. `at` is where the text says so."""

    start: date | None
    end: date | None
    at: tuple[int, int]

    @property
    def is_day(self) -> bool:
        """Whether this is one single day."""
        return self.start is not None and self.start == self.end


Reader = Callable[[re.Match[str], date], tuple[date, date] | None]


def find_periods(text: str, today: date) -> list[Period]:
    """All periods that the text names, in order, with "since", "until", "between … and" taken into account."""
    plain = list(_plain_periods(text, today))
    return list(_bounded(text, plain, today))


def month_of(year: int, month: int) -> tuple[date, date]:
    """First and last day of a month; months past 12 or under 1 roll over."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _plain_periods(text: str, today: date) -> Iterator[Period]:
    taken: list[tuple[int, int]] = []
    found: list[Period] = []
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            span = match.span()
            if any(span[0] < end and start < span[1] for start, end in taken):
                continue
            try:
                days = read(match, today)
            except (ValueError, OverflowError):
                taken.append(span)
                continue
            if days:
                taken.append(span)
                found.append(Period(days[0], days[1], span))
    yield from sorted(found, key=lambda period: period.at)


def _bounded(text: str, periods: list[Period], today: date) -> Iterator[Period]:
    at = 0
    while at < len(periods):
        period = periods[at]
        before = text[: period.at[0]].lower()
        following = periods[at + 1] if at + 1 < len(periods) else None
        between = text[period.at[1] : following.at[0]].lower().strip() if following else ""
        if (
            following
            and between in {"to", "and", "until", "till", "through", "-", "–", "up to"}
            and _opens(before, between)
        ):
            yield Period(_in_order(period.start, following), following.end, (period.at[0], following.at[1]))
            at += 2
            continue
        yield _one_sided(period, before, today)
        at += 1


def _in_order(start: date | None, following: Period) -> date | None:
    """The start of a range, moved into the year of its end where only the end names one."""
    if start and following.start and not 0 <= (following.start - start).days <= 366:
        moved = start.replace(year=following.start.year) if (start.month, start.day) != (2, 29) else start
        return moved if moved <= following.start else start
    return start


def _opens(before: str, between: str) -> bool:
    return between != "and" or bool(re.search(r"\bbetween\s*$", before))


def _one_sided(period: Period, before: str, today: date) -> Period:
    if re.search(r"\b(since|starting|beginning|from|as of)\s*(the\s*)?$", before):
        ends = today if period.start and period.start <= today else None
        return Period(period.start, ends, period.at)
    if re.search(r"\bafter\s*(the\s*)?$", before) and period.end:
        start = period.end + timedelta(days=1)
        return Period(start, today if start <= today else None, period.at)
    if re.search(r"\b(until|till|up to|through|by|no later than)\s*(the\s*)?(end of\s*)?$", before):
        return Period(None, period.end, period.at)
    if re.search(r"\bbefore\s*(the\s*)?$", before) and period.start:
        return Period(None, period.start - timedelta(days=1), period.at)
    return period


def _day(day: date) -> tuple[date, date]:
    return day, day


def _iso(match: re.Match[str], today: date) -> tuple[date, date]:
    return _day(date(int(match["y"]), int(match["m"]), int(match["d"])))


def _iso_month(match: re.Match[str], today: date) -> tuple[date, date]:
    return month_of(int(match["y"]), int(match["m"]))


def _numeric(match: re.Match[str], today: date) -> tuple[date, date]:
    first, second, year = int(match["a"]), int(match["b"]), int(match["y"])
    return _day(date(year, first, second) if second > 12 else date(year, second, first))


def _named_day(match: re.Match[str], today: date) -> tuple[date, date]:
    month, day = _MONTHS[match["m"].lower()], int(match["d"])
    if match["y"]:
        return _day(date(int(match["y"]), month, day))
    before = match.string[: match.start()].lower()
    years = (today.year - 1, today.year, today.year + 1)
    days = [date(year, month, day) for year in years if (month, day) != (2, 29) or calendar.isleap(year)]
    if re.search(r"\b(since|after)\s*(the\s*)?$", before):
        days = [each for each in days if each <= today]
    if re.search(r"\b(by|until|till|due|deadline)\s*(on\s*)?(the\s*)?$", before):
        days = [each for each in days if each >= today] or days
    return _day(min(days, key=lambda each: abs(each - today)))


def _named_month(match: re.Match[str], today: date) -> tuple[date, date] | None:
    word = match["m"].lower()
    which = (match["which"] or "").lower()
    if match["y"]:
        return month_of(int(match["y"]), _MONTHS[word])
    led = re.search(
        r"\b(in|for|of|during|since|until|till|by|and|to|from|between|before|after|about|vs|through|end of)\s*$",
        match.string[: match.start()].lower(),
    )
    if word in ("may", "mar", "sun", "march") and not (which or (led and match["m"][0].isupper())):
        return None
    month = _MONTHS[word]
    if which == "next":
        return month_of(today.year + (month <= today.month), month)
    if which == "last":
        return month_of(today.year - (month >= today.month), month)
    return month_of(today.year - (month > today.month), month)


def _quarter(match: re.Match[str], today: date) -> tuple[date, date]:
    word = (match["n"] or match["w"]).lower()
    number = _ORDINAL.get(word) or int(word)
    year = int(match["y"]) if match["y"] else today.year - (3 * number - 2 > today.month)
    return month_of(year, 3 * number - 2)[0], month_of(year, 3 * number)[1]


def _half(match: re.Match[str], today: date) -> tuple[date, date]:
    first = match["n"].lower() in ("1", "first")
    year = int(match["y"]) if match["y"] else today.year - (not first and today.month < 7)
    return (date(year, 1, 1), date(year, 6, 30)) if first else (date(year, 7, 1), date(year, 12, 31))


def _word_day(match: re.Match[str], today: date) -> tuple[date, date]:
    shift = {"yesterday": -1, "tomorrow": 1}.get(match["w"].lower().rsplit(" ", 1)[-1], 0)
    if match["w"].lower().startswith("the day"):
        shift *= 2
    return _day(today + timedelta(days=shift))


def _calendar_unit(match: re.Match[str], today: date) -> tuple[date, date]:
    shift = {"last": -1, "previous": -1, "past": -1, "next": 1, "coming": 1}.get(match["which"].lower(), 0)
    return _shifted(match["unit"].lower(), shift, today)


def _shifted(unit: str, shift: int, today: date) -> tuple[date, date]:
    match unit:
        case "day":
            return _day(today + timedelta(days=shift))
        case "week":
            monday = today - timedelta(days=today.weekday()) + timedelta(weeks=shift)
            return monday, monday + timedelta(days=6)
        case "month":
            return month_of(today.year, today.month + shift)
        case "quarter":
            first = 3 * ((today.month - 1) // 3) + 1 + 3 * shift
            return month_of(today.year, first)[0], month_of(today.year, first + 2)[1]
        case _:
            return date(today.year + shift, 1, 1), date(today.year + shift, 12, 31)


def _moved(today: date, unit: str, count: int) -> date:
    if unit in ("day", "week"):
        return today + timedelta(days=count * (7 if unit == "week" else 1))
    first, last = month_of(today.year, today.month + count * {"month": 1, "quarter": 3, "year": 12}[unit])
    return min(last, first + timedelta(days=today.day - 1))


def _number(word: str) -> int:
    return _SMALL[word.lower()] if word.lower() in _SMALL else int(word)


def _last_n(match: re.Match[str], today: date) -> tuple[date, date]:
    count, unit = _number(match["n"]), match["unit"].lower()
    if match["which"].lower() in ("next", "coming", "following"):
        return today, _moved(today, unit, count)
    return _moved(today, unit, -count) + timedelta(days=1), today


def _ago(match: re.Match[str], today: date) -> tuple[date, date]:
    count, unit = _number(match["n"]), match["unit"].lower()
    return _shifted(unit, -count, today) if unit in ("month", "year", "quarter") else _day(_moved(today, unit, -count))


def _ahead(match: re.Match[str], today: date) -> tuple[date, date]:
    return _day(_moved(today, match["unit"].lower(), _number(match["n"])))


def _weekday(match: re.Match[str], today: date) -> tuple[date, date]:
    which = (match["which"] or "").lower()
    number = _DAYS[match["d"].lower()]
    back = (today.weekday() - number) % 7
    if which in ("last", "past", "previous"):
        return _day(today - timedelta(days=back or 7))
    if which == "this":
        return _day(today - timedelta(days=today.weekday()) + timedelta(days=number))
    return _day(today + timedelta(days=(number - today.weekday()) % 7 or 7))


def _year(match: re.Match[str], today: date) -> tuple[date, date]:
    return date(int(match["y"]), 1, 1), date(int(match["y"]), 12, 31)


def _to_date(match: re.Match[str], today: date) -> tuple[date, date]:
    return _shifted((match["unit"] or match["u2"]).lower(), 0, today)[0], today


_YEAR = r"(?P<y>(?:19|20)\d{2})"
_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read)
    for pattern, read in (
        (rf"\b{_YEAR}-(?P<m>\d{{2}})-(?P<d>\d{{2}})(?:T[\d:.]+Z?)?\b", _iso),
        (rf"\b{_YEAR}-(?P<m>0[1-9]|1[0-2])\b(?!-)", _iso_month),
        (rf"\b(?P<a>\d{{1,2}})[./](?P<b>\d{{1,2}})[./]{_YEAR}\b", _numeric),
        (rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_MONTH})\b\.?(?:,? {_YEAR})?", _named_day),
        (rf"\b(?P<m>{_MONTH})\b\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*(?::|am|pm))(?:,? {_YEAR})?", _named_day),
        (rf"\b(?:(?P<unit>{_UNIT}) to date|so far this (?P<u2>{_UNIT}))\b", _to_date),
        (rf"\bQ(?P<n>[1-4])(?P<w>)(?:[ /-]*(?:of )?{_YEAR})?\b", _quarter),
        (rf"\b(?P<w>first|second|third|fourth|1st|2nd|3rd|4th)(?P<n>) quarter(?:[ ,]*(?:of )?{_YEAR})?\b", _quarter),
        (rf"\bH(?P<n>[12])(?:[ /-]*{_YEAR})?\b", _half),
        (rf"\b(?P<n>first|second) half(?: of)?(?: (?:the year|{_YEAR}))?\b", _half),
        (rf"\b(?:(?P<which>last|next|this) )?(?P<m>{_MONTH})\b\.?(?:,? (?:of )?{_YEAR})?", _named_month),
        (r"\b(?P<w>the day before yesterday|the day after tomorrow|today|yesterday|tomorrow)\b", _word_day),
        (rf"\b(?P<which>last|past|previous|next|coming|following) (?P<n>{_COUNT}) (?P<unit>{_UNIT})s?\b", _last_n),
        (rf"\b(?P<n>{_COUNT}) (?P<unit>{_UNIT})s? ago\b", _ago),
        (rf"\b(?:in|within) (?P<n>{_COUNT}) (?P<unit>{_UNIT})s?\b", _ahead),
        (rf"\b(?P<which>this|last|previous|past|next|current|coming) (?P<unit>{_UNIT})\b", _calendar_unit),
        (rf"\b(?:(?P<which>last|past|previous|this|next|on|by|until) )?(?P<d>{'|'.join(_DAYS)})\b", _weekday),
        (rf"(?<![\w#-]){_YEAR}(?![\w-])", _year),
    )
)
