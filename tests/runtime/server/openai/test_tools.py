from __future__ import annotations

import json
from typing import Any

import pytest

from grammars import Choice, GrammarCompiler, Spec, Vocabulary
from runtime.server.errors import ApiError
from runtime.server.openai.call_formats import HERMES
from runtime.server.openai.requests import ChatRequest
from runtime.server.openai.tools import Toolbox

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "x"}]
ON = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "set", "parameters": ON}},
    {"type": "function", "function": {"name": "stop"}},
]
SET = HERMES.written(("set", '{"on": true}'))
STOP = HERMES.written(("stop", "{}"))


def toolbox(**fields: Any) -> Toolbox | None:
    return Toolbox.of(ChatRequest.model_validate_json(json.dumps({"messages": USER, "tools": TOOLS, **fields})))


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(Vocabulary([*(bytes([byte]) for byte in range(256)), None], (256,)))


def allows(compiler: GrammarCompiler, spec: Spec, text: str) -> bool:
    matcher = compiler.compile(spec).matcher()
    return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()


@pytest.mark.parametrize(
    ("fields", "good", "bad"),
    [
        ({}, ["", "hello", SET, "so: " + STOP, SET + "\n" + SET + " done"],
         [HERMES.written(("set", '{"on": 1}')), HERMES.written(("go", "{}")), "<tool_call>x"]),
        ({"parallel_tool_calls": False}, ["hello", "so: " + SET], [SET + "\n" + STOP, SET + " done"]),
        ({"tool_choice": "required"}, [SET, STOP, SET + "\n" + STOP], ["", "hello", "so: " + SET]),
        ({"tool_choice": "required", "parallel_tool_calls": False}, [SET, STOP], ["", SET + "\n" + STOP]),
        ({"tool_choice": {"type": "function", "function": {"name": "set"}}}, [SET], ["", STOP, SET + "\n" + SET]),
    ],
)  # fmt: skip
def test_what_a_choice_allows(
    compiler: GrammarCompiler, fields: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    box = toolbox(**fields)
    assert box is not None
    spec = box.spec(None)
    assert [text for text in good if not allows(compiler, spec, text)] == []
    assert [text for text in bad if allows(compiler, spec, text)] == []


def test_a_form_for_the_text_goes_together_with_calls(compiler: GrammarCompiler) -> None:
    box = toolbox()
    assert box is not None
    spec = box.spec(Choice(("yes", "no")))
    assert [allows(compiler, spec, text) for text in ("yes", SET, "hello", "yes" + SET)] == [True, True, False, False]


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"tools": []}, {"tools": None}])
def test_where_nothing_can_be_called(fields: dict[str, Any]) -> None:
    assert toolbox(**fields) is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools[1].function.name"),
        ({"tools": [TOOLS[0]] * 200}, "tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "go"}}}, "tool_choice.function.name"),
        ({"tools": None, "tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        toolbox(**fields)
    assert caught.value.problem.param == param


def test_parameters_that_are_no_schema_are_named() -> None:
    box = toolbox(tools=[{"type": "function", "function": {"name": "a", "parameters": {"type": 5}}}])
    assert box is not None
    box.spec(None)  # what only compiling can find out is found out there


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "set"}}])
async def test_calls_come_back_whole_and_in_pieces(post: Any, events: Any, choice: Any) -> None:
    asked = {"messages": USER, "tools": TOOLS[:1], "tool_choice": choice, "seed": 2, "parallel_tool_calls": False}
    _, body = await post(CHAT, **asked)
    (whole,) = body["choices"]
    (call,) = whole["message"]["tool_calls"]
    assert (whole["message"]["content"], whole["finish_reason"]) == (None, "tool_calls")
    assert (call["type"], call["function"]["name"]) == ("function", "set")
    assert json.loads(call["function"]["arguments"]).keys() == {"on"}
    parts = [part["choices"][0] for part in await events(CHAT, **asked)]
    deltas = [delta for part in parts for delta in part["delta"].get("tool_calls", [])]
    assert deltas[0]["id"].startswith("call_")
    assert deltas[0]["function"]["name"] == "set"
    assert "".join(delta["function"]["arguments"] for delta in deltas) == call["function"]["arguments"]
    assert {delta["index"] for delta in deltas} == {0}
    assert parts[-1]["finish_reason"] == "tool_calls"
    assert not any(part["delta"].get("content") for part in parts)
