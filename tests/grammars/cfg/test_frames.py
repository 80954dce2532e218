from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars import GrammarLimit, InvalidSpec, JsonSchema, Vocabulary
from grammars.cfg.frames import RuleFrames
from grammars.cfg.rules import Call, Embedded, Production, Rules, Special, Symbol, Terminal
from grammars.machine.engine import MachineEngine
from grammars.machine.grammar import MachineGrammar
from grammars.machine.machine import Machine
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language
from grammars.spec import Gbnf, Lark

FUZZ = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PATTERNS = ["a", "b", "ab", "a*", "[ab]+", "a+b", "(ab)+", "ba|b", "é", "aé?"]
TEXTS = ["".join(chars) for length in range(5) for chars in itertools.product("abé", repeat=length)]


@pytest.fixture(scope="module")
def engine(vocabulary: Vocabulary) -> MachineEngine:
    return MachineEngine(vocabulary)


def compiled(rules: Rules, engine: MachineEngine, languages: Languages) -> MachineGrammar:
    machine = Machine(engine.tables, max_bytes=2**24)

    def none(_: JsonSchema) -> int:
        raise AssertionError("nothing is embedded")

    return MachineGrammar(machine, RuleFrames(machine, rules, languages, none).root(), ())


def accepts(grammar: MachineGrammar, text: str) -> bool:
    matcher = grammar.matcher()
    return matcher.read(text.encode()) == len(text.encode()) and matcher.is_complete()


@st.composite
def rule_sets(draw: st.DrawFn) -> list[list[list[tuple[str, bool] | int]]]:
    """By rule its productions: (pattern, greedy), or the number of a rule. A rule calls itself only behind a letter."""
    greedy_patterns = [pattern for pattern in PATTERNS if pattern != "a*"]
    terminal = st.tuples(st.sampled_from(PATTERNS), st.just(False)) | st.tuples(
        st.sampled_from(greedy_patterns), st.just(True)
    )
    count = draw(st.integers(1, 3))
    rules: list[list[list[tuple[str, bool] | int]]] = []
    for number in range(count):
        later = st.integers(number + 1, count - 1) if number + 1 < count else terminal
        productions: list[list[tuple[str, bool] | int]] = []
        for _ in range(draw(st.integers(1, 3))):
            production: list[tuple[str, bool] | int] = draw(st.lists(terminal | later, max_size=3))
            if draw(st.booleans()):
                again = draw(st.integers(0, count - 1))
                production = [("a", False), again, *production]
            productions.append(production)
        productions.append([("b", False)])
        rules.append(productions)
    return rules


def made(sets: list[list[list[tuple[str, bool] | int]]], languages: Languages) -> Rules:
    def symbol(item: tuple[str, bool] | int) -> Symbol:
        if isinstance(item, int):
            return Call(str(item))
        return Terminal(pattern_language(languages, item[0]), greedy=item[1])

    return Rules("0", {
        str(number): tuple(tuple(map(symbol, production)) for production in productions)
        for number, productions in enumerate(sets)
    })  # fmt: skip


@FUZZ
@given(sets=rule_sets())
def test_exactly_the_texts_derived_from_the_rules_are_accepted(
    sets: list[list[list[tuple[str, bool] | int]]], engine: MachineEngine, recognises: Callable[[Rules, str], bool]
) -> None:
    languages = Languages()
    rules = made(sets, languages)
    grammar = compiled(rules, engine, languages)
    for text in TEXTS:
        assert accepts(grammar, text) == recognises(rules, text), text


def test_a_terminal_of_one_byte_may_stand_before_and_after_everything(engine: MachineEngine) -> None:
    languages = Languages()
    one = Terminal(languages.literal("a"), greedy=True)
    maybe = Call("maybe")
    rules = Rules("start", {
        "start": ((maybe, one, maybe, Call("pair")), (one, Call("start"))),
        "maybe": ((), (Terminal(languages.literal("b"), greedy=False), maybe)),
        "pair": ((one, maybe, Terminal(languages.literal("é"), greedy=False)),),
    })  # fmt: skip
    grammar = compiled(rules, engine, languages)
    good = ["aaé", "baaé", "abbabé", "aaaaé", "abaé"]
    assert [text for text in good if not accepts(grammar, text)] == []
    assert [text for text in ("", "aé", "aab", "bé", "aaéa", "baba") if accepts(grammar, text)] == []


def test_loops_in_tail_position_make_no_stack(engine: MachineEngine) -> None:
    matcher = engine.compile(Gbnf('root ::= ("a" | "b" "é")* "1"')).matcher()
    assert matcher.read("abé".encode() * 5) == 20
    before, used = matcher.threads.tolist(), matcher.machine.heap.used
    assert matcher.read("abé".encode() * 500) == 2_000
    assert matcher.threads.tolist() == before
    assert matcher.machine.heap.used == used


def test_special_tokens_and_documents_are_symbols(vocabulary: Vocabulary, engine: MachineEngine) -> None:
    special = len(vocabulary) - 3
    named = Vocabulary(vocabulary.tokens, vocabulary.end_tokens, special={"<|x|>": special})
    own = MachineEngine(named, kernels=engine.tables.kernels)
    grammar = own.compile(Lark('start: (<|x|> %json {"type": "integer"} ";")+'))
    matcher = grammar.matcher()
    for _ in range(2):
        assert matcher.accept(special)
        assert not matcher.fork().accept(special)
        assert matcher.read(b"12;") == 3
    assert matcher.is_complete()
    rules = Rules("s", {"s": ((Special("<|y|>"),),)})
    with pytest.raises(InvalidSpec, match=r"special token: the vocabulary has no '<\|y\|>'"):
        compiled(rules, engine, Languages()).matcher().accept(0)


def test_each_embedded_document_is_asked_for(engine: MachineEngine) -> None:
    asked: list[JsonSchema] = []
    specs = [JsonSchema.of({"const": 1}), JsonSchema.of({"const": 2})]
    machine = Machine(engine.tables, max_bytes=2**20)

    def embedded(spec: JsonSchema) -> int:
        asked.append(spec)
        return machine.literal(b"<%d>" % specs.index(spec))

    both: tuple[Production, ...] = ((Embedded(specs[0]), Embedded(specs[1])),)
    grammar = MachineGrammar(machine, RuleFrames(machine, Rules("s", {"s": both}), Languages(), embedded).root(), ())
    assert accepts(grammar, "<0><1>")
    assert not accepts(grammar, "<1><0>")
    assert set(asked) == set(specs)


def test_too_many_ways_to_begin_are_refused(engine: MachineEngine) -> None:
    languages = Languages()
    letter = Terminal(languages.literal("a"), greedy=False)

    def rules() -> Iterator[tuple[str, tuple[Production, ...]]]:
        for depth in range(16):
            further = (Call(str(depth + 1)),)
            yield str(depth), ((*further, letter), (*further, Terminal(languages.literal(f"b{depth}"), greedy=False)))
        yield "16", ((letter,),)

    matcher = compiled(Rules("0", dict(rules())), engine, languages).matcher()
    for _ in range(2):
        with pytest.raises(GrammarLimit, match="20000 ways to begin"):
            matcher.accept(ord("a"))
