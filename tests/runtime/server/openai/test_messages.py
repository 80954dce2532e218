from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.chat_formats import template_of
from runtime.chat_template import ChatTemplate
from runtime.server.errors import ApiError
from runtime.server.openai.messages import prompt_of
from runtime.server.openai.requests import ChatRequest
from runtime.server.openai.tools import Toolbox

TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TALK: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "1+"}, {"type": "text", "text": "2"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "3"},
]
KNOWING = ChatTemplate(
    "{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}"
    "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<{{ c.function.name }} {{ c.function.arguments | tojson }}>{% endfor %};"
    "{% endfor %}{% if thinking is defined %}{{ thinking }}{% endif %}{% if add_generation_prompt %}>{% endif %}",
    {},
)


def prompt(template: ChatTemplate | None, **fields: Any) -> str:
    request = ChatRequest.model_validate_json(json.dumps({"messages": TALK, **fields}))
    return prompt_of(template, request, Toolbox.of(request))


def test_a_template_that_knows_tools_is_given_them() -> None:
    talk = 'system:Be brief.;user:1+\n2;assistant:<add {"a": 1}>;tool:3;'
    assert prompt(KNOWING) == f"{talk}>"
    assert prompt(KNOWING, tools=[TOOL]) == f"[add]{talk}>"
    assert prompt(KNOWING, tools=[TOOL], tool_choice="none") == f"{talk}>"
    assert prompt(KNOWING, chat_template_kwargs={"thinking": "!"}) == f"{talk}!>"
    assert prompt(KNOWING, add_generation_prompt=False) == talk


def test_another_is_told_of_them_in_the_system_message() -> None:
    text = prompt(template_of("chatml"), tools=[TOOL])
    assert text.startswith("<|im_start|>system\nBe brief.\n\nThese functions")
    assert json.dumps(TOOL) in text
    assert '<|im_start|>assistant\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call><|im_end|>' in text
    assert "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>" in text
    assert text.endswith("<|im_start|>assistant\n")


def test_the_last_message_is_continued() -> None:
    talk = [{"role": "user", "content": "Say yes"}, {"role": "assistant", "content": "Well, ye"}]
    text = prompt(template_of("chatml"), messages=talk, continue_final_message=True)
    assert text.endswith("<|im_start|>assistant\nWell, ye")


@pytest.mark.parametrize(
    ("template", "fields", "param"),
    [
        (None, {}, "messages"),
        (ChatTemplate("{{ raise_exception('no') }}", {}), {}, "messages"),
        (KNOWING, {"continue_final_message": True}, "continue_final_message"),
        (KNOWING, {"messages": [{"role": "assistant", "content": " "}], "continue_final_message": True},
         "continue_final_message"),
        (KNOWING, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (KNOWING, {"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(template: ChatTemplate | None, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        prompt(template, **fields)
    assert caught.value.problem.param == param
