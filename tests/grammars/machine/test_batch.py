from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from grammars import GrammarLimit, JsonSchema, Matcher, Regex, Vocabulary, fill_masks
from grammars.errors import GrammarTimeout
from grammars.machine.batch import fill_batch
from grammars.machine.engine import EngineLimits, MachineEngine
from grammars.machine.kernels import Kernels
from grammars.machine.matcher import MachineMatcher
from grammars.spec import Gbnf, Spec

Walked = Callable[..., Iterator[MachineMatcher]]

SPECS: list[Spec] = [
    Regex("[a-e]{2,300}é?"),
    JsonSchema.of({}),
    JsonSchema.of({"type": "array", "uniqueItems": True, "items": {"enum": ["ab", 12, None]}, "minItems": 1}),
    JsonSchema.of({"type": "string", "maxLength": 7}),
    Gbnf('root ::= "a" root "ba" | [^a] "b"* | "12" root'),
]


def single(matchers: list[MachineMatcher]) -> list[list[int]]:
    rows = np.zeros((len(matchers), matchers[0].machine.tables.num_words), np.int32)
    for matcher, row in zip(matchers, rows, strict=True):
        matcher.mask_into(row)
    return rows.tolist()


@pytest.mark.parametrize("fresh", [True, False])
def test_rows_of_several_grammars_are_those_of_their_matchers(
    fresh: bool, engine: MachineEngine, walked: Walked
) -> None:
    rng = random.Random(3)
    grammars = [engine.compile(spec) for spec in SPECS]
    if fresh:  # nothing of the new grammars is made yet: the batch has to make it
        waiting = [grammar.matcher() for grammar in grammars]
    else:
        waiting = [matcher.fork() for grammar in grammars for matcher in walked(grammar, rng, 6)]
        finished = engine.compile(Regex("a?")).matcher()
        assert finished.accept(min(engine.vocabulary.end_tokens))
        waiting.append(finished)
    rng.shuffle(waiting)
    out = np.full((len(waiting) + 3, engine.tables.num_words), 7, np.int32)
    places = rng.sample(range(len(out)), len(waiting))
    fill_batch(waiting, places, out)
    assert [out[place].tolist() for place in places] == single(waiting)
    rest = [row for place, row in enumerate(out.tolist()) if place not in places]
    assert rest == [[7] * engine.tables.num_words] * 3


@pytest.mark.parametrize("count", [1, 2])
def test_small_batches(count: int, engine: MachineEngine) -> None:
    matchers = [engine.compile(Regex("ab*|1")).matcher() for _ in range(count)]
    out = np.zeros((count, engine.tables.num_words), np.int32)
    fill_batch(matchers, range(count), out)
    assert out.tolist() == single(matchers)


def test_matchers_of_other_vocabularies_and_engines_mix(engine: MachineEngine, plain: Kernels) -> None:
    other = MachineEngine(engine.vocabulary, kernels=plain)
    matchers = [each.compile(spec).matcher() for spec in SPECS[:3] for each in (engine, other)]

    class Nothing:
        def mask_into(self, row: np.ndarray) -> None:  # type: ignore[type-arg]
            row[:] = 5

    rows: list[Matcher | None] = [*matchers, None, Nothing()]  # type: ignore[list-item]
    out = np.zeros((len(rows), engine.tables.num_words), np.int32)
    fill_masks(rows, out)
    assert out[:-2].tolist() == single(matchers)
    assert set(out[-2].tolist()) == {-1}
    assert set(out[-1].tolist()) == {5}


def test_a_row_that_cannot_be_filled_says_so_and_harms_no_other_call(engine: MachineEngine) -> None:
    small = MachineEngine(engine.vocabulary, kernels=engine.tables.kernels, limits=EngineLimits(bytes=10000))
    wide = "".join(f"[a-z{number}]" for number in range(10))  # a token may read four of them
    bad, good = small.compile(Regex(wide)).matcher(), small.compile(Regex("a")).matcher()
    out = np.zeros((2, engine.tables.num_words), np.int32)
    with pytest.raises(GrammarLimit):
        fill_batch([bad, good], [0, 1], out)
    fill_batch([good], [1], out)
    assert out[1].tolist() == single([good])[0]
    errors: dict[int, Exception] = {}
    fill_batch([good, bad, good], [1, 0, 2], out := np.zeros((3, engine.tables.num_words), np.int32), errors)
    assert [*errors] == [0]
    assert isinstance(errors[0], GrammarLimit)
    assert out[1:].tolist() == single([good, good])


def negated_searches(count: int) -> JsonSchema:
    """A conjunction whose states multiply."""
    patterns = [f"{'abcdef'[at]}.{{{8 + at}}}{'zyxwvu'[at]}.*[0-9]{{{at + 2}}}x" for at in range(count)]
    return JsonSchema.of({"type": "string", "allOf": [{"not": {"pattern": pattern}} for pattern in patterns]})


def test_a_row_whose_mask_takes_too_long_ends_soon_and_alone(smollm2: Vocabulary) -> None:
    engine = MachineEngine(smollm2)
    bad, good = engine.compile(negated_searches(6)).matcher(), engine.compile(Regex("a+")).matcher()
    assert bad.read(b'"abc') == 4
    out = np.zeros((3, engine.tables.num_words), np.int32)
    errors: dict[int, Exception] = {}
    begin = time.thread_time()
    fill_masks([good, bad, good], out, errors)
    assert time.thread_time() - begin < 15  # the limit is half a second; a busy core takes longer for the step it is in
    assert [*errors] == [1]
    assert isinstance(errors[1], GrammarTimeout)
    assert "not found out within 0.5 s" in str(errors[1])
    assert out[[0, 2]].tolist() == single([good, good])
