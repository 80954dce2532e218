"""Addresses: IP (RFC 2673, RFC 4291), host names (RFC 1123, RFC 5890) and mail (RFC 5321, RFC 6531)."""

from __future__ import annotations

from grammars.regular.charset import CharSet
from grammars.regular.format_host import HostName, LocalPart
from grammars.regular.format_parts import DIGIT, HEX, Part, Parts, charset
from grammars.regular.language import Language, Languages

__all__ = ["email", "hostname", "idn_email", "idn_hostname", "ipv4", "ipv6"]

HOST_LENGTH, MAIL_HOST_LENGTH, LOCAL_LENGTH = 253, 255, 64
SMALL = charset("a-z0-9ßà-öø-ÿα-ωа-яё")
"""Letters without capitals, composed: Latin, Greek, Cyrillic."""
WIDE = charset("a-z0-9ぁ-ゖァ-ヺ一-鿯가-힣")
"""Kana, Han and Hangul."""
INTERNATIONAL_LABEL = 11
"""Characters of a label such that punycode makes at most 63 of it, whatever they are."""


def ipv4(languages: Languages) -> Language:
    """`dotted-quad`: four decimal bytes without zeros in front."""
    parts = Parts(languages)
    byte = parts.either(
        DIGIT,
        parts.seq(charset("1-9"), DIGIT),
        parts.seq("1", DIGIT, DIGIT),
        parts.seq("2", charset("0-4"), DIGIT),
        parts.seq("25", charset("0-5")),
    )
    return parts.seq(byte, parts.times(parts.seq(".", byte), 3, 3))


def ipv6(languages: Languages) -> Language:
    """An IPv6 address (RFC 3986, section 3.2.2) without zone or prefix length; `::` stands for at least one group."""
    parts = Parts(languages)
    group, address = parts.times(HEX, 1, 4), ipv4(languages)
    behind: list[Part] = ["", group]  # what may follow `::`, by the most groups there may be
    while len(behind) < 8:
        behind.append(parts.either(parts.seq(group, parts.maybe(":", behind[-1])), address))
    rest: Part = parts.seq(":", parts.either(group, ":"))  # after seven groups
    for count in range(6, 0, -1):
        following = parts.seq(group, rest)
        compressed = parts.seq(":", parts.maybe(behind[7 - count]))
        rest = parts.seq(":", parts.either(following, compressed, *([address] if count == 6 else [])))
    return parts.either(parts.seq(group, rest), parts.seq("::", parts.maybe(behind[7])))


def hostname(languages: Languages) -> Language:
    """A host name of at most 253 characters; none with `--` in third and fourth place of a label."""
    return languages.leaf(HostName(HOST_LENGTH))


def idn_hostname(languages: Languages) -> Language:
    """A host name, or up to three short labels of ASCII and one more script's characters that IDNA 2008 allows."""
    parts = Parts(languages)
    return parts.either(hostname(languages), *(_international_host(parts, script) for script in (SMALL, WIDE)))


def email(languages: Languages) -> Language:
    """`Mailbox`: a local part of at most 64 octets at a domain or an IP address."""
    return _mailbox(languages, languages.nothing, international=False)


def idn_email(languages: Languages) -> Language:
    """`Mailbox` with characters beyond ASCII in its local part and, as far as `idn-hostname` knows them, its domain."""
    return _mailbox(languages, idn_hostname(languages), international=True)


def _mailbox(languages: Languages, more_hosts: Language, *, international: bool) -> Language:
    local = languages.leaf(LocalPart(LOCAL_LENGTH, international=international))
    domain = languages.leaf(HostName(MAIL_HOST_LENGTH, tagged=True))
    parts = Parts(languages)
    tag = parts.seq(charset("Ii"), charset("Pp"), charset("Vv"), "6:")
    address = parts.seq("[", parts.either(ipv4(languages), parts.seq(tag, ipv6(languages))), "]")
    return parts.seq(local, "@", parts.either(domain, more_hosts, address))


def _international_host(parts: Parts, char: CharSet) -> Language:
    inner = char | CharSet.chars("-")
    untagged = parts.either(parts.seq(char, inner), parts.seq("-", char))
    label = parts.either(
        char,
        parts.seq(char, parts.times(inner, 0, 2), char),
        parts.seq(char, inner, untagged, parts.times(inner, 0, INTERNATIONAL_LABEL - 5), char),
    )
    return parts.seq(label, parts.times(parts.seq(".", label), 0, 2))
