"""Dates from seconds since 1970 and back, for any year and any field values."""

from dataclasses import dataclass
from datetime import date

DAY = 86_400
CYCLE_DAYS = 146_097
"""Days after which the Gregorian calendar repeats: 400 years."""
FIRST_ORDINAL = date(2000, 1, 1).toordinal()
EPOCH_DAYS = FIRST_ORDINAL - date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Moment:
    """A date and time of day. `weekday` counts from 1, a Sunday; hours from 0 to 23."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    weekday: int = 1


def moment_at(seconds: int) -> Moment:
    """The date and time so many seconds after 1970-01-01."""
    days, rest = divmod(seconds, DAY)
    cycles, into = divmod(days - EPOCH_DAYS, CYCLE_DAYS)
    found = date.fromordinal(FIRST_ORDINAL + into)
    return Moment(
        year=found.year + 400 * cycles,
        month=found.month,
        day=found.day,
        hour=rest // 3600,
        minute=rest // 60 % 60,
        second=rest % 60,
        weekday=found.isoweekday() % 7 + 1,
    )


def seconds_of(moment: Moment) -> int:
    """Seconds since 1970-01-01; what no calendar has is brought to the nearest that one has."""
    month = min(max(moment.month, 1), 12)
    cycles, year = divmod(moment.year - 2000, 400)
    first = date(2000 + year, month, 1).toordinal()
    following = date(2000 + year + month // 12, month % 12 + 1, 1).toordinal()
    day = min(max(moment.day, 1), following - first)
    days = first - FIRST_ORDINAL + day - 1 + EPOCH_DAYS + CYCLE_DAYS * cycles
    hour, minute, second = (
        min(value, most)
        for value, most in ((moment.hour, 23), (moment.minute, 59), (moment.second, 59))
    )
    return days * DAY + hour * 3600 + minute * 60 + second
