"""Sessions as their users hold them."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from grammars import Regex
from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, InvalidParameter, RequestCancelled, RequestError
from runtime.handle import Handle
from runtime.sampling.params import SamplingParams
from runtime.session import Session

MakeEngine = Callable[..., Engine]
Clean = Callable[[Engine], None]


def greedy(count: int, **more: Any) -> SamplingParams:
    return SamplingParams(temperature=0, max_new_tokens=count, ignore_eos=True, **more)


def ids_of(session: Session) -> list[int]:
    return [token for token, _ in session.tokens().result(timeout=20)]


def test_a_script_in_one_flush_is_what_separate_calls_are(engine: Engine) -> None:
    script = engine.open()
    script.append("the theatre ")
    first = script.generate(greedy(5))
    script.append(" and then ")
    second = script.generate(greedy(4))
    tokens = script.tokens().result(timeout=20)
    assert first.done()
    assert second.done()

    engine.flush_cache()
    encode = engine.tokenizer.encode
    prompt = encode("the theatre ")
    one = engine.generate(input_ids=prompt, sampling_params=greedy(5))["output_ids"]
    then = prompt + one + encode(" and then ")
    two = engine.generate(input_ids=then, sampling_params=greedy(4))["output_ids"]
    assert list(first.result().token_ids) == one
    assert list(second.result().token_ids) == two
    assert tokens == (
        [(t, "prompt") for t in prompt]
        + [(t, "generated") for t in one]
        + [(t, "prompt") for t in encode(" and then ")]
        + [(t, "generated") for t in two]
    )


def test_a_script_computes_every_token_once(engine: Engine) -> None:
    session = engine.open()
    session.append([5] * 20)
    session.generate(greedy(6))
    session.append([6] * 9)
    last = session.generate(greedy(3)).result(timeout=20)
    # The first call's last token has not been run when the second begins.
    assert engine.stats()["computed_tokens"] == 20 + 9 + 1
    assert (last.prompt_tokens, last.cached_tokens) == (35, 25)


def test_nothing_is_computed_before_it_is_needed(engine: Engine, settled: Callable[[Engine], Any]) -> None:
    session = engine.open()
    session.append("the thin thing")
    session.flush()
    settled(engine)
    assert engine.stats()["steps"] == 0
    assert ids_of(session) == engine.tokenizer.encode("the thin thing")
    assert engine.stats()["steps"] == 0


@pytest.mark.parametrize("page_size", [1, 4, 16])
def test_a_fork_of_pending_text_prefills_once(make_engine: MakeEngine, page_size: int) -> None:
    engine = make_engine(page_size=page_size)
    session = engine.open()
    session.append([7] * 37)
    children = session.fork(8)
    for i, child in enumerate(children):
        child.append([50 + i, 51, 52])
    handles = [child.generate(greedy(4)) for child in children]
    session.close()
    outputs = [handle.result(timeout=20) for handle in handles]
    assert engine.stats()["computed_tokens"] == 37 + 8 * 3
    engine.flush_cache()
    for i, output in enumerate(outputs):
        alone = engine.generate(input_ids=[7] * 37 + [50 + i, 51, 52], sampling_params=greedy(4))
        assert list(output.token_ids) == alone["output_ids"]
        assert output.cached_tokens == 37


def test_a_child_alone_is_enough_to_set_its_parent_off(engine: Engine) -> None:
    child = engine.open().fork(2)[1]  # nobody holds the parent, nobody flushes it
    grandchild = child.fork(1)[0]
    child.append("abc")
    grandchild.append("the thin")
    gc.collect()
    assert ids_of(grandchild) == engine.tokenizer.encode("the thin")
    assert len(child.generate(greedy(3)).result(timeout=20).token_ids) == 3


def test_a_dropped_parent_does_not_take_its_forks_along(engine: Engine) -> None:
    def forked() -> list[Session]:
        parent = engine.open()
        parent.append([9] * 300)
        return parent.fork(3)

    children = forked()
    gc.collect()
    handles = [child.generate(greedy(2)) for child in children]
    for child in children:
        child.flush()
    gc.collect()
    assert [handle.result(timeout=20).prompt_tokens for handle in handles] == [300] * 3


def test_forks_of_forks_and_of_nothing(engine: Engine) -> None:
    root = engine.open()
    early = root.fork(1)[0]  # before any text
    root.append("the ")
    left, right = root.fork(2)
    left.append("theatre")
    deep = left.fork(1)[0]
    deep.append(" there")
    early.append("x")
    encode = engine.tokenizer.encode
    assert ids_of(deep) == encode("the ") + encode("theatre") + encode(" there")
    assert ids_of(right) == encode("the ")
    assert ids_of(early) == encode("x")
    mine, parents = deep.generate(greedy(3)), root.generate(greedy(3))
    alone = engine.generate(input_ids=ids_of(deep)[:-3], sampling_params=greedy(3))
    assert list(mine.result(timeout=20).token_ids) == alone["output_ids"]
    assert list(parents.result(timeout=20).token_ids) == ids_of(root)[len(encode("the ")) :]


def test_siblings_do_not_write_into_each_other(make_engine: MakeEngine) -> None:
    engine = make_engine(page_size=16)
    session = engine.open()
    session.append([8] * 21)  # a page and a tail
    session.generate(greedy(2)).result(timeout=20)
    left, right = session.fork(2)
    left.append([100, 101])
    right.append([110, 111])
    results = [s.generate(greedy(6)) for s in (left, right, session)]
    tails = [list(r.result(timeout=20).token_ids) for r in results]
    engine.flush_cache()
    for branch, tail in zip((left, right, session), tails, strict=True):
        whole = ids_of(branch)
        assert engine.generate(input_ids=whole[:-6], sampling_params=greedy(6))["output_ids"] == tail


@pytest.mark.parametrize("page_size", [1, 4, 16])
def test_truncate_and_generate_again(make_engine: MakeEngine, page_size: int) -> None:
    engine = make_engine(page_size=page_size)
    session = engine.open()
    session.append([11] * 18)
    mark = session.mark()
    first = session.generate(greedy(9)).result(timeout=20)
    session.truncate(mark.result())
    again = session.generate(greedy(9)).result(timeout=20)
    assert again.token_ids == first.token_ids
    session.truncate(mark.result() + 4)
    rest = session.generate(greedy(5)).result(timeout=20)
    assert rest.token_ids == first.token_ids[4:]
    session.truncate(7)
    session.append([12] * 3)
    other = session.generate(greedy(4)).result(timeout=20)
    engine.flush_cache()
    alone = engine.generate(input_ids=[11] * 7 + [12] * 3, sampling_params=greedy(4))
    assert list(other.token_ids) == alone["output_ids"]
    session.truncate(0)
    assert ids_of(session) == []


def test_truncating_beyond_the_end_fails_the_session(engine: Engine, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append([5, 6])
    session.truncate(3)
    handle = session.generate(greedy(1))
    session.close()
    with pytest.raises(InvalidParameter, match=r"num_tokens=3 .* 0\.\.2"):
        handle.result(timeout=20)
    assert_nothing_held(engine)


def test_namespaces_never_share(engine: Engine) -> None:
    for namespace in ("a", "b"):
        with engine.open(namespace=namespace) as session:
            session.append([5] * 40)
            assert session.generate(greedy(1)).result(timeout=20).cached_tokens == 0
    with engine.open(namespace="a") as session:
        session.append([5] * 40)
        assert session.generate(greedy(1)).result(timeout=20).cached_tokens == 32


def test_an_empty_session_gets_a_begin_token(engine: Engine) -> None:
    session = engine.open()
    assert session.generate(greedy(2)).result(timeout=20).prompt_tokens == 1
    assert ids_of(session)[0] == engine.tokenizer.bos_token_id


def test_text_begins_with_bos_where_the_model_wants_it(make_engine: MakeEngine, bos_tokenizer: Any) -> None:
    engine = make_engine(bos_tokenizer)
    session = engine.open()
    session.append("the ")
    child = session.fork(1)[0]
    child.append("thin")
    encode = bos_tokenizer.encode
    assert ids_of(child) == [1, *encode("the "), *encode("thin")]
    fresh = engine.open().fork(1)[0]
    fresh.append("thin")
    assert ids_of(fresh) == [1, *encode("thin")]


@pytest.mark.parametrize("phase", ["recorded", "queued", "prefilling", "decoding", "compiling", "scoring", "forking"])
def test_cancel_ends_whatever_has_not_ended(make_engine: MakeEngine, assert_nothing_held: Clean, phase: str) -> None:
    engine = make_engine(max_running_requests=1 if phase == "queued" else 8, chunked_prefill_size=2, page_size=4)
    blocker = engine.open()
    if phase == "queued":
        blocker.append("x")
        blocker.generate(greedy(400))
        blocker.flush()
    release = threading.Event()
    if phase == "compiling":
        compiler = engine._core._compilation._compiler
        real = compiler.compile
        compiler.compile = lambda spec, is_cancelled=None: (release.wait(10), real(spec))[1]  # type: ignore[method-assign]
    session = engine.open(program="agent")
    session.append([20] * (400 if phase in ("prefilling", "scoring", "forking") else 3))
    waiting: list[Handle[Any]] = []
    if phase == "scoring":
        waiting.append(session.score(["a", "b"], lambda scores: 0))
    elif phase == "forking":
        waiting.append(session.fork(1)[0].generate(greedy(3)))
    elif phase == "compiling":
        waiting.append(session.generate(greedy(5, constraint=Regex("[ab]{40}"))))
    else:
        waiting.append(session.generate(greedy(100 if phase == "decoding" else 5)))
    waiting.append(session.mark())
    if phase == "decoding":
        next(iter(waiting[0]))
    elif phase != "recorded":
        session.flush()
    session.cancel()
    for handle in waiting:
        with pytest.raises(RequestCancelled, match="agent"):
            handle.result(timeout=5)
    with pytest.raises(RequestCancelled):
        session.generate(greedy(1)).result(timeout=5)
    release.set()
    session.close()
    blocker.cancel()
    blocker.close()
    del waiting, handle
    gc.collect()
    assert_nothing_held(engine)


def test_close_lets_the_script_end_first(engine: Engine, assert_nothing_held: Clean) -> None:
    with engine.open() as session:
        session.append("the ")
        first = session.generate(greedy(30))
        session.append(" and ")
        second = session.generate(greedy(5))
    assert len(first.result(timeout=20).token_ids) == 30
    assert len(second.result(timeout=20).token_ids) == 5
    assert_nothing_held(engine)
    with pytest.raises(RequestCancelled):
        session.generate(greedy(1)).result(timeout=5)
    session.close()


def test_a_failed_script_still_closes(make_engine: MakeEngine, assert_nothing_held: Clean) -> None:
    engine = make_engine(context_length=30)
    for _ in range(5):
        with pytest.raises(ContextLengthExceeded):
            engine.generate(input_ids=[5] * 40)
        with engine.open() as session:
            session.append([5] * 20)
            good = session.generate(greedy(2))
            session.append([5] * 20)
            bad = session.generate(greedy(2))
            after = session.mark()
        assert len(good.result(timeout=20).token_ids) == 2
        for handle in (bad, after):
            with pytest.raises(ContextLengthExceeded):
                handle.result(timeout=20)
    assert_nothing_held(engine)


def test_a_session_dropped_without_close_is_given_up(engine: Engine, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append("the theatre there")
    session.generate(greedy(5)).result(timeout=20)
    children = session.fork(3)
    children[0].generate(greedy(2)).result(timeout=20)
    del session, children
    gc.collect()
    assert_nothing_held(engine)


def test_a_child_dropped_before_the_fork_is_not_taken_up_again(engine: Engine, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append("the theatre there")
    children = session.fork(3)
    children[0].close()
    children[1].cancel()
    with pytest.raises(RequestCancelled):
        children[1].mark().result(timeout=5)
    del children
    gc.collect()
    assert len(session.generate(greedy(2)).result(timeout=20).token_ids) == 2
    session.close()
    del session
    gc.collect()
    assert_nothing_held(engine)


def test_bad_arguments_are_refused_at_once(engine: Engine) -> None:
    session = engine.open()
    for call, named in (
        (lambda: session.append([384]), "input_ids=384"),
        (lambda: session.append([-1]), "input_ids=-1"),
        (lambda: session.fork(0), "n=0"),
        (lambda: session.fork(True), "n=True"),
        (lambda: session.generate(SamplingParams(n=2)), "n=2"),
        (lambda: session.generate(top_logprobs=-1), "top_logprobs=-1"),
        (lambda: session.score([], lambda scores: 0), "choices"),
        (lambda: session.score(["a", ""], lambda scores: 0), "choices"),
    ):
        with pytest.raises(InvalidParameter, match=named):
            call()
    assert len(session.generate(greedy(2)).result(timeout=20).token_ids) == 2


def _act(session: Session, rng: random.Random, live: list[Session], handles: list[Handle[Any]]) -> None:
    """One random operation."""
    choices = rng.sample(["a", "the", "there", "thin", " x", "été"], rng.randrange(1, 4))
    tokens = [rng.randrange(3, 6) for _ in range(rng.randrange(1, 12))]
    name = rng.choices(
        ["append", "generate", "score", "fork", "truncate", "cancel", "flush", "constrained", "close", "drop"],
        [25, 25, 10, 8, 6, 4, 6, 4, 6, 6],
    )[0]
    if name == "append":
        session.append(tokens)
    elif name == "generate":
        handles.append(session.generate(greedy(rng.randrange(0, 9))))
    elif name == "score":
        handles.append(session.score(choices, lambda scores: len(scores) - 1))
    elif name == "constrained":
        handles.append(session.generate(greedy(4, constraint=Regex("[ab]{2,3}"))))
    elif name == "fork":
        live.extend(session.fork(rng.randrange(1, 3)))
    elif name == "truncate":
        session.truncate(rng.randrange(0, 3))
    elif name in ("flush", "cancel", "close"):
        getattr(session, name)()
    if name in ("cancel", "close", "drop"):
        live.remove(session)


@pytest.mark.parametrize(("page_size", "max_total_tokens"), [(1, 150), (4, 160), (16, 240)])
def test_random_operations_leave_the_books_clean(
    make_engine: MakeEngine, assert_nothing_held: Clean, page_size: int, max_total_tokens: int
) -> None:
    """Whatever sessions do, every handle ends, and in the end nothing is held."""
    rng = random.Random(page_size)
    engine = make_engine(page_size=page_size, max_total_tokens=max_total_tokens, chunked_prefill_size=13)
    live = [engine.open()]
    handles: list[Handle[Any]] = []
    for _ in range(250):
        session = rng.choice(live)
        _act(session, rng, live, handles)
        del session
        live = [*live[-6:], engine.open()] if len(live) < 4 else live[-8:]
    for session in live:
        session.close()
    live.clear()
    del session
    for handle in handles:
        with suppress(RequestError, RequestCancelled):
            handle.result(timeout=20)
    assert sum(handle.error() is None for handle in handles) > 20
    handles.clear()
    del handle
    gc.collect()
    assert_nothing_held(engine)
