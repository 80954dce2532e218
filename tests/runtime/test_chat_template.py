from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.chat_template import ChatTemplate
from runtime.errors import RequestError, UnsupportedModel

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML = """
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}{{ message.content | trim }}{% endgeneration %}
    {%- else %}
        {{- message.content }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}
"""
LLAMA3 = """
{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday: " + date_string + "\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if message.role == 'skip' %}{% continue %}{% endif %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = [
    {"role": "user", "content": "  What is <b>ß & 🙂</b>? "},
    {"role": "assistant", "content": "A test.\n"},
    {"role": "user", "content": ""},
]
SYSTEM = {"role": "system", "content": "Be brief."}
TOOLS = [{"type": "function", "function": {"name": "größe", "description": "<a & b>", "parameters": {"x": [1, None]}}}]


@pytest.mark.parametrize("template", [SMOLLM2, CHATML, LLAMA3, GEMMA], ids=["smollm2", "chatml", "llama3", "gemma"])
@pytest.mark.parametrize("prompted", [False, True])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_renders_as_transformers_does(template: str, prompted: bool, tools: list[dict[str, Any]] | None) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    for messages in (TALK, TALK[:1], [SYSTEM, *TALK]):
        if template == GEMMA and messages[0] is SYSTEM:
            continue
        theirs, _ = render_jinja_template(
            [messages], tools=tools, chat_template=template, add_generation_prompt=prompted, **SPECIAL
        )
        ours = ChatTemplate(template, SPECIAL).render(messages, add_generation_prompt=prompted, tools=tools)
        assert ours == theirs[0]


def test_smollm2_text() -> None:
    text = ChatTemplate(SMOLLM2, {}).render([SYSTEM, TALK[2]], add_generation_prompt=True)
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"


def test_extra_variables_win() -> None:
    template = ChatTemplate("{{ bos_token }}{{ documents is none }}{{ mood }}", SPECIAL)
    assert template.render([], mood="calm", bos_token="<x>") == "<x>Truecalm"


def test_messages_are_not_changed() -> None:
    messages = json.loads(json.dumps(TALK))
    ChatTemplate(LLAMA3, SPECIAL).render(messages)
    assert messages == TALK


@pytest.mark.parametrize(
    ("template", "messages", "complaint"),
    [
        (GEMMA, [SYSTEM], "System role not supported"),
        (GEMMA, [TALK[0], TALK[0]], "Roles must alternate"),
        (SMOLLM2, [{"role": "user"}], "content"),
        (SMOLLM2, [{"role": "user", "content": None}], "concatenate"),
        ("{{ messages.append(1) }}", [], "unsafe"),
        ("{{ ''.__class__.__mro__ }}", [], "unsafe"),
        ("{{ 1 / 0 }}", [], "division"),
    ],
)
def test_what_a_template_refuses_is_a_request_error(
    template: str, messages: list[dict[str, Any]], complaint: str
) -> None:
    with pytest.raises(RequestError, match=complaint) as caught:
        ChatTemplate(template, SPECIAL).render(messages)
    assert str(caught.value).startswith("messages: the chat template refuses them")


def test_broken_source_names_the_line() -> None:
    with pytest.raises(UnsupportedModel, match="chat template, line 2: "):
        ChatTemplate("fine\n{% for %}", {})


def test_import_is_light() -> None:
    code = "import runtime.chat_template, sys; assert not {'torch', 'numpy', 'transformers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.corpus
def test_the_published_template_is_the_one_tested() -> None:
    path = Path(__file__).parents[2].parent / "shared" / "data" / "smollm2-tokenizer" / "chat_template.jinja"
    if not path.is_file():
        pytest.skip("../shared/data is absent")
    assert path.read_text() == SMOLLM2
