from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.embedded.arguments.dates import find_periods

TODAY = date(2026, 11, 20)  # a Friday


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("on 2026-03-01", "2026-03-01", "2026-03-01"),
        ("since 1 March 2026", "2026-03-01", "2026-11-20"),
        ("since March", "2026-03-01", "2026-11-20"),
        ("in Q3", "2026-07-01", "2026-09-30"),
        ("in Q4 2025", "2025-10-01", "2025-12-31"),
        ("the first quarter of 2024", "2024-01-01", "2024-03-31"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("this week", "2026-11-16", "2026-11-22"),
        ("yesterday", "2026-11-19", "2026-11-19"),
        ("the day after tomorrow", "2026-11-22", "2026-11-22"),
        ("the last 7 days", "2026-11-14", "2026-11-20"),
        ("over the past two weeks", "2026-11-07", "2026-11-20"),
        ("3 days ago", "2026-11-17", "2026-11-17"),
        ("between 3 and 10 October 2026", "2026-10-10", "2026-10-10"),
        ("between 3 October and 10 October", "2026-10-03", "2026-10-10"),
        ("from 12 May to 20 May 2026", "2026-05-12", "2026-05-20"),
        ("in March", "2026-03-01", "2026-03-31"),
        ("in December", "2025-12-01", "2025-12-31"),
        ("next December", "2026-12-01", "2026-12-31"),
        ("March 5th, 2025", "2025-03-05", "2025-03-05"),
        ("by 1 December", None, "2026-12-01"),
        ("before 2026-02-01", None, "2026-01-31"),
        ("last Monday", "2026-11-16", "2026-11-16"),
        ("next Friday", "2026-11-27", "2026-11-27"),
        ("so far this year", "2026-01-01", "2026-11-20"),
        ("in 2025", "2025-01-01", "2025-12-31"),
        ("24.12.2025", "2025-12-24", "2025-12-24"),
        ("2026-10", "2026-10-01", "2026-10-31"),
        ("in the first half of 2026", "2026-01-01", "2026-06-30"),
    ],
)
def test_a_period_in_words_becomes_days(text: str, start: str | None, end: str | None) -> None:
    period = find_periods(text, TODAY)[0]
    assert (period.start and period.start.isoformat(), period.end and period.end.isoformat()) == (start, end)


@pytest.mark.parametrize("text", ["you may go", "march on", "order 2026123", "T-2025", "room 12", "30 February 2026"])
def test_what_is_no_date_stays_none(text: str) -> None:
    assert find_periods(text, TODAY) == []


@given(st.text(max_size=200), st.dates(min_value=date(1950, 1, 1), max_value=date(2090, 1, 1)))
def test_no_text_breaks_the_reader_and_periods_run_forward(text: str, today: date) -> None:
    for period in find_periods(text, today):
        assert 0 <= period.at[0] < period.at[1] <= len(text)


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2090, 1, 1)))
def test_every_iso_date_is_read_back(day: date) -> None:
    assert [(p.start, p.end) for p in find_periods(f"on {day.isoformat()}.", TODAY)] == [(day, day)]
