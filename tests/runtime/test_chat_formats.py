from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.chat_formats import FORMATS, template_of
from runtime.engine import Engine
from runtime.errors import ConfigError, InvalidParameter

TALK = [
    {"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"},
    {"role": "user", "content": "V"},
]  # fmt: skip

WRITTEN = {
    "chatml": "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
    "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
    "gemma": "<bos><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
    "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n",
    "llama-2": "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]",
    "llama-3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s>[INST] S\n\nU[/INST] A</s>[INST] V[/INST]",
    "phi-3": "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n",
    "vicuna": "S USER: U ASSISTANT: A</s>USER: V ASSISTANT: ",
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_write_conversations_as_their_models_read_them(name: str) -> None:
    assert template_of(name).render(TALK, add_generation_prompt=True) == WRITTEN[name]


def test_a_text_and_a_file(tmp_path: Path) -> None:
    jinja = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    path = tmp_path / "a.jinja"
    path.write_text(jinja)
    for given in (jinja, str(path)):
        assert template_of(given, {"eos_token": "$"}).render(TALK[:1]) == "[system]S$"


@pytest.mark.parametrize("given", ["", "nonsense", 3, "{% for %}", "{{ raise_exception('no') }}", "a\0b"])
def test_what_is_no_template(given: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="chat_template="):
        template_of(given)  # type: ignore[arg-type]


def test_an_engine_takes_one_in_place_of_its_models_own(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(chat_template="llama-3")
    assert engine.chat_template is not None
    assert engine.chat_template.render(TALK[:1]).startswith("<|begin_of_text|><|start_header_id|>system")
    with pytest.raises(ConfigError, match="chat_template='nonsense' is not allowed: one of chatml"):
        make_engine(chat_template="nonsense")
