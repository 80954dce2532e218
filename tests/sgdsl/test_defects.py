"""Known defects of SGLang's frontend, one test each: they must not recur here."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import sgdsl as sg

BOOM = ConnectionError("boom")
PICTURES = ["https://pictures.example/a.png", "https://pictures.example/b.png"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with sg.Engine() as started:
        yield started


def test_1_after_a_failed_gen_reads_raise_it_and_nothing_hangs() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")
        for read in (lambda: s["x"], s.text, s.sync, lambda: list(s.text_iter())):
            with pytest.raises(sg.ProgramError, match=r'test_defects.py:\d+ in program: gen "x": boom') as caught:
                read()
            assert caught.value.__cause__ is BOOM
        with pytest.raises(sg.ProgramError, match="boom"):
            s += sg.gen("y")

    program.run(backend=sg.Mock({"x": BOOM}), timeout=10)


def test_2_a_copy_hands_back_single_values_and_a_second_join_counts() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        with s.copy() as c:
            c += sg.gen("expert")
        firsts = s.fork(2)
        firsts += sg.gen("tip")
        firsts.join()
        first = s["tip"]
        seconds = s.fork(2)
        seconds += sg.gen("tip")
        seconds.join()
        return s["expert"], sorted(first), sorted(s["tip"])

    mock = sg.Mock({"expert": "Darwin", "tip": ["1", "2", "3", "4"]})
    assert program.run(backend=mock).ret_value == ("Darwin", ["1", "2"], ["3", "4"])


def test_3_gens_without_a_name_are_apart() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen() + " and " + sg.gen() + " or " + sg.select(choices=["x", "y"])

    state = program.run(backend=sg.Mock(["a", "b", "y"]))
    assert state.text() == "a and b or y"
    assert None not in state


def test_4_bind_keeps_options_and_defaults_keep_constraints() -> None:
    @sg.function(num_api_spec_tokens=16)
    def program(s: sg.ProgramState, a: str, b: str) -> None:
        s += a + b + sg.gen("x", dtype=int) + sg.gen("y", regex="[ab]")

    bound = program.bind(a="1").bind(b="2")
    assert (bound.num_api_spec_tokens, bound.bound) == (16, {"a": "1", "b": "2"})
    mock = sg.Mock()
    bound.run(backend=mock, max_new_tokens=9, temperature=0)
    assert [call.params.constraint.pattern for call in mock.calls if call.params.constraint] == [r"[-+]?[0-9]+", "[ab]"]
    assert [(call.params.max_new_tokens, call.params.temperature) for call in mock.calls] == [(9, 0)] * 2


def test_5_choices_keep_the_arguments_beside_them_or_refuse_them() -> None:
    @sg.function
    def program(s: sg.ProgramState, options: dict[str, Any]) -> Any:
        s += sg.gen("x", choices=["long", "short"], **options)
        return s["x"]

    def draw(seed: int) -> Any:
        return program.run({"temperature": 1.0, "seed": seed}, backend=mock).ret_value

    mock = sg.Mock({"x": [[-1.0, -1.0], [-1.5]]})
    assert program.run({}, backend=mock).ret_value == "long"  # likelier per token, and less likely as a whole
    assert program.run({"choices_method": sg.joint_likelihood}, backend=mock).ret_value == "short"
    drawn = [draw(seed) for seed in range(20)]
    assert set(drawn) == {"long", "short"}
    assert drawn == [draw(seed) for seed in range(20)]
    with pytest.raises(ValueError, match="max_tokens means nothing together with choices"):
        sg.gen("x", 5, choices=["a", "b"])


def test_6_a_certain_token_counts_in_the_mean_and_certain_choices_divide_by_nothing() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.select("x", ["sure", "half sure"])
        return s["x"], s.get_meta_info("x")["scores"]

    assert program.run(backend=sg.Mock({"x": [[-0.6], [-1.0, 0.0]]})).ret_value == ("half sure", [-0.6, -0.5])
    assert program.run(backend=sg.Mock({"x": [[0.0], [0.0, 0.0]]})).ret_value == ("sure", [0.0, 0.0])
    assert sg.token_length_normalized.scores([[0.0], []]) == [0.0, 0.0]
    assert sg.greedy_token_selection.choose([[0.0, 0.0], [0.0]]) == 0
    assert all(map(math.isfinite, sg.joint_likelihood.scores([[0.0], [-1.0]])))


def test_7_an_int_with_a_stop() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "6 * 7 = " + sg.gen("x", dtype=int, stop="\n") + "!"
        return s["x"]

    state = program.run(backend=sg.Mock({"x": "42\n"}))
    assert (state.ret_value, state.text()) == ("42", "6 * 7 = 42!")


def test_8_tracing_goes_through_images_and_branches_over_arguments() -> None:
    @sg.function
    def program(s: sg.ProgramState, question: str, polite: bool, rounds: int = 1) -> None:
        if polite:
            s += sg.image(PICTURES[0]) + "Please: "
        for _ in range(rounds):
            s += question + sg.gen("x")

    assert [type(one.node).__name__ for one in program.trace(polite=True, rounds=2).instructions] == [
        "Image", "Text", "Arg", "Gen", "Arg", "Gen",
    ]  # fmt: skip

    compiled = program.compile(polite=False)
    assert compiled.run("Why?", backend=sg.Mock({"x": " So."})).text() == "Why? So."
    with pytest.raises(sg.TraceError, match=r"test_defects.py:\d+.*a branch on the argument 'polite'"):
        program.trace()


def test_8_tracing_takes_a_symbol_for_no_other_type_than_the_values() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        s += "text" if isinstance(s["x"], str) else "something else"

    assert program.run(backend=sg.Mock()).text() == "mocktext"
    assert program.compile(partial=True).run(backend=sg.Mock()).text() == "mocktext"
    with pytest.raises(sg.TraceError, match="the type of the value 'x'"):
        program.trace()


def test_9_forks_cost_no_threads(gate: Any) -> None:
    running: list[int] = []

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(200)
        forks += lambda i: str(i) + sg.gen("x")
        forks.join()
        assert gate.reached.wait(5)
        running.append(threading.active_count())
        gate.opened.set()
        assert len(s["x"]) == 200

    before = threading.active_count()
    program.run(backend=sg.Mock(gate))
    assert running[0] - before <= 2  # the loop and the mock's own


def test_10_a_fork_before_any_text(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join()
        return s["x"]

    assert program.run(backend=mock).ret_value == ["mock", "mock"]


def test_11_a_program_has_as_many_images_as_it_likes() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.user(sg.image(PICTURES[0]) + sg.image(PICTURES[1]) + "Which is older?")
        s += sg.assistant(sg.gen("x"))
        s += sg.user(sg.image(PICTURES[0]) + "And this?") + sg.assistant(sg.gen("y"))

    mock = sg.Mock()
    program.run(backend=mock)
    assert [list(call.images) for call in mock.calls] == [PICTURES, [*PICTURES, PICTURES[0]]]
    mock.capabilities = sg.Capabilities(images=False)
    with pytest.raises(sg.BackendCapabilityError, match="image"):
        program.run(backend=mock)


def test_12_there_are_seeds_timeouts_and_cancellation(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("x", seed=7)
        return s["x"]

    mock = sg.Mock()
    program.run(backend=mock)
    assert mock.calls[0].params.seed == 7
    stuck = sg.Mock(gate)
    begun = time.monotonic()
    with pytest.raises(sg.ProgramTimeout):
        program.run(backend=stuck, timeout=0.05)
    state = program.run(backend=stuck, stream=True)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state["x"]
    assert time.monotonic() - begun < 5


def test_13_what_forks_wrote_is_appended_under_sglangs_spelling_too(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "p"
        forks = s.fork(2)
        forks += lambda i: f" {i}" + sg.gen("x")
        forks.join("concate_and_append")
        s += " end" + sg.gen("y")

    assert program.run(backend=mock).text() == "p 0mock 1mock endmock"
    assert mock.calls[-1].prompt == "p 0mock 1mock end"


@pytest.mark.model
def test_13_forks_are_concatenated_and_appended_and_not_computed_again(engine: Any) -> None:
    parts = [" The dog barks, and it guards the house all night.\n", " The cat sleeps on the warm stove.\n"]

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Facts about animals.\n"
        forks = s.fork(2)
        forks += parts
        forks += sg.gen("more", max_tokens=4, temperature=0)
        forks.join("concate_and_append")
        before = len(s.tokens())
        s += "\nThe dog" + sg.gen("x", max_tokens=4, temperature=0)
        return before, s.get_meta_info("x")["cached_tokens"]

    state = program.run(backend=engine)
    before, cached = state.ret_value
    written = "".join(part + more for part, more in zip(parts, state["more"], strict=True))
    assert state.text() == f"Facts about animals.\n{written}\nThe dog{state['x']}"
    assert cached >= before - 3  # of the text before and of every part, the last token may not have been computed


@pytest.mark.model
def test_14_a_select_as_the_first_tokens_of_an_assistant(engine: Any) -> None:
    """Scored on the very tokens the joined text has, without a blank before them."""

    @sg.function
    def program(s: sg.ProgramState, question: str) -> Any:
        s += sg.user(question) + sg.assistant(sg.select("x", ["Paris", "Zebra", "Rome"]))
        return s["x"], s.get_meta_info("x")["token_ids"], s.tokens()

    for question, answer in {"The capital of France?": "Paris", "The capital of Italy?": "Rome"}.items():
        state = program.run(question, backend=engine)
        chosen, rows, tokens = state.ret_value
        assert chosen == answer
        assert rows[0] == engine.tokenizer.encode("Paris")
        assert [token for token, _ in tokens] == engine.tokenizer.encode(state.text())


@pytest.mark.parametrize("on", ["tiny_engine", pytest.param("engine", marks=pytest.mark.model)])
def test_15_what_stands_is_never_tokenized_again(on: str, request: pytest.FixtureRequest) -> None:
    """Every gen finds all tokens before it cached, however they would be split if the whole text were read anew."""

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Count: one, tw" + sg.gen("a", max_tokens=3, temperature=0)
        before = len(s.tokens())
        s += "th" + sg.gen("b", max_tokens=3, temperature=0)
        after = s.get_meta_info("b")
        s += sg.gen("c", max_tokens=3, temperature=0)
        return before, after["prompt_tokens"], after["cached_tokens"], s.get_meta_info("c"), s.tokens()

    engine = request.getfixturevalue(on)
    before, prompt, cached, last, tokens = program.run(backend=engine).ret_value
    assert prompt == before + len(engine.tokenizer.encode("th"))
    assert cached >= before - 1  # the last token sampled has not been through the model yet
    assert last["cached_tokens"] >= last["prompt_tokens"] - 1
    assert len(tokens) == last["prompt_tokens"] + last["completion_tokens"]
