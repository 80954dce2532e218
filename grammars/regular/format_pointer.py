"""JSON pointers and UUIDs."""

from __future__ import annotations

from grammars.regular.charset import CharSet
from grammars.regular.format_parts import DIGIT, HEX, Parts, charset
from grammars.regular.language import Language, Languages

__all__ = ["json_pointer", "relative_json_pointer", "uuid"]

UNESCAPED = CharSet.of([(0, 0x2E), (0x30, 0x7D), (0x7F, 0x10FFFF)])


def json_pointer(languages: Languages) -> Language:
    """RFC 6901, as a string, without the `#` of a fragment."""
    parts = Parts(languages)
    char = parts.either(UNESCAPED, parts.seq("~", charset("01")))
    return parts.times(parts.seq("/", parts.times(char, 0)), 0)


def relative_json_pointer(languages: Languages) -> Language:
    """draft-handrews-relative-json-pointer-01: a number of levels up, then a pointer or `#`."""
    parts = Parts(languages)
    number = parts.either("0", parts.seq(charset("1-9"), parts.times(DIGIT, 0)))
    return parts.seq(number, parts.either("#", json_pointer(languages)))


def uuid(languages: Languages) -> Language:
    """RFC 9562, any version and variant, in either case."""
    parts = Parts(languages)
    group = parts.seq("-", parts.times(HEX, 4, 4))
    return parts.seq(parts.times(HEX, 8, 8), parts.times(group, 3, 3), "-", parts.times(HEX, 12, 12))
