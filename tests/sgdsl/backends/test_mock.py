from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

import sgdsl as sg
from grammars.spec import Choice, Regex
from runtime.errors import RequestCancelled
from runtime.sampling.params import SamplingParams
from sgdsl.backends.mock_session import MockSession, pieces

PARAMS = SamplingParams()


def first(choices: Sequence[Sequence[float]]) -> int:
    return 0


def test_a_list_is_taken_in_the_order_calls_run_and_then_defaults() -> None:
    session = sg.Mock(["a", "b"]).open()
    handles = [session.generate(PARAMS) for _ in range(3)]
    session.flush()
    assert [handle.result(5).text for handle in handles] == ["a", "b", "mock"]


def test_a_dict_goes_by_name() -> None:
    mock = sg.Mock({"x": ["1", "2"], "y": "always"})
    session = mock.open()
    texts = []
    for name in ("y", "x", "y", "x", "x", None):
        session.label(name)
        texts.append(session.generate(PARAMS).result(5).text)
    assert texts == ["always", "1", "always", "2", "mock", "mock"]
    assert [call.name for call in mock.calls] == ["y", "x", "y", "x", "x", None]


def test_a_function_sees_prompt_and_parameters() -> None:
    seen: list[Any] = []

    def script(prompt: str, params: SamplingParams) -> str:
        seen.append((prompt, params.temperature, params.constraint))
        return "b"

    session = sg.Mock(script).open()
    session.append("p ")
    session.generate(SamplingParams(temperature=0.5))
    session.score(["a", "b"], lambda rows: rows.index(max(rows)))
    session.tokens().result(5)
    assert seen == [("p ", 0.5, None), ("p b", 1.0, Choice(("a", "b")))]


def test_tokens_are_words_with_the_blanks_before_them() -> None:
    assert pieces("a  bc\n d ") == ["a", "  bc", "\n d", " "]
    session = sg.Mock(["one two three"]).open()
    handle = session.generate(SamplingParams(max_new_tokens=2))
    assert [chunk.text for chunk in handle] == ["one", " two"]
    assert handle.result().finish_reason == "length"
    assert handle.result().text == "one two"


def test_stops_cut_and_are_not_part_of_the_text() -> None:
    session = sg.Mock(["a b. c; d"]).open()
    result = session.generate(SamplingParams(stop=(";", "."))).result(5)
    assert (result.text, result.finish_reason, result.matched_stop) == ("a b", "stop", ".")
    tokens = session.tokens().result(5)
    assert len(tokens) == 2


@pytest.mark.parametrize(
    ("constraint", "bad"), [(Regex("[0-9]+"), "x"), (Choice(("a", "b")), "c")]
)  # fmt: skip
def test_answers_keep_to_their_constraint(constraint: Any, bad: str) -> None:
    session = sg.Mock([bad]).open()
    with pytest.raises(ValueError, match=repr(bad)):
        session.generate(SamplingParams(constraint=constraint)).result(5)
    default = sg.Mock().open().generate(SamplingParams(constraint=constraint)).result(5)
    assert default.text in ("0", "a")


def test_a_failure_ends_the_session() -> None:
    session = sg.Mock([OSError("gone"), "never"]).open()
    handles = [session.generate(PARAMS), session.generate(PARAMS)]
    session.flush()
    with pytest.raises(OSError, match="gone"):
        handles[0].result(5)
    with pytest.raises(RequestCancelled):
        handles[1].result(5)
    with pytest.raises(RequestCancelled):
        session.generate(PARAMS).result(5)


@pytest.mark.parametrize("answer", [3, None, ["a"]])
def test_wrong_answers_are_errors_of_the_call(answer: Any) -> None:
    session = sg.Mock(lambda prompt, params: answer).open()
    if answer is None:
        assert session.generate(PARAMS).result(5).text == "mock"
        return
    with pytest.raises(TypeError, match="not a string"):
        session.generate(PARAMS).result(5)
    with pytest.raises(sg.InvalidArgument):
        sg.Mock("abc")


def test_nothing_runs_before_it_is_flushed() -> None:
    mock = sg.Mock()
    session = mock.open()
    session.append("a")
    handle = session.generate(PARAMS)
    time.sleep(0.02)
    assert not handle.done()
    assert mock.calls == []
    assert handle.result(5).text == "mock"


def test_forks_start_when_their_parent_gets_there() -> None:
    mock = sg.Mock(lambda prompt, params: prompt.upper(), latency=0.05)
    session = mock.open()
    session.append("a")
    session.generate(PARAMS)
    children = session.fork(2)
    children[1].append("b")
    handles = [child.generate(PARAMS) for child in children]
    for child in reversed(children):
        child.flush()
    session.append("c")
    session.generate(PARAMS)
    session.flush()
    assert [handle.result(5).text for handle in handles] == ["AA", "AAB"]
    assert [(r.prompt_tokens, r.cached_tokens) for r in (handle.result() for handle in handles)] == [(2, 1), (3, 2)]


def test_marks_and_truncation() -> None:
    session = sg.Mock().open()
    session.append("a b")
    mark = session.mark()
    session.append("c")
    session.flush()
    session.truncate(mark.result(5))
    session.append("d")
    tokens = session.tokens().result(5)
    assert len(tokens) == 3


def test_cancelling_ends_a_call_under_way() -> None:
    mock = sg.Mock(["a b c"], latency=5)
    session = mock.open()
    handle = session.generate(PARAMS)
    session.flush()
    threading.Timer(0.05, session.cancel).start()
    with pytest.raises(RequestCancelled):
        handle.result(5)
    session.close()
    session.close()
    assert mock.num_open == 0


def test_scores_make_the_answer_win_whatever_the_method() -> None:
    choices = ["a", "b c d e f g", "h i"]
    for answer in choices:
        for method in (sg.token_length_normalized, sg.joint_likelihood, sg.greedy_token_selection):
            session = sg.Mock([answer]).open()
            scores = session.score(choices, method.choose).result(5)
            assert choices[scores.index] == answer
    session = sg.Mock([OSError("gone")]).open()
    with pytest.raises(OSError, match="gone"):
        session.score(choices, first).result(5)
    with pytest.raises(ValueError, match="'z' is none of"):
        sg.Mock(["z"]).open().score(choices, first).result(5)


def test_what_is_recorded_while_another_thread_flushes_is_not_lost() -> None:
    session = sg.Mock().open()
    ended = threading.Event()

    def flush() -> None:
        while not ended.is_set():
            session.flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    for _ in range(20_000):
        session.append("x")
    ended.set()
    flusher.join()
    assert session.mark().result(5) == 20_000
    session.close()


def test_an_instruction_that_makes_no_sense_fails_its_session_alone() -> None:
    mock = sg.Mock()
    session, other = mock.open(), mock.open()
    session.truncate("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        session.mark().result(5)
    assert other.mark().result(5) == 0
    for one in (session, other):
        one.close()


def test_its_thread_goes_away_when_idle() -> None:
    mock = sg.Mock()
    for _ in range(2):
        assert mock.open().generate(PARAMS).result(5).text == "mock"
        deadline = time.monotonic() + 5
        while mock.worker.is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not mock.worker.is_running


def test_a_closed_session_still_starts_the_forks_it_handed_over() -> None:
    mock = sg.Mock(lambda prompt, params: prompt.upper())
    session = mock.open()
    session.append("a")
    (child,) = session.fork(1)
    session.close()
    assert child.generate(PARAMS).result(5).text == "A"


def test_its_tokens_are_its_pieces() -> None:
    mock = sg.Mock(context_length=12)
    assert mock.capabilities.context_length == 12
    ids = mock.tokenize("one two one two")
    assert [mock.token_text(token) for token in ids] == ["one", " two", " one", " two"]
    assert ids[1] == ids[3]
    assert mock.count_tokens("one two") == 2
    mock.remember(["one"])


def test_five_gens_are_handed_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over: list[int] = []
    flush = MockSession.flush

    def counted(session: MockSession) -> None:
        if session._recorded:
            handed_over.append(len(session._recorded))
        flush(session)

    monkeypatch.setattr(MockSession, "flush", counted)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        expr = sg.gen("0")
        for i in range(1, 5):
            expr += f" {i} " + sg.gen(str(i))
        s += expr

    program.run(backend=sg.Mock())
    assert handed_over == [9]


def test_concatenation_by_tokens() -> None:
    mock = sg.Mock(["one two", "three"])
    session = mock.open()
    session.append("Q")
    forks = session.fork(2)
    for fork in forks:
        fork.append(" A")
        fork.append_image("data:,x")
        fork.generate(SamplingParams())
    session.append(" B")
    assert session.concat(forks).result(timeout=5) == 5
    forks[0].append(" later")
    text = "".join(mock.token_text(token) for token, _ in session.tokens().result(timeout=5))
    assert text == "Q B Aone two Athree"
    assert session._images == [(3, "data:,x"), (6, "data:,x")]
    bad = session.fork(1)[0]
    bad.cancel()
    with pytest.raises(RequestCancelled):
        session.concat([bad]).result(timeout=5)
    for each in (*forks, bad, session):
        each.close()
    assert mock.num_open == 0


@pytest.mark.parametrize("kind", ["gen", "select"])
def test_a_script_that_gives_the_test_up_hangs_nobody(kind: str) -> None:
    def script(prompt: str, params: SamplingParams) -> str:
        pytest.fail("not asked for")

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x") if kind == "gen" else sg.select("x", ["a", "b"])

    mock = sg.Mock(script)
    for _ in range(2):
        with pytest.raises(sg.ProgramError, match="not asked for"):
            program.run(backend=mock, timeout=10)
