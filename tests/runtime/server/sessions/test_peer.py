"""The server's half of the protocol without any socket: it takes messages and says messages."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from runtime.server.local_engine import LocalEngine
from runtime.server.sessions.limits import SessionLimits
from runtime.server.sessions.peer import Peer
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError
from runtime.wire.params import write_params

GREEDY = write_params(SamplingParams(max_new_tokens=4, temperature=0.0, ignore_eos=True))
LONG = write_params(SamplingParams(max_new_tokens=400, temperature=0.0, ignore_eos=True))


class Said:
    """What a peer has said, by call."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._more = threading.Condition()

    def __call__(self, message: wire.FromServer) -> None:
        with self._more:
            self.messages.append(message)
            self._more.notify_all()

    def answer(self, call: int, *kinds: type) -> Any:
        """The message of one of these kinds that answers a call, or its failure."""
        end = time.monotonic() + 20
        with self._more:
            while True:
                for message in self.messages:
                    if isinstance(message, (*kinds, wire.Failed)) and message.call == call:
                        return message
                assert self._more.wait(max(0.0, end - time.monotonic())), f"no answer to {call}: {self.messages}"


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def make_peer(
    engine: Engine, said: Said, assert_nothing_held: Callable[[Engine], None]
) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def make(**limits: Any) -> Peer:
        peers.append(Peer(LocalEngine(engine), said, SessionLimits(**limits)))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()
    assert_nothing_held(engine)


@pytest.fixture
def peer(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer()


def script(session: int, *ops: Any) -> wire.Script:
    return wire.Script(session, ops)


def test_a_whole_conversation_in_one_go(peer: Peer, said: Said, engine: Engine) -> None:
    peer.take(
        [
            script(1, wire.Open("", "p"), wire.Append("the theatre"), Hint(remaining_calls=2), wire.Mark(1)),
            script(1, wire.Generate(2, GREEDY), wire.Fork((2, 3)), wire.Score(4, (" yes", " no"))),
            script(2, wire.Append(" a"), wire.Generate(5, GREEDY)),
            script(3, wire.Append(" b"), wire.Close()),
        ]
    )
    assert said.answer(1, wire.Counted).num_tokens == len(engine.tokenizer.encode("the theatre"))
    found = said.answer(2, wire.Generated).result
    assert found.token_ids == tuple(engine.generate("the theatre", {**GREEDY})["output_ids"])
    rows = said.answer(4, wire.Rows)
    assert len(rows.logprobs) == 2
    peer.take([wire.Chosen(4, 1), script(1, wire.Tokens(6), wire.Close())])
    assert said.answer(4, wire.Scored).result.index == 1
    assert said.answer(5, wire.Generated).result.num_generated == 4
    listed = said.answer(6, wire.Listed).tokens
    assert engine.tokenizer.decode([token for token, _ in listed]).endswith(" no")
    peer.take([script(2, wire.Close())])
    assert peer.sessions == {}


def test_parts_are_waited_for_and_put_together(peer: Peer, said: Said) -> None:
    peer.take(
        [
            script(1, wire.Open(), wire.Append("the"), wire.Fork((2, 3))),
            script(2, wire.Append(" a"), wire.Score(3, (" yes", " no"))),
            script(3, wire.Append(" b")),
            script(1, wire.Concat(1, (2, 3)), wire.Tokens(2)),
        ]
    )
    said.answer(3, wire.Rows)
    assert len(peer.sessions[1].queue) == 2
    peer.take([wire.Chosen(3, 0)])
    assert said.answer(1, wire.Counted).num_tokens > 2
    assert len(said.answer(2, wire.Listed).tokens) > 4


def test_what_cannot_be_put_together_fails_at_once(peer: Peer, said: Said) -> None:
    peer.take([script(1, wire.Open(), wire.Append("a")), script(2, wire.Open(), wire.Concat(1, (1,)))])
    assert said.answer(1).problem.kind == "InvalidParameter"
    peer.take([script(2, wire.Mark(2)), script(1, wire.Concat(3, (77,)))])
    assert said.answer(2).problem.kind == "InvalidParameter"
    assert said.answer(3).problem.kind == "InvalidParameter"


def test_the_first_failure_answers_everything_behind_it_and_forks_too(peer: Peer, said: Said) -> None:
    peer.take(
        [
            script(1, wire.Open(), wire.Append((10**6,)), wire.Generate(1, GREEDY), wire.Fork((2,)), wire.Mark(2)),
            script(2, wire.Generate(3, GREEDY), wire.Close()),
            script(4, wire.Open(), wire.Append("fine"), wire.Generate(4, GREEDY)),
        ]
    )
    for call in (1, 2, 3):
        assert "10000" in said.answer(call).problem.message
    assert said.answer(4, wire.Generated).result.num_generated == 4
    assert 2 not in peer.sessions


def test_a_mistake_in_the_parameters_is_the_calls_own(peer: Peer, said: Said) -> None:
    peer.take([script(1, wire.Open(), wire.Append("a"), wire.Generate(1, {"heat": 1}))])
    assert said.answer(1).problem.kind == "ProtocolError"
    peer.take([script(2, wire.Open(), wire.Append("a"), wire.Generate(2, {"top_p": 7.0}))])
    assert said.answer(2).problem.param == "top_p"


@pytest.mark.parametrize("index", [None, 5, -1])
def test_a_choice_that_is_none(peer: Peer, said: Said, index: int | None) -> None:
    peer.take([script(1, wire.Open(), wire.Append("a"), wire.Score(1, ("x", "y")), wire.Mark(2))])
    said.answer(1, wire.Rows)
    peer.take([wire.Chosen(1, index), wire.Chosen(1, 0), wire.Chosen(99, 0)])
    assert said.answer(1).problem.kind in ("RequestCancelled", "InvalidParameter")
    assert isinstance(said.answer(2), wire.Failed)


def test_cancelling_answers_what_has_not_ended(peer: Peer, said: Said) -> None:
    peer.take([script(1, wire.Open(), wire.Append("a"), wire.Generate(1, LONG), wire.Generate(2, LONG))])
    peer.take([script(2, wire.Open(), wire.Append("a"), wire.Score(3, ("x", "y")), wire.Mark(4))])
    peer.take([wire.Cancel(1), wire.Cancel(2), wire.Cancel(77)])
    for call in (1, 2, 3, 4):
        assert said.answer(call).problem.kind == "RequestCancelled"
    peer.take([script(1, wire.Close()), script(2, wire.Close()), script(2, wire.Close())])
    assert peer.sessions == {}
    assert peer.undecided == {}


def test_a_client_that_goes_leaves_nothing(
    peer: Peer, said: Said, engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    for number in range(1, 40):
        peer.take([script(number, wire.Open(), wire.Append("the"), wire.Generate(number, LONG))])
    peer.take([script(50, wire.Open(), wire.Append("the"), wire.Score(50, ("a", "b")), wire.Fork((51,)))])
    peer.close()
    peer.close()
    assert_nothing_held(engine)
    assert isinstance(said.answer(1, wire.Generated), wire.Failed)


@pytest.mark.parametrize(
    ("scripts", "message"),
    [
        ([script(1, wire.Append("x"))], "session 1 has not begun"),
        ([script(1, wire.Open(), wire.Open())], "begun already"),
        ([script(1, wire.Open()), script(1, wire.Open())], "begun already"),
        ([script(1, wire.Open(), wire.Fork((1,)))], "begun already"),
        ([script(1, wire.Open(), wire.Fork((2, 2)))], "begun already"),
        ([script(1, wire.Open(), wire.Fork((2,))), script(2, wire.Open())], "begun already"),
        ([script(1, wire.Open(), wire.Close(), wire.Mark(1))], "behind a Close"),
    ],
)
def test_what_the_protocol_does_not_have_is_refused(peer: Peer, scripts: list[wire.Script], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        peer.take(scripts)


def test_sessions_and_what_waits_are_bounded(make_peer: Callable[..., Peer]) -> None:
    peer = make_peer(max_sessions=3)
    with pytest.raises(ProtocolError, match="max_sessions=3"):
        peer.take([script(1, wire.Open(), wire.Fork((2, 3, 4)))])
    waiting = (wire.Open(), wire.Append("a"), wire.Score(1, ("x", "y")))
    for limits, ops in (
        ({"max_waiting_ops": 10}, [wire.Mark(call) for call in range(2, 20)]),
        ({"max_waiting_bytes": 5000}, [wire.Append("x" * 3000)] * 2),
        ({"max_waiting_bytes": 5000}, [wire.Generate(3, {"stop": ["y" * 3000] * 3})]),
    ):
        peer = make_peer(**limits)
        with pytest.raises(ProtocolError, match="wait for others"):
            peer.take([script(1, *waiting), script(1, *ops)])


@pytest.mark.parametrize("ends_well", [True, False])
def test_forks_of_forks_are_as_deep_as_a_client_likes(peer: Peer, said: Said, ends_well: bool) -> None:
    depth = 1500
    peer.take([script(1, wire.Open(), wire.Append("a"), wire.Score(1, ("x", "y")), wire.Fork((2,)))])
    for number in range(2, depth):
        peer.take([script(number, wire.Fork((number + 1,)))])
    peer.take([script(depth, wire.Mark(2))])
    said.answer(1, wire.Rows)
    if ends_well:
        peer.take([wire.Chosen(1, 0)])
        assert said.answer(2, wire.Counted).num_tokens > 1
    else:
        peer.take([wire.Cancel(1)])
        assert said.answer(2).problem.kind == "RequestCancelled"


def test_questions_outside_sessions(peer: Peer, said: Said, engine: Engine) -> None:
    peer.take([wire.Tokenize(1, ("the theatre", "")), wire.Texts(2, 300, 10**4), wire.Texts(3, -1, 5)])
    peer.take([wire.Texts(4, 0, 10**9), wire.CompileAhead(({"type": "Regex", "pattern": "("}, {"type": "Nothing"}))])
    assert said.answer(1, wire.Tokenized).tokens == (tuple(engine.tokenizer.encode("the theatre")), ())
    assert len(said.answer(2, wire.TokenTexts).texts) == engine.tokenizer.vocab_size - 300
    for call in (3, 4):
        assert said.answer(call).problem.param == "count"


def test_random_conversations_answer_every_call(make_peer: Callable[..., Peer], said: Said) -> None:
    draw = random.Random(7)
    peer = make_peer()
    calls: list[int] = []
    numbers = [1]
    peer.take([script(1, wire.Open(), wire.Append("the"))])

    def call() -> int:
        calls.append(len(calls) + 1)
        return calls[-1]

    for _ in range(150):
        number = draw.choice(numbers)
        if number not in peer.sessions:
            continue
        kind = draw.randrange(9)
        if kind == 0:
            peer.take([wire.Cancel(number)])
        elif kind == 1:
            fresh = numbers[-1] + 1
            numbers += [fresh, fresh + 1]
            peer.take([script(number, wire.Fork((fresh, fresh + 1)))])
        elif kind == 2:
            children = tuple(n for n, one in peer.sessions.items() if one.origin is peer.sessions[number])
            peer.take([script(number, wire.Concat(call(), children or (number,)))])
        elif kind == 3:
            numbers.append(numbers[-1] + 1)
            peer.take([script(numbers[-1], wire.Open(), wire.Append("a theatre"))])
        else:
            op = draw.choice(
                [
                    lambda: wire.Generate(call(), GREEDY),
                    lambda: wire.Score(call(), (" a", " b")),
                    lambda: wire.Tokens(call()),
                    lambda: wire.Truncate(draw.randrange(3)),
                    lambda: wire.Append((draw.randrange(500),)),
                ]
            )
            peer.take([script(number, op())])
        peer.take([wire.Chosen(one, draw.choice([0, 1, None])) for one in list(peer.undecided)])
    kinds = (wire.Generated, wire.Scored, wire.Counted, wire.Listed)
    peer.take([wire.Chosen(one, 0) for one in list(peer.undecided)])
    for number in list(peer.sessions):
        peer.take([wire.Cancel(number)] if draw.random() < 0.5 else [])
        peer.take([wire.Chosen(one, 0) for one in list(peer.undecided)])
    for one in calls:
        if not any(getattr(message, "call", None) == one for message in said.messages):
            said.answer(one, *kinds)
