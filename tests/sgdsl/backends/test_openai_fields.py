from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

import sgdsl as sg

Make = Callable[..., sg.OpenAI]


@sg.function
def ask(s: sg.ProgramState, expr: sg.Expr, question: str = "What?") -> None:
    s += sg.system("Be brief.") + sg.user(question) + sg.assistant(expr)


@sg.function
def complete(s: sg.ProgramState, expr: sg.Expr) -> None:
    s += "Once upon" + expr


def test_every_field_the_api_has(server: Any, openai: Make) -> None:
    gen = sg.gen(
        "x", 9, temperature=0.5, top_p=0.9, stop=["a", "b"], seed=3, frequency_penalty=0.1, presence_penalty=-0.2,
        logit_bias={5: -100}, return_logprob=True, top_logprobs_num=2, top_k=-1, min_p=0, repetition_penalty=1,
    )  # fmt: skip
    ask.run(gen, backend=openai())
    sent = {key: server.request[key] for key in server.request.keys() - {"messages", "path", "model", "stream_options"}}
    assert sent == {
        "temperature": 0.5, "top_p": 0.9, "stop": ["a", "b"], "seed": 3, "frequency_penalty": 0.1, "max_tokens": 9,
        "presence_penalty": -0.2, "logit_bias": {"5": -100}, "logprobs": True, "top_logprobs": 2, "stream": True,
    }  # fmt: skip
    server.requests.clear()
    complete.run(gen, backend=openai(is_chat_model=False))
    assert server.request["logprobs"] == 2
    assert server.request["prompt"] == "Once upon"
    assert server.request["path"] == "/v1/completions"
    assert "top_logprobs" not in server.request


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"top_k": 5}, "top_k=5"),
        ({"min_p": 0.1}, "min_p=0.1"),
        ({"min_tokens": 2}, "min_tokens=2"),
        ({"repetition_penalty": 1.1}, "repetition_penalty=1.1"),
        ({"stop_token_ids": [1]}, "stop_token_ids=\\(1,\\)"),
        ({"ignore_eos": True}, "ignore_eos=True"),
        ({"return_logprob": True, "logprob_start_len": 0}, "logprob_start_len=0"),
        ({"token_healing": True}, "token_healing=True"),
        ({"regex": "[0-9]"}, "constrained by Regex"),
        ({"lark": 'start: "a"'}, "constrained by Lark"),
        ({"priority": 1}, "priority=1"),
    ],
)
def test_what_the_api_has_no_field_for_is_refused(
    server: Any, openai: Make, options: dict[str, Any], named: str
) -> None:  # fmt: skip
    with pytest.raises(sg.BackendCapabilityError, match=f"{named} is not something the OpenAI backend can do"):
        ask.run(sg.gen("x", **options), backend=openai())
    assert server.requests == []


def test_defaults_of_a_run_are_refused_alike(openai: Make) -> None:
    with pytest.raises(sg.BackendCapabilityError, match="top_k=5"):
        ask.run(sg.gen("x"), backend=openai(), top_k=5)


@pytest.mark.parametrize("extra", ["sglang", "vllm"])
def test_servers_that_take_more(server: Any, reply: Any, openai: Make, extra: Literal["sglang", "vllm"]) -> None:
    server.replies = [reply("77")]
    gen = sg.gen(
        "x", regex="[0-9]+", top_k=5, min_p=0.1, min_tokens=1, repetition_penalty=1.1, stop_token_ids=[3],
        ignore_eos=True,
    )  # fmt: skip
    assert ask.run(gen, backend=openai(extra=extra))["x"] == "77"
    sent = server.request
    for key, value in (
        ("top_k", 5), ("min_p", 0.1), ("min_tokens", 1), ("repetition_penalty", 1.1), ("stop_token_ids", [3]),
        ("ignore_eos", True), ("top_p", 1.0),
    ):  # fmt: skip
        assert sent[key] == value
    if extra == "sglang":
        assert sent["regex"] == "[0-9]+"
    else:
        assert sent["structured_outputs"] == {"regex": "[0-9]+"}


def test_what_llama_cpp_takes_and_what_it_has_no_field_for(server: Any, openai: Make) -> None:
    gen = sg.gen("x", top_k=5, min_p=0.1, repetition_penalty=1.1, ignore_eos=True)
    complete.run(gen, backend=openai(extra="llamacpp", is_chat_model=False))
    asked = {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "ignore_eos": True, "top_p": 1.0}
    assert asked.items() <= server.request.items()
    assert "repetition_penalty" not in server.request
    for options in ({"regex": "a"}, {"min_tokens": 1}, {"stop_token_ids": [1]}):
        with pytest.raises(sg.BackendCapabilityError):
            complete.run(sg.gen("x", **options), backend=openai(extra="llamacpp", is_chat_model=False))


@pytest.mark.parametrize(
    ("extra", "options", "answer", "field", "value"),
    [
        ("sglang", {"choices_method": sg.constrained_greedy, "choices": ["a.", "b"]}, "b", "regex", "(a\\.|b)"),
        ("sglang", {"json_schema": {"type": "object"}}, "{}", "json_schema", '{"type": "object"}'),
        ("sglang", {"grammar": 'root ::= "x"'}, "x", "ebnf", 'root ::= "x"'),
        ("vllm", {"json_schema": {"type": "array"}}, "[ ]", "structured_outputs", {"json": {"type": "array"}}),
        ("vllm", {"grammar": 'root ::= "x"'}, "x", "structured_outputs", {"grammar": 'root ::= "x"'}),
        ("vllm", {"choices_method": sg.constrained_greedy, "choices": ["a", "b"]}, "b", "structured_outputs",
         {"choice": ["a", "b"]}),
        ("llamacpp", {"json_schema": {"type": "object"}}, "{}", "json_schema", {"type": "object"}),
        ("llamacpp", {"grammar": 'root ::= "x"'}, "x", "grammar", 'root ::= "x"'),
        ("llamacpp", {"choices_method": sg.constrained_greedy, "choices": ['a"\n', "\\é"]}, "\\é", "grammar",
         'root ::= "a\\"\\n" | "\\\\é"'),
    ],
)  # fmt: skip
def test_constraints_of_completions(
    server: Any, reply: Any, openai: Make, extra: Any, options: Any, answer: str, field: str, value: Any
) -> None:
    server.replies = [reply(answer)]
    assert complete.run(sg.gen("x", **options), backend=openai(extra=extra, is_chat_model=False))["x"] == answer
    assert server.request[field] == value
    with pytest.raises(sg.BackendCapabilityError):
        complete.run(sg.gen("x", **options), backend=openai(is_chat_model=False))


def test_the_name_of_max_tokens(server: Any, openai: Make) -> None:
    ask.run(sg.gen("x", 4), backend=openai(max_tokens_field="max_completion_tokens"))
    assert server.request["max_completion_tokens"] == 4
    assert "max_tokens" not in server.request
    from sgdsl.backends.openai import _max_tokens_field

    assert _max_tokens_field("https://api.openai.com/v1/", True) == "max_completion_tokens"
    assert _max_tokens_field("https://api.openai.com/v1/", False) == "max_tokens"
    assert _max_tokens_field("http://127.0.0.1:1/v1/", True) == "max_tokens"


def test_a_schema_and_its_answer(server: Any, reply: Any, openai: Make) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    server.replies = [reply(['{ "n":', "\n  3}"]), reply('{"n": "three"}'), reply('{"n": 3', "length"), reply("{}")]
    backend = openai()
    assert ask.run(sg.gen("x", json_schema=schema), backend=backend)["x"] == '{ "n":\n  3}'
    sent = {"name": "answer", "strict": False, "schema": schema}
    assert server.request["response_format"] == {"type": "json_schema", "json_schema": sent}
    with pytest.raises(sg.ProgramError, match="breaks its constraint: it does not fit the schema near"):
        ask.run(sg.gen("x", json_schema=schema), backend=backend)
    assert ask.run(sg.gen("x", json_schema=schema), backend=backend)["x"] == '{"n": 3'
    from grammars.spec import JsonObject

    server.requests.clear()
    assert ask.run(sg.gen("x", grammar=JsonObject()), backend=backend)["x"] == "{}"
    assert server.request["response_format"] == {"type": "json_object"}


def test_typed_values(server: Any, reply: Any, openai: Make) -> None:
    from pydantic import BaseModel

    class Point(BaseModel):
        x: int
        y: int = 0

    server.replies = [reply('{"x": 3, "y": 4}'), reply('{"answer": "b"}'), reply('{"x": 3', "length")]
    backend = openai()
    assert ask.run(sg.gen("p", type=Point), backend=backend)["p"] == Point(x=3, y=4)
    assert server.request["response_format"]["json_schema"]["schema"]["properties"].keys() == {"x", "y"}
    assert ask.run(sg.gen("p", type=Literal["a", "b"]), backend=backend)["p"] == "b"
    with pytest.raises(sg.ProgramError, match="max_tokens is too small"):
        ask.run(sg.gen("p", type=Point), backend=backend)


def test_models_that_take_no_temperature(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply('{"answer": "a"}')
    backend = openai(fixed_sampling=True)
    ask.run(sg.gen("x") + "", backend=backend)
    ask.run(sg.select("x", ["a", "b"]), backend=backend)
    assert not any(request.keys() & {"temperature", "top_p"} for request in server.requests)
    for options, named in (({"temperature": 0.5}, "temperature=0.5"), ({"top_p": 0.5}, "top_p=0.5")):
        with pytest.raises(sg.BackendCapabilityError, match=named):
            ask.run(sg.gen("x", **options), backend=backend)


CLOSED = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"type": "null"}, {**CLOSED, "required": []}]}}}, False),
        ({"type": "array", "items": CLOSED}, False),
        ({}, False),
    ],
)
def test_schemas_are_strict_where_openai_takes_them_so(
    server: Any, reply: Any, openai: Make, schema: Any, is_strict: bool
) -> None:
    server.replies = [reply("", "length")]
    ask.run(sg.gen("x", json_schema=schema), backend=openai())
    assert server.request["response_format"]["json_schema"] == {"name": "answer", "strict": is_strict, "schema": schema}
