from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars import JsonSchema, Matcher
from grammars.machine.engine import MachineEngine
from grammars.machine.grammar import MachineGrammar
from grammars.machine.lexeme import Counts, Lexemes, Spelling
from grammars.machine.machine import Machine

Allowed = Callable[[Matcher], set[int]]
GrammarOf = Callable[[Callable[[Machine], int]], MachineGrammar]

FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CHARS = [
    "a",
    "b",
    "0",
    '"',
    "\\",
    "/",
    "\x00",
    "\x0b",
    "\x1f",
    "\n",
    "\t",
    "\x7f",
    "\x80",
    "é",
    "߿",
    "ࠀ",
    "퟿",
    "\ue000",
]
CHARS += ["￿", "𐀀", "😀", "😁", "\U0010fc00", "\U0010ffff", "c", "ab", "aba", "12"]
ODD = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xc3", b"\x80", b"\n", b"\x00"]
ODD += [rb"\ud83d", rb"\ude00", rb"\ud83d\n", rb"\x", rb"\u12", rb"\ud83d\u0041", b"\\"]


def as_escape(char: str, upper: bool) -> bytes:
    units = char.encode("utf-16-be")
    pairs = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    return "".join("\\u" + (pair.upper() if upper else pair) for pair in pairs).encode()


def dumped(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


spellings_of_char = st.sampled_from([char for char in CHARS if len(char) == 1]).flatmap(
    lambda char: st.sampled_from([dumped(char), dumped(char), as_escape(char, False), as_escape(char, True)])
)
pieces = spellings_of_char | st.sampled_from([*CHARS, r"\/"]).map(str.encode) | st.sampled_from(ODD)
contents = {spelling: st.lists(pieces, max_size=6).map(b"".join) for spelling in ("canonical", "json")}
contents["plain"] = st.lists(st.sampled_from(CHARS), max_size=5).map(lambda chars: "".join(chars).encode())


def said(spelling: Spelling, content: bytes) -> str | None:
    """The text that bytes before a closing quote (or the end) spell, None where they spell none."""
    try:
        if spelling == "plain":
            return content.decode()
        text = json.loads(b'"' + content + b'"')
        text.encode()  # no half of a surrogate pair by itself
    except ValueError:
        return None
    return text if spelling == "json" or dumped(text) == content else None


def lexeme(grammar_of: GrammarOf, spelling: Spelling, start: Any, counts: Counts | None = None) -> MachineGrammar:
    def make(machine: Machine) -> int:
        state = Lexemes(machine, spelling, counts=counts).state(start)
        if counts is None:
            return state
        before = machine.state()  # counting begins where the lexeme is entered
        machine.set_edges(before, {ord("<"): machine.push(state, ())})
        return before

    return grammar_of(make)


def accepts(grammar: MachineGrammar, text: bytes) -> bool:
    matcher = grammar.matcher()
    return all(matcher.accept(byte) for byte in text) and matcher.is_complete()


@pytest.mark.parametrize("spelling", get_args(Spelling))
@FUZZ
@given(data=st.data())
def test_a_lexeme_is_its_automaton_spelled_out(
    spelling: Spelling, data: st.DataObject, automata: st.SearchStrategy[Any], grammar_of: GrammarOf
) -> None:
    automaton = data.draw(automata)
    grammar = lexeme(grammar_of, spelling, automaton)
    end = b"" if spelling == "plain" else b'"'
    for _ in range(12):
        content = data.draw(contents[spelling])
        text = said(spelling, content)
        assert accepts(grammar, content + end) == (text is not None and automaton.accepts(text)), content
    for odd in ODD[:7] if spelling == "plain" else []:
        assert not accepts(grammar, odd)


@pytest.mark.parametrize("spelling", get_args(Spelling))
@FUZZ
@given(data=st.data())
def test_masks_are_what_is_accepted(
    spelling: Spelling,
    data: st.DataObject,
    automata: st.SearchStrategy[Any],
    grammar_of: GrammarOf,
    allowed: Allowed,
    accepted: Allowed,
) -> None:
    matcher = lexeme(grammar_of, spelling, data.draw(automata)).matcher()
    rng = random.Random(data.draw(st.integers(0, 99)))
    for _ in range(6):
        mask = allowed(matcher)
        assert mask == accepted(matcher)
        if not mask or not matcher.accept(rng.choice(sorted(mask))):
            break


@FUZZ
@given(data=st.data())
def test_characters_are_counted(
    data: st.DataObject,
    automata: st.SearchStrategy[Any],
    grammar_of: GrammarOf,
    allowed: Allowed,
    accepted: Allowed,
) -> None:
    automaton, spelling = data.draw(automata), data.draw(st.sampled_from(["json", "canonical"]))
    low = data.draw(st.integers(0, 12))
    high = data.draw(st.none() | st.integers(low, low + 14))
    grammar = lexeme(grammar_of, spelling, automaton, Counts(low, high, lambda state: state.left()))  # type: ignore[attr-defined]
    rng = random.Random(data.draw(st.integers(0, 99)))
    for length in range(0, 28, 3):
        text = drawn(automaton, rng, length)
        right = automaton.accepts(text) and low <= len(text) <= (len(text) if high is None else high)
        assert accepts(grammar, b"<" + dumped(text) + b'"') == right, text
        matcher = grammar.matcher()
        cut = rng.randint(1, len(dumped(text)) + 1)
        if all(matcher.accept(byte) for byte in (b"<" + dumped(text))[:cut]):
            assert allowed(matcher) == accepted(matcher), text


def drawn(automaton: Any, rng: random.Random, length: int) -> str:
    """A random way through an automaton."""
    text = ""
    while len(text) < length and automaton.ranges:
        low, high, automaton = rng.choice(automaton.ranges)
        text += chr(rng.choice([low, high, min(high, low + 1)]))
    return text


def test_canonical_escapes_are_those_of_json_dumps(engine: MachineEngine) -> None:
    """Else a name could be written another way than the declared one that it is."""
    grammar = engine.compile(JsonSchema.of({"type": "string", "pattern": "^[\\x0b\\x1f\\n]*$"}))
    for content, right in ((rb"\u000b\u001f\n", True), (rb"\u000B", False), (rb"\u001F", False), (rb"\u000a", False)):
        assert accepts(grammar, b'"' + content + b'"') == right, content


@pytest.mark.parametrize(("low", "high"), [(0, 9), (3, 3), (7, None), (2, 30), (0, 0), (25, 30)])
def test_masks_of_counted_strings_at_every_length(
    low: int, high: int | None, engine: MachineEngine, allowed: Allowed, accepted: Allowed
) -> None:
    bounds = {"minLength": low} | ({} if high is None else {"maxLength": high})
    grammar = engine.compile(JsonSchema.of({"type": "string", **bounds}))
    for char in (b"a", "é".encode(), b"\\n", b"\\u00e9", b"\\ud83d\\ude00"):
        matcher = grammar.matcher()
        assert matcher.accept(ord('"'))
        for _ in range(min(32, 33 if high is None else high)):
            assert allowed(matcher) == accepted(matcher)
            assert all(matcher.accept(byte) for byte in char)


def test_counts_around_a_pattern_look_as_far_ahead_as_it_does(
    engine: MachineEngine, allowed: Allowed, accepted: Allowed
) -> None:
    """Whoever has begun the hundred has to have room for them, and that is more than one token reads."""
    schema = {"type": "string", "pattern": "^(a{100}|[b-zA-Z])*$", "maxLength": 150}
    grammar = engine.compile(JsonSchema.of(schema))
    for length in (0, 100, 49, 50, 51):
        matcher = grammar.matcher()
        assert matcher.read(b'"' + b"b" * length) == length + 1
        assert allowed(matcher) == accepted(matcher)
        assert (ord("a") in allowed(matcher)) == (length <= 50)


def test_halves_of_surrogate_pairs_have_masks_of_their_own(
    engine: MachineEngine, allowed: Allowed, accepted: Allowed
) -> None:
    """Behind one hexadecimal digit more, a character is complete in one case and half of it in the other."""
    starts = [rb'"\ud83', rb'"\u004', rb'"\ud8', rb'"\u00', rb'"\ud83d\ude0', rb'"\ud', rb'"\u0']
    for order in (starts, starts[::-1]):
        tables = type(engine)(engine.vocabulary, kernels=engine.tables.kernels)
        grammar = tables.compile(JsonSchema.of({"type": "string"}))
        for start in order:
            matcher = grammar.matcher()
            assert matcher.read(start) == len(start)
            assert allowed(matcher) == accepted(matcher), start


@pytest.mark.parametrize("bound", [2**31 - 1, 2**31, 10**12])
def test_bounds_beyond_the_register_are_held_to(bound: int, engine: MachineEngine) -> None:
    for schema in ({"maxLength": bound}, {"pattern": "^.*$", "maxLength": bound}, {"pattern": f"^.{{1,{bound}}}$"}):
        assert accepts(engine.compile(JsonSchema.of({"type": "string", **schema})), b'"ab"')
    matcher = engine.compile(JsonSchema.of({"type": "string", "minLength": bound})).matcher()
    assert matcher.read(b'"abc"') == 4
