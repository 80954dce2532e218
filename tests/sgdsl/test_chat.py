from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sgdsl as sg
from runtime.chat_formats import FORMATS
from runtime.chat_template import ChatTemplate
from sgdsl.chat import CHATML, Conversation, chat_template

SMOL = """{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system
You are SmolLM<|im_end|>
' }}{% endif %}{{ '<|im_start|>' + m['role'] + '
' + m['content'] + '<|im_end|>' + '
' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
TRIMMED = """{{ bos_token }}{% for m in messages %}{{ '<|h|>' + m['role'] + '<|e|>\n\n' + m['content'] | trim + '<|eot|>' }}{% endfor %}"""  # noqa: E501
NO_SYSTEM = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set head = messages[0]['content'] + '\n\n' %}{% set rest = messages[1:] %}{% else %}{% set head = '' %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ '<turn>' + m['role'] + '\n' }}{% if loop.first %}{{ head }}{% endif %}{{ m['content'] + '</turn>\n' }}{% endfor %}"""  # noqa: E501
LAST_IS_SPECIAL = """{% for m in messages %}{{ '[' + m['role'] + ']' }}{% if loop.last and m['role'] == 'assistant' %}{{ '<think></think>' }}{% endif %}{{ m['content'] + '[/]' }}{% endfor %}"""  # noqa: E501


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, {"bos_token": "<s>"})


def said(backend_template: Any, roles: list[str]) -> sg.ProgramState:
    @sg.function
    def talk(s: sg.ProgramState) -> None:
        for number, role in enumerate(roles):
            with getattr(s, role)():
                s += f"words {number}"

    return talk.run(backend=sg.Mock(chat_template=backend_template))


ROLES = st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=6).flatmap(
    lambda roles: st.sampled_from([roles, ["system", *roles]])
)


@pytest.mark.parametrize("source", [SMOL, TRIMMED])
@given(roles=ROLES)
def test_a_role_only_program_is_the_rendered_conversation(source: str, roles: list[str]) -> None:
    made = template(source)
    state = said(made, roles)
    assert state.messages() == [{"role": role, "content": f"words {i}"} for i, role in enumerate(roles)]
    assert state.text() == made.render(state.messages())


@pytest.mark.parametrize("roles", [["user"], ["user", "assistant", "user"], ["system", "user", "assistant"]])
def test_system_prompts_folded_into_the_first_user_message(roles: list[str]) -> None:
    made = template(NO_SYSTEM)
    state = said(made, roles)
    assert state.text() == made.render(state.messages())


def test_the_default_system_prompt_is_there() -> None:
    assert (
        said(template(SMOL), ["user"])
        .text()
        .startswith("<|im_start|>system\nYou are SmolLM<|im_end|>\n<|im_start|>user")
    )


def test_chatml_where_the_backend_has_no_template() -> None:
    state = said(None, ["user", "assistant"])
    assert state.text() == CHATML.render(state.messages())


def test_what_stands_is_kept_when_the_template_would_rewrite_it() -> None:
    state = said(template(LAST_IS_SPECIAL), ["user", "assistant", "user"])
    assert state.text() == "[user]words 0[/][assistant]<think></think>words 1[/][user]words 2[/]"


def test_an_order_of_roles_the_template_refuses() -> None:
    with pytest.raises(ValueError, match="roles must alternate"):
        said(template(NO_SYSTEM), ["user", "user"])


def test_roles_do_not_nest_and_end_what_they_began() -> None:
    conversation, _ = Conversation(CHATML).begin("user")
    with pytest.raises(ValueError, match="inside role 'user'"):
        conversation.begin("system")
    with pytest.raises(ValueError, match="not begun"):
        conversation.end("assistant")
    with pytest.raises(ValueError, match="not begun"):
        Conversation(CHATML).end("user")


def test_begin_and_end_are_the_same_as_a_message(mock: sg.Mock) -> None:
    @sg.function
    def parts(s: sg.ProgramState) -> None:
        s += sg.system_begin() + "a" + sg.system_end()
        s += sg.user_begin() + "b"
        s += sg.user_end() + sg.assistant_begin()
        s += "c" + sg.assistant_end()

    @sg.function
    def whole(s: sg.ProgramState) -> None:
        s += sg.system("a") + sg.user("b") + sg.assistant("c")
        s.user("")

    assert (
        parts.run(backend=mock).text() + CHATML.render([{"role": "user", "content": ""}])
        == whole.run(backend=mock).text()
    )


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_formats_by_name_write_programs_as_they_write_conversations(name: str) -> None:
    made = chat_template(name)
    state = said(name, ["system", "user", "assistant", "user"])
    assert state.text() == made.render(state.messages())


def test_a_template_as_text_and_what_is_none() -> None:
    assert said("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}", ["user"]).text() == "[user]words 0"
    with pytest.raises(sg.InvalidArgument, match="chat_template='nonsense' is not allowed: one of chatml, gemma"):
        sg.Mock(chat_template="nonsense")
    with pytest.raises(sg.InvalidArgument, match="line 1"):
        chat_template("{% for %}")
