from __future__ import annotations

import asyncio
import contextvars
import threading

import sgdsl as sg


@sg.function
def inner(s: sg.ProgramState) -> str:
    s += "a b " + sg.gen("x")
    return str(s["x"])


@sg.function
def outer(s: sg.ProgramState) -> None:
    s += "q" + sg.select("pick", ["y", "n"])
    forks = s.fork(2)
    forks += sg.gen("z")
    forks.join()
    inner()
    inner.run_batch([{}] * 3)


def test_everything_inside_is_summed_by_program(mock: sg.Mock) -> None:
    inner.run(backend=mock)
    with sg.usage() as u:
        state = outer.run(backend=mock)
    inner.run(backend=mock)
    assert u.total == state.usage()
    assert (u.gens, u.selects) == (6, 1)
    assert {name: usage.gens for name, usage in u.by_program.items()} == {"outer": 2, "inner": 4}
    assert sum(u.by_program.values(), sg.Usage()) == u.total
    assert (u.prompt_tokens, u.cached_tokens, u.generated_tokens) == (
        state.usage().prompt_tokens, state.usage().cached_tokens, state.usage().generated_tokens,
    )  # fmt: skip
    assert u.forced_tokens == u.saved_calls == 0


def test_blocks_nest_and_batches_count(mock: sg.Mock) -> None:
    with sg.usage() as whole:
        inner.run(backend=mock)
        with sg.usage() as part:
            inner.run_batch([{}] * 5, backend=mock, num_threads=3)
        inner.run(backend=mock)
    assert (whole.gens, part.gens) == (7, 5)


def test_what_a_block_inside_a_program_starts(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> int:
        s += sg.gen("own")
        with sg.usage() as u:
            inner()
        return u.gens

    with sg.usage() as whole:
        assert program.run(backend=mock).ret_value == 1
    assert whole.gens == 2


async def test_tasks_have_accounts_of_their_own(mock: sg.Mock) -> None:
    @sg.function
    async def ask(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        await s.get("x")

    async def spend(times: int) -> int:
        with sg.usage() as u:
            for _ in range(times):
                await ask.arun(backend=mock)
                await inner.arun(backend=mock)
        return u.gens

    with sg.usage() as whole:
        assert await asyncio.gather(spend(1), spend(3)) == [2, 6]
    assert whole.gens == 8


def test_a_streamed_run_counts_also_after_the_block(gate: object) -> None:
    with sg.usage() as u:
        state = inner.run(backend=sg.Mock(gate), stream=True)  # type: ignore[arg-type]
    assert u.gens == 0
    gate.opened.set()  # type: ignore[attr-defined]
    state.sync()
    assert u.gens == 1


def test_another_threads_runs_are_not_ours(mock: sg.Mock) -> None:
    with sg.usage() as u:
        context = contextvars.Context()
        thread = threading.Thread(target=context.run, args=(lambda: inner.run(backend=mock),))
        thread.start()
        thread.join()
    assert u.gens == 0
    assert repr(u).startswith("<account of nothing: ")
