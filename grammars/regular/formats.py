"""Languages of the `format`s that JSON Schema names for strings.

Each is exactly what the format's specification allows, save that:

- a fraction of a second has at most 18 digits, and there is no year 0000;
- a leap second stands only where UTC reads 23:59:60, in a `date-time` only on the last day of June or December;
- `hostname` and `idn-hostname` refuse labels with `--` in third and fourth place (punycode, which no automaton checks),
  and `idn-hostname` knows only a part of the characters and lengths that IDNA 2008 allows;
- `regex` is the part of ECMA 262's syntax, groups nested at most three deep, that other dialects read alike.

What these leave out is refused although it is valid; nothing invalid is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from grammars.regular import format_address, format_pointer, format_regex, format_time, format_uri
from grammars.regular.language import Language, Languages

__all__ = ["FORMATS", "format_language"]

FORMATS: Mapping[str, Callable[[Languages], Language]] = MappingProxyType(
    {
        "date": format_time.date,
        "date-time": format_time.date_time,
        "duration": format_time.duration,
        "email": format_address.email,
        "hostname": format_address.hostname,
        "idn-email": format_address.idn_email,
        "idn-hostname": format_address.idn_hostname,
        "ipv4": format_address.ipv4,
        "ipv6": format_address.ipv6,
        "iri": format_uri.iri,
        "iri-reference": format_uri.iri_reference,
        "json-pointer": format_pointer.json_pointer,
        "regex": format_regex.regex,
        "relative-json-pointer": format_pointer.relative_json_pointer,
        "time": format_time.time,
        "uri": format_uri.uri,
        "uri-reference": format_uri.uri_reference,
        "uri-template": format_uri.uri_template,
        "uuid": format_pointer.uuid,
    }
)
"""What makes the language of each format."""


def format_language(languages: Languages, name: str) -> Language | None:
    """The language of a format; None for one that is not known or says nothing of which strings are valid.

    Of the latter kind are those about numbers (`int32`, `double`) and OpenAPI's about encodings (`byte`, `binary`).

    Args:
        languages: the arena that the language is made in.
        name: the format's name.
    """
    make = FORMATS.get(name)
    if make is None:
        return None
    found = make(languages)
    languages.titles[found] = (name, make)
    return found
