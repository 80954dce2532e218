"""Tools with models of other families, each a folder with a chat template and special tokens of its own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from runtime.engine import Engine
from runtime.server.local_engine import LocalEngine

CHAT = "/v1/chat/completions"
ON = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": ON}} for name in ("set", "unset")
]
NAMED = {"type": "function", "function": {"name": "unset"}}

MISTRAL = """{{ bos_token }}{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}
{%- for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% elif m.role == 'tool' -%}
[TOOL_RESULTS]{{ m.tool_call_id }} {{ m.content }}[/TOOL_RESULTS]{% elif m.tool_calls -%}
[TOOL_CALLS] [{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('9 letters') }}{% endif %}
{{- (c.function | tojson)[:-1] + ', "id": "' + c.id + '"}' }}{% endfor %}]</s>{% endif %}{% endfor %}"""
MISTRAL_ARGS = """{{ bos_token }}{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}
{%- for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% elif m.role == 'tool' -%}
[TOOL_RESULTS]{{ m.tool_call_id }} {{ m.content }}[/TOOL_RESULTS]{% elif m.tool_calls -%}
{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}</s>
{%- endif %}{% endfor %}"""
LLAMA = """{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>
{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception('one at a time') }}{% endif %}
{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}
{%- else %}{{ m.content }}{% endif %}</s>{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}
{#- single tool-calls; <|python_tag|> #}<|start_header_id|>assistant<|end_header_id|>"""
FAMILIES = {
    "mistral": (MISTRAL, ["[TOOL_CALLS]"], "[A-Za-z0-9]{9}"),
    "mistral-args": (MISTRAL_ARGS, ["[TOOL_CALLS]", "[ARGS]"], "[A-Za-z0-9]{9}"),
    "llama-3": (LLAMA, ["<|python_tag|>", "<|start_header_id|>", "<|end_header_id|>"], "call_[0-9a-f]{24}"),
}


def _folder(folder: Path, template: str, special: list[str]) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    names = ["<s>", "</s>", *special]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=names, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(['{"name": "set", "arguments": {"on": true}}'] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", additional_special_tokens=special
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1, initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def family_engine(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp(family)
    _folder(folder, *FAMILIES[family][:2])
    with Engine(os.fspath(folder), max_total_tokens=8192, attention="torch", weight_format="float32-torch") as engine:
        yield engine


async def _ask(client: Any, **fields: Any) -> dict[str, Any]:
    """The message of an answer, which a stream of the same says too."""
    asked = {"messages": [{"role": "user", "content": "set it"}], "seed": 3, "max_tokens": 400, "tools": TOOLS}
    async with client.post(CHAT, json={**asked, **fields}) as response:
        body = await response.json()
    assert response.status == 200, body
    (choice,) = body["choices"]
    async with client.post(CHAT, json={**asked, **fields, "stream": True}) as response:
        lines = (await response.text()).split("\n\n")
    parts = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines if line.startswith("data: {")]
    deltas = [part["delta"] for part in parts]
    assert "".join(delta.get("content", "") for delta in deltas) == (choice["message"]["content"] or "")
    pieces: dict[int, list[str]] = {}
    for call in (call for delta in deltas for call in delta.get("tool_calls", ())):
        pieces.setdefault(call["index"], []).append(call["function"]["arguments"])
    calls = choice["message"].get("tool_calls", [])
    assert ["".join(one) for one in pieces.values()] == [call["function"]["arguments"] for call in calls]
    assert parts[-1]["finish_reason"] == choice["finish_reason"]
    return {**choice["message"], "finish_reason": choice["finish_reason"]}


@pytest.mark.parametrize("choice", ["required", NAMED])
async def test_calls_that_must_be_are(family: str, family_engine: Engine, make_client: Any, choice: Any) -> None:
    client = await make_client(LocalEngine(family_engine))
    message = await _ask(client, tool_choice=choice, parallel_tool_calls=False)
    (call,) = message["tool_calls"]
    assert (message["content"], message["finish_reason"]) == (None, "tool_calls")
    assert re.fullmatch(FAMILIES[family][2], call["id"])
    assert call["function"]["name"] in (["unset"] if choice is NAMED else ["set", "unset"])
    assert json.loads(call["function"]["arguments"])["on"] in (True, False)


async def test_calls_that_may_be_are_whole_and_several_may_be_written(
    family: str, family_engine: Engine, make_client: Any
) -> None:
    client = await make_client(LocalEngine(family_engine))
    tokens = family_engine.tokenizer.special_tokens
    begins = tokens.get("[TOOL_CALLS]", tokens.get("<|python_tag|>"))
    found = [await _ask(client, logit_bias={str(begins): 1000}, seed=seed) for seed in range(6)]
    calls = [message["tool_calls"] for message in found if message["finish_reason"] == "tool_calls"]
    assert calls
    for call in (call for one in calls for call in one):
        assert call["function"]["name"] in ("set", "unset")
        assert json.loads(call["function"]["arguments"])["on"] in (True, False)
    assert family == "llama-3" or max(map(len, calls)) > 1
    assert not any(message["content"] for message in found)


async def test_what_was_called_goes_back_into_the_prompt(family: str, family_engine: Engine, make_client: Any) -> None:
    client = await make_client(LocalEngine(family_engine))
    first = await _ask(client, tool_choice="required", parallel_tool_calls=False)
    (call,) = first["tool_calls"]
    for known in (call["id"], "call_" + "0" * 24):
        talk = [
            {"role": "user", "content": "set it"},
            {"role": "assistant", "content": None, "tool_calls": [{**call, "id": known}]},
            {"role": "tool", "tool_call_id": known, "content": "done"},
        ]
        message = await _ask(client, messages=talk, tool_choice="none", max_tokens=3)
        assert message["finish_reason"] in ("length", "stop")
