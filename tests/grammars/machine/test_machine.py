from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from grammars import GrammarLimit, JsonSchema, Matcher, Regex
from grammars.machine.engine import EngineLimits, MachineEngine
from grammars.machine.kernels import Kernels
from grammars.machine.layout import CONSUMED, EXPANDED, FINAL, FORK, PUSH, RETURN
from grammars.machine.machine import MOST_EDGES, Machine
from grammars.machine.matcher import MachineMatcher
from grammars.machine.moves import goto
from grammars.spec import Gbnf

Allowed = Callable[[Matcher], set[int]]


@pytest.fixture
def machine(engine: MachineEngine) -> Machine:
    return Machine(engine.tables, max_bytes=2**22)


@pytest.mark.parametrize("count", [0, 1, MOST_EDGES, MOST_EDGES + 1, 256])
def test_moves_are_found_again_whatever_way_they_are_kept(count: int, machine: Machine) -> None:
    target = goto(machine.state(EXPANDED))
    moves = dict.fromkeys(random.Random(1).sample(range(256), count), target)
    by_edges, by_row, after = machine.state(), machine.state(), machine.state()
    machine.set_edges(by_edges, moves)
    row = np.zeros(256, np.int32)
    row[list(moves)] = target
    machine.set_row(by_row, row)
    machine.set_edges(after, {0: 0, 1: goto(by_row)}, by_edges)
    for state in (by_edges, by_row):
        assert machine.moves_of(state) == moves
        assert [machine.move(state, byte) for byte in range(256)] == [moves.get(byte, 0) for byte in range(256)]
    own = {byte: move for byte, move in moves.items() if byte > 1} | {1: goto(by_row)}
    assert machine.moves_of(after) == own
    assert [machine.move(after, byte) for byte in range(256)] == [own.get(byte, 0) for byte in range(256)]


def test_equal_stacks_and_moves_are_one(machine: Machine) -> None:
    frame, other = machine.frame(machine.state(), 0), machine.frame(machine.state(), CONSUMED)
    assert machine.cell(frame, 0) == machine.cell(frame, 0) != machine.cell(other, 0)
    state = machine.state()
    assert machine.push(state, [frame, other]) == machine.push(state, [frame, other]) != machine.push(state, [frame])
    one, two, three = goto(state), machine.push(state, [frame]), RETURN
    assert machine.multi([one, 0, one]) == one
    assert machine.multi([]) == 0
    assert machine.multi([one, machine.multi([two, three])]) == machine.multi([one, two, three])
    assert machine.wrapped(machine.push(state, [other]), [frame]) == machine.push(state, [frame, other])
    assert machine.wrapped(one, []) == one
    assert machine.wrapped(one, [frame]) & 7 == PUSH
    assert machine.wrapped(machine.multi([one, two]), [other]) == machine.multi(
        [machine.push(state, [other]), machine.push(state, [other, frame])]
    )


def test_a_state_nobody_can_expand_is_an_error_not_a_loop(machine: Machine) -> None:
    with pytest.raises(RuntimeError, match="nobody knows how"):
        machine.ensure(machine.state())


@pytest.mark.parametrize("number", range(3))
def test_a_failing_expansion_fails_alike_each_time_and_heals(
    number: int, grammar_of: Callable[..., object], allowed: Allowed
) -> None:
    failing = [True]

    def make(machine: Machine) -> int:
        def expand(state: int) -> None:
            if failing[0]:
                raise GrammarLimit("too much")
            machine.set_edges(state, {ord("b"): RETURN})

        begin = machine.state()
        machine.set_edges(begin, {ord("a"): goto(machine.state(0, expand))})
        return begin

    matcher: MachineMatcher = grammar_of(make).matcher()  # type: ignore[attr-defined]
    asked: Callable[[], object] = [
        lambda: allowed(matcher),
        lambda: matcher.accept(ord("b")),
        matcher.forced_bytes,
    ][number]
    assert matcher.accept(ord("a"))
    for _ in range(3):
        with pytest.raises(GrammarLimit, match="too much"):
            asked()
    failing[0] = False
    assert allowed(matcher) == {ord("b")}
    assert matcher.accept(ord("b"))


def follow(matcher: MachineMatcher) -> None:
    while matcher.accept(ord("b")):
        pass


def test_too_many_bytes_end_in_a_limit_and_harm_no_other(engine: MachineEngine, allowed: Allowed) -> None:
    small = MachineEngine(engine.vocabulary, kernels=engine.tables.kernels, limits=EngineLimits(bytes=60_000))
    grammar = small.compile(Regex("".join(f"[a-z{number}]" for number in range(10)) * 30))
    matcher = grammar.matcher()
    with pytest.raises(GrammarLimit, match="60000 bytes"):
        follow(matcher)
    with pytest.raises(GrammarLimit, match="60000 bytes"):
        follow(matcher)
    assert grammar.machine.heap.num_bytes <= 60_000 <= grammar.num_bytes
    assert grammar.matcher().accept(ord("b"))
    assert allowed(small.compile(Regex("[ab]")).matcher()) == {ord("a"), ord("b")}


def test_masks_count_as_bytes_too(engine: MachineEngine, allowed: Allowed) -> None:
    grammar = engine.compile(JsonSchema.of({"type": "string", "pattern": "^[a-z]*[A-Z]*é[0-9a-z]*$"}))
    before = grammar.num_bytes
    matcher = grammar.matcher()
    for char in b'"aAB':
        assert matcher.accept(char)
        allowed(matcher)
    assert grammar.num_bytes >= before + 4 * engine.tables.num_words


def test_too_many_readings_end_in_a_limit_and_harm_no_other(engine: MachineEngine, allowed: Allowed) -> None:
    grammar = engine.compile(Gbnf('root ::= "a" y "b" | "a" root "d" | "a"\ny ::= "a" root "c" | "a" y "e" | "a"'))
    matcher = grammar.matcher()

    def flood() -> None:
        for _ in range(20):
            assert matcher.accept(ord("a"))
            allowed(matcher)

    with pytest.raises(GrammarLimit, match="too many ways"):
        flood()
    assert 256 <= len(matcher.threads) <= 1024
    assert matcher.fork().read(b"ddd") == 3
    fresh = grammar.matcher()
    assert fresh.read(b"aaacb") == 5
    assert fresh.is_complete()
    assert allowed(engine.compile(Regex("a")).matcher()) == {ord("a")}


def test_tables_that_grew_meanwhile_are_asked_for_again(engine: MachineEngine, plain: Kernels) -> None:
    """A thread may hold masks from before another thread added some: it must not read beyond their end."""
    own = MachineEngine(engine.vocabulary, kernels=plain)
    grammar = own.compile(Regex("[a-z]*[A-Z]*é[0-9a-z]*"))
    row, matcher = np.zeros(own.tables.num_words, np.int32), grammar.matcher()
    matcher.mask_into(row)
    right, machine = row.tolist(), grammar.machine
    stale = machine.lexemes.masks[:0]
    whole, fill = machine.lexemes.masks, plain.fill

    def late(h: object, v: object, masks: object, *rest: object) -> int:
        calls.append(1)
        return fill(h, v, stale if len(calls) == 1 else masks, *rest)

    calls: list[int] = []
    object.__setattr__(own.tables, "kernels", Kernels(**{
        **{name: getattr(plain, name) for name in Kernels.__slots__}, "fill": late
    }))  # fmt: skip
    row[:] = 0
    matcher.mask_into(row)
    assert row.tolist() == right
    assert machine.lexemes.masks is whole


def test_threads_that_come_to_new_places_together_see_the_same(engine: MachineEngine) -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string", "pattern": f"^[a-z]{{{n},}}[A-Z]*$"}
                                               for n in range(12)}, "additionalProperties": False}  # fmt: skip
    spec = JsonSchema.of(schema, key_order="any")
    alone = list(seen(engine.compile(spec).matcher()))
    for _ in range(3):
        grammar, barrier = engine.compile(spec), threading.Barrier(4)

        def follow_it(_: int, grammar: object = grammar, barrier: threading.Barrier = barrier) -> list[bytes]:
            barrier.wait()
            return list(seen(grammar.matcher()))  # type: ignore[attr-defined]

        with ThreadPoolExecutor(4) as pool:
            assert all(found == alone for found in pool.map(follow_it, range(4)))


def seen(matcher: MachineMatcher) -> Iterator[bytes]:
    row = np.zeros(matcher.machine.tables.num_words, np.int32)
    text = "{" + ", ".join(f'"p{n}": "{"abcdefghijklmn"[: n + 1]}Z"' for n in range(12)) + "}"
    for byte in text.encode():
        matcher.mask_into(row)
        yield row.tobytes()
        assert matcher.accept(byte)
    assert matcher.is_exhausted()


def test_literals_return_behind_their_last_byte(grammar_of: Callable[..., object]) -> None:
    matcher: MachineMatcher = grammar_of(lambda machine: machine.literal("é1".encode())).matcher()  # type: ignore[attr-defined]
    assert matcher.read("é12".encode()) == 3
    assert matcher.is_exhausted()


def test_a_final_state_that_forks_may_end_where_it_could_go_on(grammar_of: Callable[..., object]) -> None:
    """a* then a b, where a* takes as many as there are, or not."""

    def make(flags: int) -> Callable[[Machine], int]:
        def made(machine: Machine) -> int:
            loop, behind = machine.state(flags), machine.literal(b"ab")
            machine.set_edges(loop, {ord("a"): goto(loop)})
            begin = machine.state()
            machine.set_edges(begin, {ord("<"): machine.push(loop, [machine.frame(behind, CONSUMED)])})
            return begin

        return made

    for flags, right in ((FINAL | FORK, True), (FINAL, False)):
        matcher: MachineMatcher = grammar_of(make(flags)).matcher()  # type: ignore[attr-defined]
        assert (matcher.read(b"<aaab") == 5 and matcher.is_complete()) == right
