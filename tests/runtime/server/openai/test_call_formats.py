from __future__ import annotations

import re
from dataclasses import replace

import pytest

from grammars import Choice, GrammarCompiler, Spec, Vocabulary
from runtime.server.openai.call_formats import HERMES, LLAMA_3, MISTRAL, MISTRAL_ARGS, CallFormat, call_format_of
from runtime.server.openai.requests import ChatRequest
from runtime.server.openai.tools import Toolbox

SPECIAL = ("[TOOL_CALLS]", "[ARGS]", "<|python_tag|>")
ON = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
TOOLS = [
    {"type": "function", "function": {"name": "set", "parameters": ON}},
    {"type": "function", "function": {"name": "stop"}},
]
SET, STOP = ("set", '{"on": true}'), ("stop", "{}")
TAGGED = replace(LLAMA_3, marker="<|python_tag|>")
PLAIN = replace(MISTRAL, special=())
"""Of a tokenizer to which `[TOOL_CALLS]` is a text like any other."""
FORMS = [HERMES, MISTRAL, MISTRAL_ARGS, TAGGED, replace(LLAMA_3, marker=None), PLAIN]


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    tokens = [*(bytes([byte]) for byte in range(256)), *[None] * (1 + len(SPECIAL))]
    special = {name: 257 + place for place, name in enumerate(SPECIAL)}
    return GrammarCompiler(Vocabulary(tokens, (256,), special=special))


def allows(compiler: GrammarCompiler, form: CallFormat, spec: Spec, text: str) -> bool:
    """Whether the text is whole, its special tokens being tokens."""
    names = [*form.special, *([form.marker] if form.marker else [])]
    tokens: list[int] = []
    for piece in re.split("|".join(f"({re.escape(name)})" for name in names), text) if names else [text]:
        tokens += [257 + SPECIAL.index(piece)] if piece in names else list((piece or "").encode())
    matcher = compiler.compile(spec).matcher()
    return all(matcher.accept(token) for token in tokens) and matcher.is_complete()


def toolbox(form: CallFormat, **fields: object) -> Toolbox:
    messages = [{"role": "user", "content": "x"}]
    found = Toolbox.of(ChatRequest.model_validate({"messages": messages, "tools": TOOLS, **fields}), form)
    assert found is not None
    return found


NAMED = {"type": "function", "function": {"name": "set"}}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_choice_allows(compiler: GrammarCompiler, form: CallFormat) -> None:
    one, two, both = form.written(SET), form.written(STOP), form.written(SET, STOP)
    wrong = [form.written(("set", '{"on": 1}')), form.written(("go", "{}")), one[:-1]]
    table: list[tuple[dict[str, object], list[str], list[str]]] = [
        ({}, ["", "hello", one, both], wrong),
        ({"parallel_tool_calls": False}, ["hello", one, two], [both, *wrong]),
        ({"tool_choice": "required"}, [one, two, both], ["", "hello", "so: " + one, *wrong]),
        ({"tool_choice": "required", "parallel_tool_calls": False}, [one, two], ["", both, *wrong]),
        ({"tool_choice": NAMED}, [one], ["", two, both, *wrong]),
    ]
    for fields, good, bad in table:
        spec = toolbox(form, **fields).spec(None)
        assert [text for text in good if not allows(compiler, form, spec, text)] == []
        assert [text for text in bad if allows(compiler, form, spec, text)] == []


@pytest.mark.parametrize("form", FORMS)
def test_calls_come_behind_what_is_said_or_beside_a_form_for_it(compiler: GrammarCompiler, form: CallFormat) -> None:
    said = toolbox(form).spec(None)
    assert allows(compiler, form, said, "so: " + form.written(SET))
    formed = toolbox(form).spec(Choice(("yes", "no")))
    answers = [allows(compiler, form, formed, text) for text in ("yes", form.written(SET), "hello")]
    assert answers == [True, True, False]


def test_a_llama_may_put_its_marker_before_calls_and_name_their_type(compiler: GrammarCompiler) -> None:
    spec = toolbox(TAGGED).spec(None)
    call = TAGGED.written(SET)
    typed = call.replace('{"name"', '{"type": "function", "name"')
    assert [allows(compiler, TAGGED, spec, text) for text in ("<|python_tag|>" + call, typed)] == [True, True]
    assert not allows(compiler, TAGGED, spec, "<|python_tag|>hello")


def test_a_template_that_takes_one_call_is_given_one(compiler: GrammarCompiler) -> None:
    form = replace(LLAMA_3, is_single=True)
    spec = toolbox(form, tool_choice="required").spec(None)
    assert allows(compiler, form, spec, form.written(SET))
    assert not allows(compiler, form, spec, form.written(SET, STOP))


@pytest.mark.parametrize(
    ("source", "special", "expected"),
    [
        ("", (), HERMES),
        ("{{ tools }} <tool_call>", ("[TOOL_CALLS]",), HERMES),
        ("{{ '[TOOL_CALLS] [' }}", SPECIAL, MISTRAL),
        ("{{ '[TOOL_CALLS] [' }}", (), PLAIN),
        ("{{ '[TOOL_CALLS][' }}", SPECIAL, replace(MISTRAL, start="[TOOL_CALLS][")),
        ("{{ '[TOOL_CALLS]' + name + '[ARGS]' }}", SPECIAL, MISTRAL_ARGS),
        ("{{ message.content }}", ("[TOOL_CALLS]",), MISTRAL),
        ("<|start_header_id|> \"parameters\"", (), replace(LLAMA_3, marker=None)),
        ("<|start_header_id|>", (), HERMES),
        ("<|python_tag|> only supports single tool-calls at once!", SPECIAL, replace(TAGGED, is_single=True)),
    ],
)  # fmt: skip
def test_the_format_is_seen_from_template_and_tokens(
    source: str, special: tuple[str, ...], expected: CallFormat
) -> None:
    assert call_format_of(source, special) == expected


@pytest.mark.parametrize(("form", "pattern"), [(HERMES, "call_[0-9a-f]{24}"), (MISTRAL, "[A-Za-z0-9]{9}")])
def test_ids_are_as_the_template_takes_them(form: CallFormat, pattern: str) -> None:
    ids = {form.new_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(pattern, one) for one in ids)
    assert form.known_id("call_0123456789") == ("call_0123456789" if form is HERMES else "123456789")
