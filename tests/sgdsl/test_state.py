from __future__ import annotations

import threading
import time
from typing import Any, Literal

import pytest

import sgdsl as sg
from sgdsl.backends.mock_session import MockSession


def prompts(mock: sg.Mock) -> list[str]:
    return [call.prompt for call in mock.calls]


@pytest.fixture
def appended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every unit of text a session was given."""
    units: list[str] = []
    original = MockSession.append

    def append(self: MockSession, content: Any) -> None:
        units.append(content)
        original(self, content)

    monkeypatch.setattr(MockSession, "append", append)
    return units


def test_text_variables_and_meta() -> None:
    mock = sg.Mock({"a": "one two three", "b": "yes"})

    @sg.function
    def program(s: sg.ProgramState, word: str) -> str:
        s += f"Say {word}: " + sg.gen("a", max_tokens=2) + " and " + sg.select("b", ["no", "yes"])
        return s["a"]

    state = program.run("it", backend=mock)
    assert state.text() == "Say it: one two and yes"
    assert (state["a"], state.get_var("b"), state.ret_value) == ("one two", "yes", "one two")
    assert "a" in state
    assert "c" not in state
    meta = state.get_meta_info("a")
    assert meta["finish_reason"] == "length"
    assert (meta["prompt_tokens"], meta["cached_tokens"], meta["completion_tokens"]) == (3, 0, 2)
    scores = state.get_meta_info("b")
    assert scores["choices"] == ["no", "yes"]
    assert scores["scores"][1] > scores["scores"][0]
    assert len(scores["token_logprobs"]) == 2
    with pytest.raises(KeyError, match=r"'c'.*a, b"):
        state["c"]
    assert state.usage() == sg.Usage(gens=1, selects=1, prompt_tokens=3 + 7, cached_tokens=5, generated_tokens=2)
    assert mock.num_open == 0


def test_adjacent_text_is_one_unit_up_to_the_next_edge(mock: sg.Mock, appended: list[str]) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a"
        s += "b" + sg.gen("x")
        s += "c"
        s += "d"
        s.fork(1)
        s += "e"
        with s.user():
            s += "f"
            s += "g"
        s += "h"
        s += "i" + sg.select("y", ["1"])
        s += "j"
        s.checkpoint()
        s += "k" + sg.gen("z") + "never needed"

    program.run(backend=mock)
    assert appended == ["ab", "cd", "e", "<|im_start|>user\nfg<|im_end|>\n", "hi", "j", "k"]


def test_units_do_not_depend_on_timing(mock: sg.Mock, appended: list[str]) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a"
        time.sleep(0.02)  # the script so far is handed over, the text is held back all the same
        s += "b" + sg.gen("x")

    program.run(backend=mock)
    assert appended == ["ab"]


def test_an_idle_program_is_handed_over_without_a_read(mock: sg.Mock) -> None:
    arrived: list[bool] = []

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")
        deadline = time.monotonic() + 5
        while not mock.calls and time.monotonic() < deadline:
            time.sleep(0.001)
        arrived.append(bool(mock.calls))

    program.run(backend=mock)
    assert arrived == [True]


def test_unnamed_gens_do_not_collide() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen() + "," + sg.gen()
        s += "," + sg.gen("c")

    state = program.run(backend=sg.Mock(["a", "b", "c"]))
    assert state.text() == "a,b,c"
    assert state["c"] == "c"


def test_using_a_name_again_rebinds_it() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("a")
        first = s["a"]
        s += sg.gen("a")
        return first, s["a"]

    assert program.run(backend=sg.Mock(["1", "2"])).ret_value == ("1", "2")


def test_a_select_as_the_assistants_first_token() -> None:
    mock = sg.Mock(["yes"])

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.user("Well?") + sg.assistant(sg.select("a", ["no", "yes"]))
        return s["a"]

    assert program.run(backend=mock).ret_value == "yes"
    assert mock.calls[0].prompt.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("method", "best"),
    [(sg.token_length_normalized, "b"), (sg.joint_likelihood, "a"), (sg.greedy_token_selection, "c")],
)
def test_the_choices_method_decides(method: sg.ChoicesMethod, best: str) -> None:
    rows = [[-1.5], [-1.0, -1.0], [-0.9, -2.0, -2.0]]

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "p" + sg.select("x", ["a", "b", "c"], choices_method=method)
        return s["x"]

    state = program.run(backend=sg.Mock({"x": rows}))
    assert state.ret_value == best
    assert state.get_meta_info("x")["token_logprobs"] == rows
    assert state.get_meta_info("x")["scores"] == method.scores(rows)


def test_constrained_greedy_generates_under_the_choices() -> None:
    mock = sg.Mock({"x": "b c"})

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "p" + sg.select("x", ["a", "b c"], choices_method=sg.constrained_greedy)
        return s["x"], s.get_meta_info("x")["index"]

    assert program.run(backend=mock).ret_value == ("b c", 1)
    assert mock.calls[0].kind == "gen"
    assert mock.calls[0].params.temperature == 0


def test_a_warm_select_is_drawn_and_repeatable() -> None:
    @sg.function
    def program(s: sg.ProgramState, seed: int) -> Any:
        s += sg.select("x", ["a", "b"], temperature=1.0, seed=seed)
        return s["x"]

    mock = sg.Mock({"x": [[-1.0], [-1.0]]})
    drawn = [program.run(seed, backend=mock).ret_value for seed in range(20)]
    assert set(drawn) == {"a", "b"}
    assert drawn == [program.run(seed, backend=mock).ret_value for seed in range(20)]


def test_typed_gens_are_objects_and_dtypes_are_texts() -> None:
    mock = sg.Mock({"n": "42", "k": "7", "c": "b", "l": "[1, 2]"})

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("n", type=int) + sg.gen("k", dtype=int, stop="\n") + sg.gen("c", type=Literal["a", "b"])
        s += sg.gen("l", type=list[int])

    state = program.run(backend=mock)
    assert (state["n"], state["k"], state["c"], state["l"]) == (42, "7", "b", [1, 2])
    assert state.text_of("n") == "42"
    assert state.text() == "427b[1, 2]"


def test_several_samples_are_a_list_and_the_text_goes_on_with_the_first() -> None:
    mock = sg.Mock({"x": ["a", "b", "c"], "y": "end"})

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "p " + sg.gen("x", n=3, seed=5) + " then " + sg.gen("y")

    state = program.run(backend=mock)
    assert sorted(state["x"]) == ["a", "b", "c"]
    assert state.text() == f"p {state['x'][0]} then end"
    assert sorted(call.params.seed for call in mock.calls if call.name == "x" and call.params.seed) == [5, 6, 7]
    assert len(state.get_meta_info("x")) == 3
    assert state.usage().gens == 4
    assert mock.num_open == 0


def test_logprobs_in_the_meta(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "p q" + sg.gen(
            "x", return_logprob=True, top_logprobs_num=2, logprob_start_len=0, return_text_in_logprobs=True
        )
        s += sg.gen("y")

    state = program.run(backend=mock)
    meta = state.get_meta_info("x")
    assert [entry[2] for entry in meta["output_token_logprobs"]] == ["mock"]
    assert len(meta["output_top_logprobs"][0]) == 2
    assert [entry[2] for entry in meta["input_token_logprobs"]] == ["p", " q"]
    assert "output_token_logprobs" not in state.get_meta_info("y")


def test_var_scope() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a "
        with s.var_scope("whole"):
            s += "b " + sg.gen("x")
            with s.var_scope("inner"):
                s += " c"
        s += " d"

    state = program.run(backend=sg.Mock({"x": "X"}))
    assert (state["whole"], state["inner"]) == ("b X c", " c")


def test_roles_as_context_managers_close_on_errors(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        try:
            with s.user():
                s += "a"
                raise LookupError
        except LookupError:
            s += sg.assistant(sg.gen("x"))

    state = program.run(backend=mock)
    assert state.messages() == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "mock"}]


def test_rollback_forgets_text_names_and_tokens_but_keeps_what_was_computed() -> None:
    mock = sg.Mock({"x": "X", "y": "Y", "z": "Z"})

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "a b" + sg.gen("x")
        point = s.checkpoint()
        s += " c" + sg.gen("y")
        later = s.checkpoint()
        s.rollback(point)
        with pytest.raises(ValueError, match="checkpoint"):
            s.rollback(later)
        with pytest.raises(KeyError):
            s["y"]
        s += " d" + sg.gen("z")
        s.rollback(point)
        s += " e" + sg.gen("w")
        return s.text(), s.get_meta_info("w")["cached_tokens"]

    text, cached = program.run(backend=mock).ret_value
    assert text == "a bX emock"
    assert cached == 3
    assert prompts(mock) == ["a b", "a bX c", "a bX d", "a bX e"]


def test_another_states_checkpoint_is_refused(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        fork = s.fork(1)[0]
        with pytest.raises(ValueError, match="checkpoint"):
            fork.rollback(s.checkpoint())

    program.run(backend=mock)


def test_tokens_have_origins(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "a b" + sg.gen("x") + " c"
        return s.tokens()

    tokens = program.run(backend=mock).ret_value
    assert [(mock.token_text(token), origin) for token, origin in tokens] == [
        ("a", "prompt"), (" b", "prompt"), ("mock", "generated"), (" c", "prompt"),
    ]  # fmt: skip


def test_reads_can_time_out_and_the_program_goes_on(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("x")
        for read in (lambda: s.get_var("x", timeout=0.01), lambda: s.text(timeout=0.01), lambda: s.sync(timeout=0.01)):
            with pytest.raises(TimeoutError, match=r"timeout=0\.01 s"):
                read()
        gate.opened.set()
        return s["x"]

    assert program.run(backend=sg.Mock(gate)).ret_value == "late"


def test_names_are_strings(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        for bad in ("", 3, None):
            with pytest.raises(ValueError, match=f"name={bad!r}"):
                s.set_var(bad, 1)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=f"name={bad!r}"):
                s.var_scope(bad)  # type: ignore[arg-type]

    program.run(backend=mock)


def test_a_wait_has_one_deadline_for_all_there_is_to_wait_for() -> None:
    @sg.function
    async def program(s: sg.ProgramState) -> float:
        s += sg.gen("a") + sg.gen("b") + sg.gen("c") + sg.gen("d")
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"timeout=0\.25 s"):
            await s.wait(timeout=0.25)
        return time.monotonic() - started

    assert program.run(backend=sg.Mock(latency=0.2)).ret_value < 0.39


def test_iterating_inside_a_program_ends() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "a " + sg.gen("x") + " b"
        return list(s.text_iter("x")), "".join(s.text_iter())

    assert program.run(backend=sg.Mock({"x": "one two"})).ret_value == (["one", " two"], "a one two b")


def test_dropped_forks_give_their_sessions_up(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        for _ in range(20):
            with s.fork(3) as forks:
                forks += "a" + sg.gen("x")
            s.sync()
            s["x"]
            del forks
        deadline = time.monotonic() + 5
        while mock.num_open > 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        return mock.num_open

    assert program.run(backend=mock).ret_value == 1


def test_a_state_can_be_used_from_several_threads(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(8)

        def work(fork: sg.ProgramState) -> None:
            for _ in range(20):
                fork += "a" + sg.gen("x")
                fork["x"]

        threads = [threading.Thread(target=work, args=(fork,)) for fork in forks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [fork.text() for fork in forks]

    assert program.run(backend=mock).ret_value == ["amock" * 20] * 8
