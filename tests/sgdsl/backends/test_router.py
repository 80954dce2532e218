from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

import sgdsl as sg
from grammars.spec import Regex
from runtime.engine import Engine
from runtime.errors import RequestCancelled
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from sgdsl.backends.base import Capabilities
from sgdsl.backends.routed_call import RoutedCall
from sgdsl.chat import CHATML

GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)
DIGITS = replace(GREEDY, constraint=Regex("[0-9]+"))
OpenAI = Callable[..., sg.OpenAI]


class Plain(sg.Mock):
    """A mock that is not able to do much."""

    def __init__(self, *args: Any, able: dict[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        limits: dict[str, Any] = {"constraints": frozenset(), "score": False, "tokens": False, "checkpoints": False}
        self.capabilities: Capabilities = replace(self.capabilities, **{**limits, **(able or {})})


def first(rows: Sequence[Sequence[float]]) -> int:
    return 0


def test_the_first_that_can_do_a_call_is_taken() -> None:
    plain, able = Plain({"x": "free"}), sg.Mock({"y": "12", "z": "b"})
    router = sg.Router([plain, able])

    @sg.function
    def program(s: sg.ProgramState, kind: str) -> Any:
        s += "p " + {"x": sg.gen("x"), "y": sg.gen("y", regex="[0-9]+"), "z": sg.select("z", ["a", "b"])}[kind]
        return s[kind]

    assert [program.run(kind, backend=router).ret_value for kind in "xyz"] == ["free", "12", "b"]
    assert [router.num_sessions[0], router.num_sessions[1], router.num_moves] == [1, 2, 0]
    assert [call.name for call in able.calls] == ["y", "z"]


def test_a_session_moves_with_everything_it_holds_when_it_must() -> None:
    plain, able = (
        Plain({"a": "one", "b": "two", "d": "never"}, latency=0.02),
        sg.Mock({"c": "12", "d": "end", "e": "x"}),
    )
    router = sg.Router([plain, able])

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "p " + sg.gen("a") + ", " + sg.gen("b") + ": " + sg.gen("c", regex="[0-9]+") + "." + sg.gen("d")
        s += sg.select("e", ["x", "y"])
        return s.text()

    assert program.run(backend=router).ret_value == "p one, two: 12.endx"
    assert [call.prompt for call in able.calls] == ["p one, two: ", "p one, two: 12.", "p one, two: 12.end"]
    assert router.num_moves == 1
    assert plain.num_open == 0
    assert able.num_open == 0


def test_forks_are_where_their_parent_is_and_choose_for_themselves_before() -> None:
    plain, able = Plain(lambda prompt, params: prompt[-1]), sg.Mock(lambda prompt, params: "12")
    router = sg.Router([plain, able])

    @sg.function
    def early(s: sg.ProgramState) -> Any:
        s += "p"
        forks = s.fork(2)
        forks[0] += "q" + sg.gen("x")
        forks[1] += "r" + sg.gen("x", regex="[0-9]+")
        forks.join()
        return s["x"]

    @sg.function
    def late(s: sg.ProgramState) -> Any:
        s += "p" + sg.gen("a")
        forks = s.fork(2)
        forks[0] += "q" + sg.gen("x")
        forks[1] += "r" + sg.gen("x", regex="[0-9]+") + "s" + sg.gen("y")
        forks.join()
        return s["x"]

    assert early.run(backend=router).ret_value == ["q", "12"]
    assert router.num_moves == 0
    assert late.run(backend=router).ret_value == ["q", "12"]
    assert router.num_moves == 1
    assert [call.prompt for call in able.calls] == ["pr", "ppr", "ppr12s"]


def test_choose_sees_the_call_and_those_who_can() -> None:
    seen: list[Any] = []
    backends = [sg.Mock(lambda prompt, params: "1") for _ in range(3)]

    def choose(call: RoutedCall, able: Sequence[Any]) -> Any:
        seen.append((call, list(able)))
        return able[-1] if call.prompt_chars > 10 else able[0]

    router = sg.Router([Plain(), *backends], choose)

    @sg.function
    def program(s: sg.ProgramState, text: str) -> None:
        s += text + sg.gen("x", 7, regex="[0-9]+", stop="\n") + sg.gen("y")

    program.run("short", backend=router)
    program.run("a long prompt", backend=router)
    assert router.num_sessions == {1: 1, 3: 1}
    call, able = seen[0]
    assert able == backends
    assert (call.kind, call.program, call.constraint, call.max_tokens) == ("gen", "program", "Regex", 7)
    assert call.options >= {"stop"}
    assert call.num_open == 1


def test_what_nobody_can_do_is_said() -> None:
    router = sg.Router([Plain(), Plain(able={"constraints": frozenset(["Choice"])})])
    session = router.open()
    with pytest.raises(sg.BackendCapabilityError, match=r"a gen constrained by Regex .*router"):
        session.generate(DIGITS)
    with pytest.raises(sg.BackendCapabilityError, match="a select"):
        session.score(["a"], first)
    session.close()
    program = sg.function(lambda s: s.__iadd__(sg.gen("x", regex="a")))
    with pytest.raises(sg.BackendCapabilityError, match="Regex"):
        program.run(backend=router)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda call, able: 1 / 0, "choose failed: ZeroDivisionError"),
        (lambda call, able: None, "choose returned None"),
        (lambda call, able: sg.Mock(), r"choose returned .* \(mock, mock\)"),
    ],
)
def test_a_choice_that_is_none_is_the_program_s_error(choose: Any, message: str) -> None:
    router = sg.Router([sg.Mock(), sg.Mock()], choose)
    program = sg.function(lambda s: s.__iadd__("p" + sg.gen("x")))
    with pytest.raises(sg.ProgramError, match=message) as caught:
        program.run(backend=router)
    assert isinstance(caught.value.__cause__, sg.InvalidArgument)


def test_a_rollback_returns_to_where_the_text_was_before_a_move() -> None:
    limited = Plain(lambda prompt, params: "w", able={"tokens": True, "checkpoints": True})
    able = sg.Mock(lambda prompt, params: "12")
    router = sg.Router([limited, able])

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "a b " + sg.gen("x")
        point = s.checkpoint()
        s += " c d e f " + sg.gen("n", regex="[0-9]+")
        s["n"]
        s.rollback(point)
        s += " g" + sg.gen("y")
        return s.text()

    assert program.run(backend=router).ret_value == "a b w g12"
    assert able.calls[-1].prompt == "a b w g"
    assert router.num_moves == 1


def test_a_failure_ends_what_waits_for_a_move() -> None:
    router = sg.Router([Plain([ValueError("mine")], latency=0.01), sg.Mock()])
    session = router.open()
    session.append("p")
    failing, moving, after = session.generate(GREEDY), session.generate(DIGITS), session.generate(GREEDY)
    (fork,) = session.fork(1)
    of_fork = fork.generate(GREEDY)
    with pytest.raises(ValueError, match="mine"):
        failing.result(5)
    for handle in (moving, after, of_fork):
        with pytest.raises((ValueError, RequestCancelled)):
            handle.result(5)
    fork.close()
    session.close()


def test_cancelling_ends_what_waits_for_a_move(gate: Any) -> None:
    plain = Plain(gate)
    router = sg.Router([plain, sg.Mock()])
    session = router.open()
    running, moving = session.generate(GREEDY), session.generate(DIGITS)
    session.flush()
    assert gate.reached.wait(5)
    session.cancel()
    for handle in (running, moving):
        with pytest.raises(RequestCancelled):
            handle.result(1)
    with pytest.raises(RequestCancelled):
        session.generate(GREEDY).result(1)
    session.close()
    gate.opened.set()


def test_an_engine_behind_a_router_gives_the_same_tokens(tiny_engine: Engine, settles: Any, is_idle: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.user("Hello é") + sg.assistant(sg.gen("a", 6) + sg.select("b", ["x", "yy"]))
        forks = s.fork(3)
        forks += lambda i: f"{i}: " + sg.gen("c", 4, regex="[0-9]+")
        forks.join()
        point = s.checkpoint()
        s += "undone" + sg.gen("d", 4)
        s["d"]
        s.rollback(point)
        s += sg.gen("e", 3, n=2, seed=3, temperature=1.0, return_logprob=True, return_text_in_logprobs=True)
        return [s[name] for name in "abce"], s.tokens()

    direct = program.run(backend=tiny_engine, temperature=0)
    router = sg.Router([Plain(), tiny_engine], choose=lambda call, able: tiny_engine)
    assert program.run(backend=router, temperature=0).ret_value == direct.ret_value
    items: list[tuple[Any, ...]] = [()] * 16
    states = program.run_batch(items, backend=router, temperature=0)
    assert all(state.ret_value == direct.ret_value for state in states)
    assert len(router.open_sessions) == 0
    session = router.open()
    session.append("x")
    assert session.generate(GREEDY).result(10).token_ids
    del session
    gc.collect()
    assert settles(lambda: is_idle(tiny_engine))


def test_messages_are_written_in_each_backend_s_own_way(openai: OpenAI, server: Any, tiny_engine: Engine) -> None:
    remote = openai()
    local = sg.Mock({"n": "1"})
    router = sg.Router([remote, local])
    assert router.takes_roles

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.system("Be brief.") + sg.user("Hello") + sg.assistant(sg.gen("a"))
        s += sg.user("A number?") + sg.assistant(sg.gen("n", lark='start: "1"'))
        return s["a"], s["n"]

    state = program.run(backend=router)
    assert state.ret_value == ("fine", "1")
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "A number?"},
    ]
    assert local.calls[0].prompt == CHATML.render(conversation, add_generation_prompt=True)


def test_what_follows_a_move_is_handed_over_by_whoever_asked_for_it_before() -> None:
    router = sg.Router([Plain(["0"], latency=0.05), sg.Mock(["1", "2"])])
    session: Any = router.open()
    session.append("text")
    session.generate(GREEDY)
    moved = session.generate(DIGITS)
    (fork,) = session.fork(1)
    behind = fork.generate(DIGITS)
    session.flush()
    fork.flush()  # nothing has moved by now
    assert (moved.result(5).text, behind.result(5).text) == ("1", "2")
    for one in (session, fork):
        one.close()


def test_a_backend_that_refuses_a_call_it_said_it_can_do_fails_it() -> None:
    class Refusing(sg.Mock):
        def open(self, *, namespace: str = "", program: str = "") -> Any:
            session: Any = super().open(namespace=namespace, program=program)
            session.generate = lambda *_, **__: 1 / 0
            return session

    router, refusing = sg.Router([Plain(["0"], latency=0.05), Refusing()]), ZeroDivisionError
    session: Any = router.open()
    first, second = session.generate(GREEDY), session.generate(DIGITS)
    (fork,) = session.fork(1)
    behind = fork.generate(GREEDY)
    session.flush()
    assert first.result(5).text == "0"
    for handle in (second, behind):
        with pytest.raises(refusing):
            handle.result(5)
    with pytest.raises(RequestCancelled):
        session.mark().result(5)
    for one in (session, fork):
        one.close()


def test_a_fork_given_up_before_its_parent_gets_there_leaves_no_session(gate: Any, settles: Any) -> None:
    mock = sg.Mock(gate)
    session: Any = sg.Router([Plain(gate), mock]).open()
    session.generate(GREEDY)
    moved = session.generate(DIGITS)
    (fork,) = session.fork(1)
    session.flush()
    fork.close()
    fork.cancel()
    gate.opened.set()
    with pytest.raises(ValueError, match="late"):
        moved.result(5)
    session.close()
    assert settles(lambda: mock.num_open == 0, 5)


def test_hints_reach_a_backend_that_is_chosen_later() -> None:
    told: list[tuple[str, Any]] = []

    class Hinted(sg.Mock):
        def open(self, *, namespace: str = "", program: str = "") -> Any:
            session: Any = super().open(namespace=namespace, program=program)
            session.hint = lambda hint: told.append((program, hint))
            return session

    able = Hinted(["1", "2"])
    able.capabilities = replace(able.capabilities, hints=True)
    router = sg.Router([Plain(["0"]), able])
    session: Any = router.open(program="p")
    session.append("text")
    session.hint(Hint(remaining_calls=2))
    session.generate(GREEDY).result(5)
    assert told == []
    session.generate(DIGITS).result(5)
    session.hint(Hint(remaining_calls=0))
    session.close()
    assert told == [("p", Hint(remaining_calls=2)), ("p", Hint(remaining_calls=0))]


def test_what_it_can_do_is_what_one_of_them_can() -> None:
    router = sg.Router([Plain(concurrency=3), sg.Mock(concurrency=4, context_length=100)])
    able = router.capabilities
    assert able.constraints == Capabilities().constraints
    assert (able.score, able.tokens, able.concat, able.concurrency) == (True, True, False, 7)
    assert able.context_length is None
    with pytest.raises(sg.BackendCapabilityError, match="2 of its backends have tokens"):
        sg.Router([sg.Mock(), sg.Mock()]).token_text(0)


@pytest.mark.parametrize("backends", [[], sg.Mock(), ["nothing"]])
def test_backends_are_checked(backends: Any) -> None:
    with pytest.raises(sg.InvalidArgument, match="backend"):
        sg.Router(backends)


def test_one_text_of_messages_needs_one_template() -> None:
    class Other:
        def render(self, messages: Sequence[Any], *, add_generation_prompt: bool = False) -> str:
            return "".join(f"{m['role']}: {m['content']}\n" for m in messages)

    with pytest.raises(sg.InvalidArgument, match="chat templates differ"):
        sg.Router([sg.Mock(), sg.Mock(chat_template=Other())])
    kind: Literal["gen"] = "gen"
    assert RoutedCall(kind=kind, constraint="Lark").what() == "a gen constrained by Lark"


def test_a_move_that_fails_for_an_earlier_call_leaves_no_session_open() -> None:
    scoring, plain = sg.Mock(), sg.Mock([ValueError("no answer")])
    plain.capabilities = replace(plain.capabilities, score=False)
    session = sg.Router([plain, scoring]).open()
    session.append("x")
    written = session.generate(SamplingParams())
    chosen = session.score(["a", "b"], lambda rows: 0)
    session.flush()
    with pytest.raises(ValueError, match="no answer"):
        written.result(5)
    with pytest.raises((ValueError, RequestCancelled), match=r"no answer|cancelled|ended"):
        chosen.result(5)
    session.close()
    deadline = time.monotonic() + 5
    while plain.num_open + scoring.num_open and time.monotonic() < deadline:
        time.sleep(0.001)
    assert (plain.num_open, scoring.num_open) == (0, 0)
