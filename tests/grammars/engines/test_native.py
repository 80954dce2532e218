from __future__ import annotations

import random
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from grammars import GrammarError, InvalidSpec, JsonSchema, Matcher, Regex, UnsupportedConstraint, Vocabulary, unpack
from grammars.engines.base import Engine, EngineAbsent
from grammars.engines.registry import NAMES, engine_named
from grammars.spec import Choice, Gbnf, JsonObject, Lark, Spec, Stop

NEEDS_XGRAMMAR = pytest.mark.skipif(find_spec("xgrammar") is None, reason="xgrammar is an extra of a gigabyte")
XGRAMMAR = pytest.param("xgrammar", marks=NEEDS_XGRAMMAR)
NATIVE = ("llguidance", XGRAMMAR)
PATTERNS = [
    "[a-c]{2,4}",
    "(?:ab|é|1)*",
    "a?b{0,2}1",
    "true|null|",
    "[^a]b",
    "(a|😀){1,2}b",
    "[\\^b]{2}",
    "[\\^_a]x*",
    r"\d+(\.\d{1,2})?",
]
SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}}, "required": ["a", "b"],
     "additionalProperties": False},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
    {"enum": ["ab", 12, None]},
    {"type": "array", "prefixItems": [{"type": "null"}, {"const": "é"}], "items": False, "minItems": 2},
]  # fmt: skip
CROSSED = JsonSchema.of({"type": "string", "minLength": 3, "maxLength": 2})
OBJECT = {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}


def allowed(matcher: Matcher, vocabulary: Vocabulary) -> set[int]:
    row = np.full(vocabulary.mask_words, -1, np.int32)
    matcher.mask_into(row)
    return set(np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist())


def is_same(llguidance: set[int], exact: set[int]) -> bool:
    """Where one text is forced, llguidance allows its canonical tokens only (it says so)."""
    return llguidance == exact or (len(llguidance) == 1 and llguidance < exact)


def accepts(engine: Engine, spec: Spec, text: str) -> bool:
    matcher = engine.compile(spec).matcher()
    return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks_of_regexes_agree_along_random_walks(
    pattern: str, foreign: dict[str, Engine], vocabulary: Vocabulary
) -> None:
    grammars = {name: engine.compile(Regex(pattern)) for name, engine in foreign.items()}
    rng = random.Random(pattern)
    for _ in range(4):
        matchers = {name: grammar.matcher() for name, grammar in grammars.items()}
        for _ in range(12):
            masks = {name: allowed(matcher, vocabulary) for name, matcher in matchers.items()}
            assert masks.get("xgrammar", masks["outlines"]) == masks["outlines"]
            assert is_same(masks["llguidance"], masks["outlines"])
            assert len({(matcher.is_complete(), matcher.is_exhausted()) for matcher in matchers.values()}) == 1
            token = rng.choice(sorted(masks["outlines"]))
            assert all(matcher.accept(token) for matcher in matchers.values())


@NEEDS_XGRAMMAR
@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_masks_of_closed_schemas_agree(
    schema: dict[str, Any], foreign: dict[str, Engine], vocabulary: Vocabulary
) -> None:
    matchers = [foreign[name].compile(JsonSchema.of(schema)).matcher() for name in ("llguidance", "xgrammar")]
    rng = random.Random(1)
    while not matchers[0].is_exhausted():
        first, second = (allowed(matcher, vocabulary) for matcher in matchers)
        assert is_same(first, second)
        token = rng.choice(sorted(first))
        assert all(matcher.accept(token) for matcher in matchers)
    assert matchers[1].is_exhausted()


@pytest.mark.parametrize("name", NATIVE)
def test_rollback_and_fork_equal_a_fresh_replay(name: str, foreign: dict[str, Engine], vocabulary: Vocabulary) -> None:
    grammar = foreign[name].compile(Regex("(?:ab|a|é|12|[b-d])*"))
    rng, matcher, path = random.Random(3), grammar.matcher(), list[int]()
    for step in range(120):
        match rng.randrange(6):
            case 0:
                other = matcher.fork()
                assert matcher.accept(min(allowed(matcher, vocabulary)))
                matcher = other
            case 1:
                back = rng.randint(0, min(3, len(path)))
                matcher.rollback(back)
                path = path[: len(path) - back]
            case _:
                token = rng.randrange(300) if step % 2 else rng.choice(sorted(allowed(matcher, vocabulary)))
                if token in allowed(matcher, vocabulary):
                    path.append(token)
                    assert matcher.accept(token)
                else:
                    assert not matcher.accept(token)
        fresh = grammar.matcher()
        assert all(fresh.accept(token) for token in path)
        assert allowed(matcher, vocabulary) == allowed(fresh, vocabulary)
        assert matcher.is_complete() == fresh.is_complete()
    with pytest.raises(ValueError, match="num_tokens"):
        matcher.rollback(len(path) + 1)


@pytest.mark.parametrize("name", NATIVE)
def test_accept_agrees_with_the_mask(name: str, foreign: dict[str, Engine], vocabulary: Vocabulary) -> None:
    matcher = foreign[name].compile(Regex("(ab|é|1)+")).matcher()
    assert matcher.accept(ord("1"))
    accepted = {token for token in range(-1, len(vocabulary) + 40) if matcher.fork().accept(token)}
    assert accepted == allowed(matcher, vocabulary)


@pytest.mark.parametrize("name", NATIVE)
def test_nothing_but_end_tokens_follows_an_end_token(
    name: str, foreign: dict[str, Engine], vocabulary: Vocabulary
) -> None:
    matcher = foreign[name].compile(Regex("a*")).matcher()
    end, other = sorted(vocabulary.end_tokens)
    assert not matcher.is_exhausted()
    assert matcher.accept(end)
    assert matcher.is_exhausted()
    assert not matcher.accept(ord("a"))
    assert allowed(matcher, vocabulary) == vocabulary.end_tokens
    assert matcher.fork().accept(other)
    matcher.rollback(1)
    assert matcher.accept(ord("a"))
    assert not foreign[name].compile(Regex("ab")).matcher().accept(end)


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        (Choice(("a.b", 'q"', "é")), ["a.b", 'q"', "é"], ["axb", "a.", ""]),
        (JsonSchema.of(OBJECT), ['{"a": 1, "b": 2}', '{"a": 1}'], ['{"a":1}', "{}"]),
        (JsonSchema.of(OBJECT, "compact"), ['{"a":1,"b":2}'], ['{"a": 1}']),
        (JsonSchema.of(OBJECT, "flexible"), ['{"a":1, "b" : 2}', '{\n"a": 1}'], ['{"a"' + 9 * " " + ": 1}"]),
        (JsonObject(), ['{"k": [1, null]}', "{}"], ["[]", "1"]),
        (Lark('start: "a" NUM\nNUM: /[0-9]+/'), ["a1", "a123"], ["a", "1"]),
        (Gbnf('root ::= "a" [0-9]+ ("b" | "c")*'), ["a1", "a12bc"], ["ab"]),
    ],
)
def test_specs_mean_the_same_to_both(
    name: str, spec: Spec, good: list[str], bad: list[str], foreign: dict[str, Engine]
) -> None:
    assert [text for text in good if not accepts(foreign[name], spec, text)] == []
    assert [text for text in bad if accepts(foreign[name], spec, text)] == []


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("llguidance", JsonSchema.of({"type": "array", "uniqueItems": True}), "uniqueItems"),
        ("llguidance", JsonSchema.of({}, key_order="any"), "key_order"),
        ("llguidance", JsonSchema.of(False), "llguidance"),
        ("llguidance", Lark("start: nowhere"), "llguidance"),
        ("llguidance", Gbnf("root ::= ("), "llguidance"),
        pytest.param("xgrammar", CROSSED, "minLength 3", marks=NEEDS_XGRAMMAR),
        pytest.param("xgrammar", Gbnf("root ::= ("), "xgrammar", marks=NEEDS_XGRAMMAR),
        ("outlines", JsonSchema.of({}), "JsonSchema at /: outlines does not take it"),
        ("outlines", Stop((".",)), "Stop at /: outlines"),
        ("llguidance", Stop((".",)), "Stop at /: llguidance"),
        pytest.param("xgrammar", Stop((".",)), "Stop at /: xgrammar", marks=NEEDS_XGRAMMAR),
    ],
)  # fmt: skip
def test_what_a_library_does_not_take_is_refused_in_one_line(
    name: str, spec: Spec, message: str, foreign: dict[str, Engine]
) -> None:
    with pytest.raises(UnsupportedConstraint, match=message) as caught:
        foreign[name].compile(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["outlines", *NATIVE])
def test_patterns_are_read_by_our_own_reader(name: str, foreign: dict[str, Engine]) -> None:
    with pytest.raises(InvalidSpec):
        foreign[name].compile(Regex("("))
    assert not accepts(foreign[name], Regex(r"\d"), "٣")


AB: dict[str, Any] = {"type": "object", "properties": {"a": {}, "b": {}}}
LENGTHS = "minLength or maxLength"
LOSSES: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "array", "uniqueItems": True}, "[1, 1]", "uniqueItems at /"),
    ({"type": "number", "multipleOf": 0.01}, "1.234", "multipleOf at /"),
    ({"type": "integer", "not": {"const": 3}}, "3", "not at /"),
    (AB | {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a": 1}', "if at /"),
    (AB | {"dependentRequired": {"a": ["b"]}}, '{"a": 1}', "dependentRequired at /"),
    ({"type": "array", "contains": {"type": "string"}}, "[1]", "contains at /"),
    ({"items": {"type": "string", "pattern": "^a*$", "minLength": 3}}, '["a"]', f"{LENGTHS} at /items"),
    ({"type": "string", "minLength": 1}, '"\x00"', f"{LENGTHS} at /"),
    ({"type": "string", "format": "date"}, '"2021-02-31"', "format at /"),
    ({"allOf": [{"type": "integer", "minimum": 5}, {"maximum": 9}]}, "3", "allOf at /"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "1", "oneOf at /"),
    ({"$ref": "#/$defs/a", "minimum": 5, "$defs": {"a": {"type": "integer"}}}, "3", "minimum at /"),
    ({"enum": [1, 7], "minimum": 5}, "1", "minimum at /"),
    ({"minimum": 5}, "3", "minimum at /"),
    ({"type": "object", "required": ["a"]}, "{}", "required at /"),
    (AB | {"patternProperties": {"^a": {"minimum": 5}}}, '{"a": 1}', "patternProperties at /"),
]


@NEEDS_XGRAMMAR
@pytest.mark.parametrize(("schema", "invalid", "warning"), LOSSES, ids=[warning for _, _, warning in LOSSES])
def test_what_xgrammar_lets_through_is_warned_of(
    schema: dict[str, Any], invalid: str, warning: str, foreign: dict[str, Engine]
) -> None:
    spec = JsonSchema.of(schema)
    assert accepts(foreign["xgrammar"], spec, invalid)
    assert any(one.startswith(warning + " ") for one in foreign["xgrammar"].compile(spec).warnings)


@NEEDS_XGRAMMAR
def test_a_property_called_like_a_keyword_is_no_loss(foreign: dict[str, Engine]) -> None:
    schema = {"type": "object", "properties": {"not": {"type": "null"}, "format": {"type": "null"}}, "required": []}
    assert foreign["xgrammar"].compile(JsonSchema.of(schema)).warnings == ()
    any_order = foreign["xgrammar"].compile(JsonSchema.of(schema, key_order="any")).warnings
    assert [warning.split(" are ")[0] for warning in any_order] == ["duplicate properties"]


def test_forced_tokens_need_the_tokenizer(vocabulary: Vocabulary, foreign: dict[str, Engine]) -> None:
    by_text = {text.decode(): at for at, text in enumerate(vocabulary.tokens[:258]) if text and text.isascii()}

    def encode(text: str) -> list[int]:
        found = []
        while text:
            piece = next(text[:size] for size in (2, 1) if text[:size] in by_text)
            found.append(by_text[piece])
            text = text[len(piece) :]
        return found

    knowing = Vocabulary(vocabulary.tokens, vocabulary.end_tokens, encode=encode)
    spec = Regex("abxyz[ab]")
    forced = engine_named("llguidance")(knowing).compile(spec).matcher().forced()
    assert b"".join(vocabulary.tokens[token] or b"" for token in forced) == b"abxyz"
    assert forced == encode("abxyz")
    for name in foreign:
        assert engine_named(name)(vocabulary).compile(spec).matcher().forced() == []


@pytest.mark.parametrize("name", ["llguidance", "xgrammar"])
def test_an_absent_library_is_named(name: str, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(wanted: str) -> None:
        raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.setattr("grammars.engines.base.import_module", absent)
    with pytest.raises(EngineAbsent, match=f'pip install "sgdsl\\[{name}\\]"'):
        engine_named(name)(vocabulary)
    assert issubclass(EngineAbsent, GrammarError)


def test_engines_are_known_by_name() -> None:
    assert NAMES == ("sgdsl", "outlines", "llguidance", "xgrammar")
    with pytest.raises(ValueError, match="grammar_engine: 'magic' is not one of sgdsl, outlines"):
        engine_named("magic")


def test_sizes_are_known_for_the_budget(foreign: dict[str, Engine]) -> None:
    for engine in foreign.values():
        assert engine.compile(Regex("a{1,50}")).num_bytes > 0
