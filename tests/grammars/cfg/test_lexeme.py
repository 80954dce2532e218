import random
import re
import sys

import pytest

from grammars.cfg import lexeme
from grammars.cfg.lexeme import lexeme_language, width
from grammars.cfg.preference import Preferred
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.language import Language, Languages


def longest(language: Language | Preferred, text: str) -> int | None:
    """The end of the longest prefix of a text that is in a language."""
    end = None
    for place in range(len(text) + 1):
        if language.nullable:
            end = place
        code = ord(text[place]) if place < len(text) else -1
        following = next((after for low, high, after in language.moves() if low <= code <= high), None)
        if following is None:
            break
        language = following
    return end


def munched(language: Language, text: str) -> int | None:
    """Where a terminal ends that goes on for as long as the next character may belong to it."""
    for place in range(len(text) + 1):
        code = ord(text[place]) if place < len(text) else -1
        following = next((after for low, high, after in language.moves() if low <= code <= high), None)
        if following is None:
            return place if language.nullable else None
        language = following
    return None


def random_regex(rng: random.Random, depth: int, behind: bool) -> str:
    kind = rng.randrange(8 if depth else 3)
    if kind < 3:
        return rng.choice(["a", "b", "c", "[ab]", "[^a]", ".", r"\w"])
    one, other = random_regex(rng, depth - 1, behind), random_regex(rng, depth - 1, behind)
    if kind == 3:
        return one + other
    if kind == 4:
        return f"(?:{one}|{other}|{random_regex(rng, depth - 1, behind)})"
    if kind == 5:
        counts = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}"]
        return f"(?:{one}){rng.choice(counts)}"
    if kind == 6:
        return f"(?:{one}|{other})"
    return one + (rng.choice(["(?<!a)", "(?<=b)"]) if behind else "") + other


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_longest_match_is_what_re_takes(seed: int, behind: bool):
    rng = random.Random(seed)
    for _ in range(130):
        regex = random_regex(rng, 4, behind)
        try:
            language = lexeme_language(Languages(), regex)
        except UnsupportedConstraint:
            assert "(?<" in regex
            continue
        for _ in range(10):
            text = "".join(rng.choices("abcd\n", k=rng.randrange(8)))
            match = re.match(regex, text)
            assert longest(language, text) == (match.end() if match else None), (regex, text)


@pytest.mark.parametrize("seed", range(2))
def test_the_short_way_for_plain_regexes_agrees_with_the_long_one(seed: int, monkeypatch: pytest.MonkeyPatch):
    rng = random.Random(seed)
    num_plain = 0
    for _ in range(130):
        regex = random_regex(rng, 3, False)
        plain = lexeme_language(Languages(), regex)
        with monkeypatch.context() as patch:
            patch.setattr(lexeme, "longest_language", lambda languages, way: None)
            stepped = lexeme_language(Languages(), regex)
        num_plain += type(plain) is not type(stepped)
        for _ in range(6):
            text = "".join(rng.choices("abcd", k=rng.randrange(8)))
            assert longest(plain, text) == longest(stepped, text), (regex, text)
    assert num_plain > 20


@pytest.mark.parametrize(
    "regex",
    [
        r"\d",
        r"\w",
        r"\s",
        r"\S",
        r"[^\W\d]",
        "(?i:k)",
        "(?i:[^s])",
        "(?i:é)",
        "(?i:[a-z])",
        r"(?a:\w)",
        "(?ai:k)",
        "(?s:.)",
        ".",
    ],
)
def test_classes_hold_the_characters_that_re_matches(regex: str):
    language = lexeme_language(Languages(), regex)
    found = {code for low, high, _ in language.moves() for code in range(low, high + 1)}
    pattern = re.compile(regex)
    codes = [*range(0x3000), *range(0xFF00, 0x10600), 0x1D7CE, 0x1F600, sys.maxunicode - 1]
    for code in codes:
        assert (code in found) == bool(pattern.match(chr(code))), hex(code)


def test_lazy_comments_and_strings_end_at_the_first_end():
    comment = lexeme_language(Languages(), r"/\*(.|\n)*?\*/")
    assert longest(comment, "/* a */ b */") == 7
    string = lexeme_language(Languages(), r'".*?(?<!\\)(\\\\)*?"')
    assert longest(string, r'"a\"b\\" c"') == 8


def test_keywords_are_no_words():
    language = lexeme_language(Languages(), r"(?!(?:if|in|else)\b)[a-z_][a-z0-9_]*")
    pattern = re.compile(r"(?!(?:if|in|else)\b)[a-z_][a-z0-9_]*")
    for text in ["if", "iff", "i", "in", "int", "else", "els", "else1", "x", "if+", "in_", "e"]:
        match = pattern.match(text)
        assert munched(language, text) == (match.end() if match else None), text


@pytest.mark.parametrize(
    ("regex", "construct"),
    [
        ("^a", "anchor"),
        (r"a\b", "anchor or word boundary"),
        ("a(?=b)", "lookahead"),
        ("a(?!b)", "negative lookahead"),
        (r"(?!if\b)[a-z]{1,2}", "negative lookahead"),
        (r"(?!if\b)[a-z-]+", "negative lookahead"),
        (r"(?!if1\b)[a-z]+", "negative lookahead"),
        (r"(?!(?:if)+\b)[a-z]+", "negative lookahead"),
        (r"a(?!if\b)[a-z]+", "negative lookahead"),
        ("(?<!a)b", "lookbehind"),
        ("(?:a|bc)(?<!bc)d", "lookbehind of more than one character"),
        (r"(a)\1", "reference"),
        ("(?>a|ab)c", "atomic group"),
        ("a*+a", "possessive"),
    ],
)
def test_what_looks_beyond_the_terminal_is_refused(regex: str, construct: str):
    with pytest.raises(UnsupportedConstraint, match=construct):
        lexeme_language(Languages(), regex)


def test_regexes_that_do_not_parse_are_refused():
    with pytest.raises(InvalidSpec, match=r"regex '\(a'"):
        lexeme_language(Languages(), "(a")


def test_hostile_regexes_are_bounded():
    counted = lexeme_language(Languages(), "(?:a|b){1,1000000000}")
    assert longest(counted, "ab" * 50) == 100
    with pytest.raises(GrammarLimit, match="ways to go on"):
        lexeme_language(Languages(), "(?:a?){100000}b")


def test_width():
    assert width("ab?(?:c|de)") == (2, 4)
