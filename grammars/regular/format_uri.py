"""URIs (RFC 3986), IRIs (RFC 3987) and URI templates (RFC 6570)."""

from __future__ import annotations

from grammars.regular.charset import CharSet
from grammars.regular.format_address import ipv6
from grammars.regular.format_parts import DIGIT, HEX, Parts, charset
from grammars.regular.language import Language, Languages

__all__ = ["iri", "iri_reference", "uri", "uri_reference", "uri_template"]

NOTHING = CharSet(())
LETTER = charset("A-Za-z")
SCHEME = charset("A-Za-z0-9+.") | charset("-")
PLAIN = charset("-A-Za-z0-9._~!$&'()*+,;=")
"""`unreserved` and `sub-delims`."""
UCS = CharSet.of(
    [(0xA0, 0xD7FF), (0xF900, 0xFDCF), (0xFDF0, 0xFFEF)]
    + [(plane << 16 | (0x1000 if plane == 0xE else 0), plane << 16 | 0xFFFD) for plane in range(1, 0xF)]
)
PRIVATE = CharSet.of([(0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)])
TEMPLATE = charset("!#$&(-;=?-[]_a-z~") | UCS | PRIVATE
TEMPLATE_NAME = charset("A-Za-z0-9_")


def uri(languages: Languages) -> Language:
    """`URI`."""
    return _Identifiers(languages, PLAIN, NOTHING).absolute()


def uri_reference(languages: Languages) -> Language:
    """`URI-reference`: a URI or a relative reference."""
    return _Identifiers(languages, PLAIN, NOTHING).reference()


def iri(languages: Languages) -> Language:
    """`IRI`."""
    return _Identifiers(languages, PLAIN | UCS, PRIVATE).absolute()


def iri_reference(languages: Languages) -> Language:
    """`IRI-reference`: an IRI or a relative reference."""
    return _Identifiers(languages, PLAIN | UCS, PRIVATE).reference()


def uri_template(languages: Languages) -> Language:
    """`URI-Template`, without the operators that are reserved for extensions."""
    parts = Parts(languages)
    encoded = _encoded(parts)
    char = parts.either(TEMPLATE_NAME, encoded)
    modifier = parts.either("", "*", parts.seq(":", charset("1-9"), parts.times(DIGIT, 0, 3)))
    name = parts.seq(char, parts.times(parts.seq(parts.maybe("."), char), 0), modifier)
    names = parts.seq(name, parts.times(parts.seq(",", name), 0))
    expression = parts.seq("{", parts.maybe(charset("+#./;?&")), names, "}")
    return parts.times(parts.either(TEMPLATE, encoded, expression), 0)


def _encoded(parts: Parts) -> Language:
    return parts.seq("%", HEX, HEX)


class _Identifiers:
    """The two kinds of identifiers over an alphabet.

    Args:
        languages: the arena.
        plain: characters that stand for themselves everywhere.
        private: characters that a query may have besides.
    """

    def __init__(self, languages: Languages, plain: CharSet, private: CharSet) -> None:
        self._parts = parts = Parts(languages)
        self._plain = plain
        self._encoded = _encoded(parts)
        char = self._char(":@")
        self._segment = parts.times(char, 1)
        self._path = parts.times(parts.seq("/", parts.times(char, 0)), 0)
        query = parts.times(parts.either(self._char(":@/?"), private), 0)
        fragment = parts.times(self._char(":@/?"), 0)
        self._tail = parts.seq(parts.maybe("?", query), parts.maybe("#", fragment))
        self._rooted = parts.either(
            parts.seq("//", self._authority(), self._path), parts.seq("/", parts.maybe(self._segment, self._path))
        )

    def absolute(self) -> Language:
        """With a scheme."""
        parts = self._parts
        scheme = parts.seq(LETTER, parts.times(SCHEME, 0), ":")
        path = parts.either("", self._rooted, parts.seq(self._segment, self._path))
        return parts.seq(scheme, path, self._tail)

    def reference(self) -> Language:
        """With a scheme, or relative to another identifier: then no colon stands in the first segment of a path."""
        parts = self._parts
        path = parts.either("", self._rooted, parts.seq(parts.times(self._char("@"), 1), self._path))
        return parts.either(self.absolute(), parts.seq(path, self._tail))

    def _char(self, more: str) -> Language:
        return self._parts.either(self._plain | CharSet.chars(more), self._encoded)

    def _authority(self) -> Language:
        parts = self._parts
        future = parts.seq(charset("Vv"), parts.times(HEX, 1), ".", parts.times(PLAIN | CharSet.chars(":"), 1))
        address = parts.seq("[", parts.either(ipv6(parts.languages), future), "]")
        host = parts.either(address, parts.times(self._char(""), 0))
        return parts.seq(
            parts.maybe(parts.times(self._char(":"), 0), "@"), host, parts.maybe(":", parts.times(DIGIT, 0))
        )
