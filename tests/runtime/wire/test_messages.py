from __future__ import annotations

import json
from typing import get_args

import pytest

from runtime.choosing import Choosing
from runtime.handle import Chunk, Generation, Scores, TokenLogprob
from runtime.hint import Hint
from runtime.wire import messages as wire
from runtime.wire.errors import Problem, ProtocolError

LOGPROBS = (TokenLogprob(-0.1, 3, ((-0.1, 3), (float("-inf"), 4))),)
OPS: tuple[wire.Op, ...] = (
    wire.Open("tenant", "program"),
    wire.Append("text é"),
    wire.Append((1, 2)),
    wire.Generate(1, {"temperature": 0.5, "stop": ["a"]}, 2, 0, "name"),
    wire.Score(2, ("a", "b"), Choosing("joint_likelihood", 0.5, 3), "name", True, 2),
    wire.Fork((7, 8)),
    wire.Concat(3, (7, 8)),
    wire.Tokens(4),
    wire.Mark(5),
    wire.Truncate(6),
    Hint(gang=1, extends_again=False),
    wire.Close(),
)
FROM_CLIENT: tuple[wire.FromClient, ...] = (
    wire.Script(1, OPS),
    wire.Cancel(1),
    wire.Chosen(2, 0),
    wire.Tokenize(9, ("text", "é")),
    wire.Texts(10, 0, 4096),
    wire.CompileAhead(({"type": "Regex", "pattern": "a"},)),
)
FROM_SERVER: tuple[wire.FromServer, ...] = (
    wire.Hello(
        model="tiny", fingerprint="f", constraints=("Regex",), labels=True, concat=True, hints=True, concurrency=3,
        context_length=99, chat_template=wire.Template("{{ x }}", {"bos_token": "<s>"}),
    ),
    wire.Streamed(1, Chunk("a", (1,), LOGPROBS)),
    wire.Generated(
        1, Generation(text="a", token_ids=(1,), finish_reason="stop", matched_stop=2, logprobs=LOGPROBS)
    ),
    wire.Rows(2, ((-1.0,), (-2.0, float("-inf")))),
    wire.Scored(2, Scores(index=1, logprobs=((-1.0,), (-2.0,)), token_ids=((1,), (2,)), total_seconds=0.5)),
    wire.Counted(3, 12),
    wire.Listed(4, ((1, "prompt"), (2, "forced"))),
    wire.Tokenized(9, ((1, 2), ())),
    wire.TokenTexts(10, ("a", "é")),
    wire.Failed(5, Problem("InvalidParameter", "no", "top_p", 7)),
    wire.Refused(Problem("ProtocolError", "no")),
)  # fmt: skip


def test_there_is_one_of_every_message() -> None:
    assert {type(op) for op in OPS} == set(get_args(wire.Op))
    assert {type(message) for message in FROM_CLIENT} == set(get_args(wire.FromClient))
    assert {type(message) for message in FROM_SERVER} == set(get_args(wire.FromServer))


def test_frames_are_read_back() -> None:
    assert wire.read_from_client(wire.write_frame(FROM_CLIENT)) == FROM_CLIENT
    assert wire.read_from_server(wire.write_frame(FROM_SERVER)) == FROM_SERVER


def test_a_frame_is_plain_json() -> None:
    first = json.loads(wire.write_frame([wire.Script(1, (wire.Append("é"), wire.Mark(2)))]))[0]
    ops = [{"type": "Append", "content": "é"}, {"type": "Mark", "call": 2}]
    assert first == {"type": "Script", "session": 1, "ops": ops}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "{}",
        "[1]",
        "[" * 100_000,
        '[{"type":"Counted","call":1,"num_tokens":1}]',
        '[{"type":"Script","session":1,"ops":[{"type":"Score","call":1,"choices":["a"],"choosing":{"type":"Choosing",'
        '"method":"mine"}}]}]',
    ],
)
def test_what_is_no_frame_of_a_client_is_refused(frame: str) -> None:
    with pytest.raises(ProtocolError):
        wire.read_from_client(frame)
