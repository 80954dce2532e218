from __future__ import annotations

import datetime
import ipaddress
import json
import random
import re
import uuid
from pathlib import Path

import jsonschema
import pytest

from grammars.regular.format_parts import charset
from grammars.regular.formats import FORMATS, format_language
from grammars.regular.language import Language, Languages

SUITE = Path(__file__).parents[4] / "shared" / "data" / "schemas" / "jsts2020.jsonl"

ACCEPTED = {
    "date": ["2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2023-04-30"],
    "date-time": [
        "2022-02-28T12:00:00Z",
        "1963-06-19t08:30:06.283185z",
        "1990-12-31T15:59:60-08:00",
        "1998-12-31T23:59:60.5Z",
        "2017-01-01T00:59:60+01:00",
        "2015-06-30T23:59:60+00:00",
    ],
    "duration": ["P1Y2M3DT4H5M6S", "P4W", "PT0S", "P1Y", "PT1M30S", "P1DT1H"],
    "email": [
        "a@b.c",
        '"a b"@example.com',
        'x."'[:1] + "@[127.0.0.1]",
        "a+b/c=d@x",
        "j@[IPv6:::1]",
        "u@xn--bcher-kva.de",
    ],
    "hostname": ["a", "a-b.c", "1.2.3.4", "A" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61, "a-b-c", "ab-c"],
    "idn-email": ["δοκιμή@example.com", "a@straße.de", "用户@例え"],
    "idn-hostname": ["例え.jp", "straße.de", "example.com", "실례.테스트"],
    "ipv4": ["0.0.0.0", "255.255.255.255", "1.20.250.199"],
    "ipv6": ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:1.2.3.4", "a::B:c"],
    "iri": ["http://ƒøø.ßår/?∂éœ=πîx#πîüx", "urn:x", "http://[::1]:80/"],
    "iri-reference": ["#ƒrägmênt", "âππ", "//é/", ""],
    "json-pointer": ["", "/", "/a~1b~0", "/é/0/-", "//"],
    "regex": ["", "^a+$", "([abc])+\\s+$", "(?:a|b){2,10}?", "[^\\]a-z-]"[:5] + "]", "(?=x)y", "a{3}", "\\u00e9\\/"],
    "relative-json-pointer": ["0", "1#", "12/a", "0/"],
    "time": ["08:30:06Z", "23:59:60Z", "15:59:60-08:00", "00:29:60+00:30", "12:00:00.123456+05:30"],
    "uri": ["http://a/b?c#d", "mailto:a@b", "urn:a:b", "http://[v7.x:y]:8080", "ftp://u:p@h/", "a:", "x://%41"],
    "uri-reference": ["", "//", "./a:b", "?q", "#f", "a/b:c", "/a//b"],
    "uri-template": ["http://x/{?a,b*}", "{+x:3}/{y.z}", "a%20b", "{%41}"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "2EB8AA08-aa98-11ea-b4aa-73b441d16380"],
}
REFUSED = {
    "date": [
        "2023-02-29",
        "1900-02-29",
        "2023-04-31",
        "0000-01-01",
        "2023-13-01",
        "2023-00-10",
        "2023-1-1",
        "20230101",
    ],
    "date-time": [
        "2022-02-31T12:00:00Z",
        "2022-02-28 12:00:00Z",
        "2022-02-28T24:00:00Z",
        "2022-02-28T12:00:00",
        "1990-12-31T15:59:60-07:00",
        "2022-03-14T23:59:60Z",
        "2017-01-01T23:59:60Z",
        "2016-12-31T00:59:60+01:00",
        "2022-02-28T12:00:00.Z",
    ],
    "duration": ["P", "PT", "P1", "P1Y2D", "PT1H2S", "P1W2D", "P1S", "-P1D", "P1.5D"],
    "email": ["a", "@b", "a@", "a..b@c", ".a@c", "a.@c", "a b@c", "a@b_c", "a@[300.0.0.1]", "x" * 65 + "@a.b", "é@b"],
    "hostname": ["", "-a", "a-", "a..b", "a.", ".a", "a_b", "xn--a", "b" * 64, ".".join(["a" * 49] * 5) + ".abcd"],
    "idn-email": ["a", "é" * 33 + "@b"],
    "idn-hostname": ["", "-é", "é-", "é..b", "〮실례", "É.de", "é--a.de"[:2] + "--a.de", "a b"],
    "ipv4": ["1.2.3", "256.1.1.1", "01.2.3.4", "1.2.3.4.5", "1.2.3.4 ", "1..2.3"],
    "ipv6": [
        ":",
        ":::",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "12345::",
        "::1.2.3",
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:8::",
        ":1",
    ],
    "iri": ["/abc", "http://a b", "http://x/\n", "http://2001:db8::1"],
    "iri-reference": ["a\\b", "é b", "1:b"],
    "json-pointer": ["a", "#", "/~", "/~2", "/~0~"],
    "regex": ["(", "[", "a**", "*a", "a{2,1}", "\\", "[b-a]", "(?<a>b", "(?i)a", "]", "{", "\\1"],
    "relative-json-pointer": ["", "01", "-1", "0##", "1#/a", "/a"],
    "time": ["24:00:00Z", "12:60:00Z", "12:00:61Z", "22:59:60Z", "23:59:60+01:00", "12:00:00", "8:00:00Z"],
    "uri": ["", "//a", "a", "http://a b", "http://x/%zz", "http://[1::2::3]", "http://x:y/", "1a:b", "http://é"],
    "uri-reference": ["1:b", "\\a", "a b", "#a#b", "/é", "//a@b@c/"],
    "uri-template": ["{", "}", "{}", "{a,}", "{a:0}", "{=a}", "a b", "%4"],
    "uuid": ["2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa9811eab4aa73b441d16380", "{2eb8aa08}", ""],
}


@pytest.fixture
def languages() -> Languages:
    return Languages()


def language_of(languages: Languages, name: str) -> Language:
    language = format_language(languages, name)
    assert language is not None
    return language


def random_walk(language: Language, rng: random.Random, stop: float) -> str:
    text = ""
    while True:
        moves = language.moves()
        assert moves or language.nullable, f"{text!r} is a dead end"
        if not moves or (language.nullable and rng.random() < stop):
            return text
        low, high, language = rng.choice(moves)
        text += chr(rng.randint(low, high))


def mutated(text: str, rng: random.Random, alphabet: str) -> str:
    position = rng.randrange(len(text) + 1)
    inserted: str = rng.choice(["", *alphabet])
    return text[:position] + inserted + text[position + rng.choice([0, 1, 1]) :]


def test_every_format_has_examples() -> None:
    assert set(ACCEPTED) == set(REFUSED) == set(FORMATS)


@pytest.mark.parametrize("name", ACCEPTED)
def test_examples(languages: Languages, name: str) -> None:
    language = language_of(languages, name)
    assert [text for text in ACCEPTED[name] if not language.contains(text)] == []
    assert [text for text in REFUSED[name] if language.contains(text)] == []


@pytest.mark.parametrize("name", ["int32", "double", "binary", "", "Date", "unknown"])
def test_other_formats_have_no_language(languages: Languages, name: str) -> None:
    assert format_language(languages, name) is None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
def test_random_walks_end_in_what_a_validator_accepts(languages: Languages, name: str) -> None:
    rng = random.Random(7)
    language = language_of(languages, name)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    for _ in range(40):
        text = random_walk(language, rng, stop=0.05)
        assert language.contains(text)
        assert checker.conforms(text, name), text


def test_dates_are_those_that_datetime_knows(languages: Languages) -> None:
    language = language_of(languages, "date")
    rng = random.Random(1)
    for _ in range(3000):
        year = rng.choice([0, 1, 4, 100, 400, 1900, 2000, 2024, 2023, rng.randrange(10_000)])
        month, day = rng.randrange(14), rng.choice([0, 1, 28, 29, 30, 31, 32])
        text = f"{year:04}-{month:02}-{day:02}"
        try:
            datetime.date(year, month, day)
        except ValueError:
            assert not language.contains(text), text
        else:
            assert language.contains(text), text


def test_times_are_those_that_datetime_knows(languages: Languages) -> None:
    language, rng = language_of(languages, "date-time"), random.Random(2)
    for _ in range(1500):
        text = mutated("2024-02-29T13:45:59.250+05:30", rng, "0123456789:.-+TZ")
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:[0-5]\d)", text) and ":60" not in text:
            try:
                datetime.datetime.fromisoformat(text)
            except ValueError:
                assert not language.contains(text), text
            else:
                assert language.contains(text), text
        else:
            assert not language.contains(text), text


def test_leap_seconds_are_the_last_second_of_a_day_in_utc(languages: Languages) -> None:
    full, alone = language_of(languages, "date-time"), language_of(languages, "time")
    rng = random.Random(3)
    for _ in range(1500):
        offset = rng.choice([0, 30, 60, 1439, rng.randrange(1440)]) * rng.choice([-1, 1])
        moment = datetime.datetime(2016, 12, 31, 23, 59) + datetime.timedelta(
            minutes=offset + rng.choice([0, 0, 0, 1, 60])
        )
        day = moment + datetime.timedelta(days=rng.choice([0, 0, 1]))
        sign = "-" if offset < 0 or (offset == 0 and rng.random() < 0.5) else "+"
        clock = f"{moment:%H:%M}:60{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
        utc = moment - datetime.timedelta(minutes=offset)
        assert alone.contains(clock) == (utc.hour == 23 and utc.minute == 59), clock
        exact = (day - datetime.timedelta(minutes=offset)).strftime("%m-%dT%H:%M") in ("12-31T23:59", "06-30T23:59")
        assert full.contains(f"{day:%Y-%m-%d}T{clock}") == exact, (day, clock)


def test_ip_addresses_are_those_that_ipaddress_knows(languages: Languages) -> None:
    rng = random.Random(4)
    for name, kind in (("ipv4", ipaddress.IPv4Address), ("ipv6", ipaddress.IPv6Address)):
        language = language_of(languages, name)
        for _ in range(3000):
            text = random_walk(language, rng, 0.1) if rng.random() < 0.5 else rng.choice(ACCEPTED[name])
            for _ in range(rng.randrange(3)):
                text = mutated(text, rng, ":.:0125af")
            try:
                kind(text)
            except ValueError:
                assert not language.contains(text), text
            else:
                assert language.contains(text), text


def test_uuids_are_those_that_uuid_writes(languages: Languages) -> None:
    language = language_of(languages, "uuid")
    for number in range(50):
        text = str(uuid.UUID(int=random.Random(number).getrandbits(128)))
        assert language.contains(text)
        assert not language.contains(text[1:])


def test_host_names_have_253_characters_and_local_parts_64_octets(languages: Languages) -> None:
    rng = random.Random(5)
    host, mail = language_of(languages, "hostname"), language_of(languages, "idn-email")
    for _ in range(300):
        name = ".".join("a" * rng.randint(1, 64) for _ in range(rng.randint(3, 5)))[: rng.randint(240, 260)].strip(".")
        assert host.contains(name) == (len(name) <= 253 and max(map(len, name.split("."))) <= 63)
        local = "".join(rng.choice("aé例𐍈") for _ in range(rng.randint(12, 40)))
        assert mail.contains(f"{local}@x.y") == (len(local.encode()) <= 64)


def test_regexes_compile(languages: Languages) -> None:
    language, rng = language_of(languages, "regex"), random.Random(6)
    for _ in range(200):
        re.compile(random_walk(language, rng, stop=0.03))


def test_international_labels_fit_into_punycode(languages: Languages) -> None:
    language, rng = language_of(languages, "idn-hostname"), random.Random(8)
    for _ in range(200):
        text = random_walk(language, rng, stop=0.02)
        encoded = [
            label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in text.split(".")
        ]
        assert max(map(len, encoded)) <= 63
        assert len(".".join(encoded)) <= 253


def test_charset_reads_ranges_and_a_leading_hyphen() -> None:
    assert charset("-a-c_").ranges == ((0x2D, 0x2D), (0x5F, 0x5F), (0x61, 0x63))


@pytest.mark.corpus
@pytest.mark.skipif(not SUITE.exists(), reason="the folder of schemas is not here")
def test_the_json_schema_test_suite_finds_nothing_invalid_accepted(languages: Languages) -> None:
    incomplete = {"hostname", "idn-hostname", "regex"}
    for line in SUITE.read_text().strip().split("\n"):
        entry = json.loads(line)
        name = entry["schema"].get("format", "") if isinstance(entry["schema"], dict) else ""
        if entry["split"] != "jsts/optional" or name not in FORMATS:
            continue
        language = language_of(languages, name)
        for test in entry["tests"]:
            if isinstance(test["data"], str) and (not test["valid"] or name not in incomplete):
                assert language.contains(test["data"]) == test["valid"], (name, test["data"])
