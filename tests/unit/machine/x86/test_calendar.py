"""Dates of the clock chip."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldswitch.machine.x86.calendar import Moment, moment_at, seconds_of


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_dates_agree_with_the_standard_library(when: datetime) -> None:
    seconds = int(when.replace(microsecond=0, tzinfo=UTC).timestamp())
    found = moment_at(seconds)
    assert (found.year, found.month, found.day) == (when.year, when.month, when.day)
    assert (found.hour, found.minute, found.second) == (when.hour, when.minute, when.second)
    assert found.weekday == when.isoweekday() % 7 + 1
    assert seconds_of(found) == seconds


@given(st.integers(min_value=-(10**13), max_value=10**13))
def test_any_second_goes_there_and_back(seconds: int) -> None:
    assert seconds_of(moment_at(seconds)) == seconds


@pytest.mark.parametrize(
    ("given_date", "taken"),
    [
        (Moment(2026, 2, 31, 0, 0, 0), Moment(2026, 2, 28, 0, 0, 0)),
        (Moment(2024, 2, 99, 0, 0, 0), Moment(2024, 2, 29, 0, 0, 0)),
        (Moment(2026, 165, 0, 99, 99, 99), Moment(2026, 12, 1, 23, 59, 59)),
        (Moment(0, 0, 0, 0, 0, 0), Moment(0, 1, 1, 0, 0, 0)),
    ],
)
def test_date_of_no_calendar_is_brought_to_the_nearest(given_date: Moment, taken: Moment) -> None:
    assert seconds_of(given_date) == seconds_of(taken)
