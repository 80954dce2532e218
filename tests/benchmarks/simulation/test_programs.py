from __future__ import annotations

import itertools

from benchmarks.simulation.optimum import optimum
from benchmarks.simulation.programs import generate
from benchmarks.simulation.trace import Forks, Piece, Program, Turn


def _turn(number: int, *prompt: Piece, output: int = 10) -> Turn:
    return Turn(0.0, prompt, Piece(number, output), 20)


def test_the_optimum_of_two_programs_with_one_beginning() -> None:
    shared = Piece(1, 100, is_shared=True)
    first = Program("p", 0.0, (_turn(2, shared, Piece(3, 5)), _turn(4, Piece(5, 7))))
    second = Program("p", 1.0, (_turn(6, shared, Piece(7, 5)),))
    found = optimum([first, second])
    assert found.prompt_tokens == 105 + (105 + 10 + 7) + 105
    assert found.hit_tokens == 0 + 115 + 100
    assert found.trie_tokens == 100 + 5 + 10 + 7 + 10 + 5 + 10


def test_of_forks_the_common_part_is_computed_once_and_the_last_token_always() -> None:
    forks = Forks((Piece(1, 100),), tuple((_turn(number),) for number in (2, 3)))
    found = optimum([Program("p", 0.0, (forks, _turn(4)))])
    assert found.prompt_tokens == 300
    assert found.hit_tokens == 0 + 99 + 99
    assert found.trie_tokens == 100 + 10 + 10 + 10


def test_the_programs_trace_has_the_mix_it_says() -> None:
    programs = list(generate(20_000, 0))
    kinds = [program.kind for program in programs]
    shares = {kind: kinds.count(kind) / len(kinds) for kind in sorted(set(kinds))}
    assert {kind: round(share, 1) for kind, share in shares.items()} == {
        "agent": 0.4,
        "chat": 0.2,
        "document": 0.1,
        "tree": 0.3,
    }
    assert sum(program.num_requests for program in programs) >= 20_000
    assert all(a.arrival < b.arrival for a, b in itertools.pairwise(programs))
    assert 0.9 < programs[-1].arrival / len(programs) < 1.1
    requests = {kind: {p.num_requests for p in programs if p.kind == kind} for kind in shares}
    assert requests == {"agent": set(range(2, 9)), "chat": {8}, "document": {10}, "tree": {10}}
    document = next(p.steps[0] for p in programs if p.kind == "document")
    assert 5600 <= document.prompt[0].length <= 10400


def test_the_same_seed_gives_the_same_trace() -> None:
    first, again, other = (list(generate(500, seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
