"""Dates, times and durations (RFC 3339)."""

from __future__ import annotations

from dataclasses import dataclass

from grammars.regular.charset import CharSet
from grammars.regular.format_parts import DIGIT, Parts, charset
from grammars.regular.language import Language, Languages, Leaf

__all__ = ["date", "date_time", "duration", "time"]

NONZERO, SEPARATOR, ZULU, SIGN = map(charset, ("1-9", "Tt", "Zz", "-+"))
LONG_MONTHS, LATE_LONG_MONTHS, SHORT_MONTHS = map(charset, ("13578", "02", "469"))
FOURS = tuple((charset(tens), charset(ones)) for tens, ones in (("0", "48"), ("2468", "048"), ("13579", "26")))
"""The digits of the multiples of 4 below 100, without 00."""
LEAP_SECOND_CHARS = charset("-+.:Zz0-9")
FRACTION_DIGITS = 18
DAY_MINUTES = 24 * 60


def date(languages: Languages) -> Language:
    """`full-date`, of the year 0001 or later."""
    parts = Parts(languages)
    days = parts.either(
        parts.seq(
            parts.either(parts.seq("0", charset("13578")), parts.seq("1", charset("02"))), "-", parts.number(1, 31)
        ),
        parts.seq(parts.either(parts.seq("0", charset("469")), "11"), "-", parts.number(1, 30)),
        parts.seq("02-", parts.number(1, 28)),
    )
    return parts.either(parts.seq(_year(parts), "-", days), parts.seq(_leap_year(parts), "-02-29"))


def time(languages: Languages) -> Language:
    """`full-time`; a leap second only where UTC has it, at 23:59:60."""
    leap_seconds = (languages.leaf(_LeapSecond("", late)) for late in (False, True))
    return languages.union(_ordinary_time(Parts(languages)), *leap_seconds)


def date_time(languages: Languages) -> Language:
    """`date-time`; a leap second only at the end of June or December in UTC."""
    parts = Parts(languages)
    year = _year(parts)
    behind, ahead = (languages.leaf(_LeapSecond("", late)) for late in (False, True))
    return parts.either(
        parts.seq(date(languages), SEPARATOR, _ordinary_time(parts)),
        parts.seq(year, parts.either("-06-30", "-12-31"), SEPARATOR, behind),
        parts.seq(year, parts.either("-07-01", "-01-01"), SEPARATOR, ahead),
    )


def duration(languages: Languages) -> Language:
    """`duration` (RFC 3339, appendix A): weeks alone, or units that follow each other without a gap."""
    parts = Parts(languages)
    days, times = _units(parts, "YMD"), parts.seq("T", _units(parts, "HMS"))
    weeks = parts.seq(parts.times(DIGIT, 1), "W")
    return parts.seq("P", parts.either(weeks, parts.seq(days, parts.maybe(times)), times))


def _units(parts: Parts, units: str) -> Language:
    """Numbers with some of these units, from one of them on down without a gap."""
    chains: list[Language] = []
    for unit in reversed(units):
        following = parts.maybe(chains[-1]) if chains else ""
        chains.append(parts.seq(parts.times(DIGIT, 1), unit, following))
    return parts.either(*chains)


def _year(parts: Parts) -> Language:
    ways = (parts.seq("0" * zeros, NONZERO, parts.times(DIGIT, 3 - zeros, 3 - zeros)) for zeros in range(4))
    return parts.either(*ways)


def _leap_year(parts: Parts) -> Language:
    fours = parts.either(*(parts.seq(tens, ones) for tens, ones in FOURS))
    return parts.either(parts.seq(fours, "00"), parts.seq(DIGIT, DIGIT, fours))


def _ordinary_time(parts: Parts) -> Language:
    hour, minute = parts.number(0, 23), parts.number(0, 59)
    fraction = parts.maybe(".", parts.times(DIGIT, 1, FRACTION_DIGITS))
    offset = parts.either(ZULU, parts.seq(SIGN, hour, ":", minute))
    return parts.seq(hour, ":", minute, ":", minute, fraction, offset)


@dataclass(frozen=True, slots=True)
class _LeapSecond:
    """A time whose second is 60, with the one offset that makes it 23:59:60 in UTC.

    Args:
        read: what has been read of `HH:MM:60`.
        late: whether the local clock is ahead of UTC, so that its next day has begun; else the offset is 0 or negative.
        decimals: how many decimals have been read, -1 before the point.
        offset: what is left of the offset once its first character is read.
    """

    read: str
    late: bool
    decimals: int = -1
    offset: str | None = None

    @property
    def name(self) -> str:
        return repr(self)

    @property
    def nullable(self) -> bool:
        return self.offset == ""

    @property
    def alphabet(self) -> CharSet:
        return LEAP_SECOND_CHARS if self.offset is None else CharSet.chars(self.offset)

    def moves(self) -> tuple[tuple[int, int, Leaf], ...]:
        if self.offset is not None:
            return () if not self.offset else self._one(self.offset[0], offset=self.offset[1:])
        position = len(self.read)
        if position == 8:
            return self._after_second()
        if position in (2, 5, 6, 7):
            return self._step("__:__:60"[position], "__:__:60"[position])
        if self.late and self.read == "23:5":
            return self._step("0", "8")  # 23:59 lies a whole day ahead
        return self._step("0", {0: "2", 1: "3" if self.read == "2" else "9", 3: "5", 4: "9"}[position])

    def _step(self, first: str, last: str) -> tuple[tuple[int, int, Leaf], ...]:
        return tuple(
            (code, code, _LeapSecond(self.read + chr(code), self.late)) for code in range(ord(first), ord(last) + 1)
        )

    def _one(self, char: str, *, offset: str) -> tuple[tuple[int, int, Leaf], ...]:
        return ((ord(char), ord(char), _LeapSecond("", False, 0, offset)),)

    def _after_second(self) -> tuple[tuple[int, int, Leaf], ...]:
        point: tuple[tuple[int, int, Leaf], ...] = ()
        digits: tuple[tuple[int, int, Leaf], ...] = ()
        if self.decimals < FRACTION_DIGITS:
            after = _LeapSecond(self.read, self.late, self.decimals + 1)
            point, digits = ((0x2E, 0x2E, after),), ((0x30, 0x39, after),)
        if self.decimals == -1:
            return (*self._zone(before=True), *point, *self._zone(before=False))
        zone = self.decimals > 0
        return (*(self._zone(before=True) if zone else ()), *digits, *(self._zone(before=False) if zone else ()))

    def _zone(self, *, before: bool) -> tuple[tuple[int, int, Leaf], ...]:
        """The moves into the offset: the signs, which come before the digits, or the letters, which come behind."""
        local = int(self.read[:2]) * 60 + int(self.read[3:5])
        behind = DAY_MINUTES - 1 - local
        if not before:
            letters = "Zz" if behind == 0 and not self.late else ""
            return tuple(move for letter in letters for move in self._one(letter, offset=""))
        ahead = (local + 1) % DAY_MINUTES
        plus = self._one("+", offset=_clock(ahead)) if self.late or ahead == 0 else ()
        minus = () if self.late else self._one("-", offset=_clock(behind))
        return (*plus, *minus)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
