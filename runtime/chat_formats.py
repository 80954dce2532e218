"""Chat formats: well-known ways of writing conversations, as Jinja texts, for models that come without a template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from runtime.chat_template import ChatTemplate
from runtime.errors import ConfigError, InvalidParameter, RequestError, UnsupportedModel

if TYPE_CHECKING:
    from runtime.config import ModelSettings
    from runtime.tokenizer import Tokenizer

__all__ = ["FORMATS", "configured_template", "template_of"]

_CHATML = """\
{% for message in messages %}
{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""

_LLAMA_2 = """\
{% set ns = namespace(system='') %}
{% for message in messages %}
{% if message.role == 'system' %}
{% set ns.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}
{% elif message.role == 'user' %}
{{ '<s>[INST] ' + ns.system + message.content + ' [/INST]' }}
{%- set ns.system = '' %}
{% else %}
{{ ' ' + message.content + ' </s>' }}
{%- endif %}
{% endfor %}
"""

_LLAMA_3 = """\
{% if messages %}{{ '<|begin_of_text|>' }}{% endif %}
{% for message in messages %}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
"""

_MISTRAL = """\
{% set ns = namespace(system='') %}
{% if messages %}{{ '<s>' }}{% endif %}
{% for message in messages %}
{% if message.role == 'system' %}
{% set ns.system = message.content + '\\n\\n' %}
{% elif message.role == 'user' %}
{{ '[INST] ' + ns.system + message.content + '[/INST]' }}
{%- set ns.system = '' %}
{% else %}
{{ ' ' + message.content + '</s>' }}
{%- endif %}
{% endfor %}
"""

_GEMMA = """\
{% set ns = namespace(system='') %}
{% if messages %}{{ '<bos>' }}{% endif %}
{% for message in messages %}
{% if message.role == 'system' %}
{% set ns.system = message.content + '\\n\\n' %}
{% else %}
{% set role = 'model' if message.role == 'assistant' else message.role %}
{{ '<start_of_turn>' + role + '\\n' + ns.system + message.content + '<end_of_turn>\\n' }}
{%- set ns.system = '' %}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
"""

_PHI_3 = """\
{% for message in messages %}
{{ '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}
"""

_VICUNA = """\
{% for message in messages %}
{% if message.role == 'system' %}
{{ message.content + ' ' }}
{%- elif message.role == 'user' %}
{{ 'USER: ' + message.content + ' ' }}
{%- else %}
{{ 'ASSISTANT: ' + message.content + '</s>' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}
"""

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "chatml": _CHATML,
        "gemma": _GEMMA,
        "llama-2": _LLAMA_2,
        "llama-3": _LLAMA_3,
        "mistral": _MISTRAL,
        "phi-3": _PHI_3,
        "vicuna": _VICUNA,
    }
)
"""Names of formats, not of models, to Jinja texts."""


def template_of(given: str, special_tokens: Mapping[str, str] | None = None) -> ChatTemplate:
    """A template by the name of its format, by its Jinja text, or by the file that holds it.

    Args:
        special_tokens: names a Jinja text may use, such as `bos_token`, with their texts.

    Raises:
        InvalidParameter: it is none of them, or not valid Jinja.
    """
    kinds = f"one of {', '.join(FORMATS)}, a Jinja text, or a file that holds one"
    if not isinstance(given, str) or not given:
        raise InvalidParameter("chat_template", given, kinds)
    source = FORMATS.get(given, given)
    try:
        if "{{" not in source and "{%" not in source:
            source = Path(given).read_text(encoding="utf-8")
        template = ChatTemplate(source, special_tokens or {})
        template.render([{"role": "user", "content": ""}])
    except (OSError, ValueError, UnsupportedModel) as error:
        reason = error if isinstance(error, UnsupportedModel | RequestError) else kinds
        raise InvalidParameter("chat_template", given[:80], str(reason)) from error
    return template


def configured_template(settings: ModelSettings, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The template that the settings name, or else the model's own; None where it has none.

    Raises:
        ConfigError: the settings name none that there is.
        UnsupportedModel: the model's own is not valid Jinja.
    """
    if settings.chat_template is not None:
        try:
            return template_of(settings.chat_template, tokenizer.token_names)
        except InvalidParameter as error:
            raise ConfigError(str(error)) from error
    if tokenizer.chat_template is None:
        return None
    return ChatTemplate(tokenizer.chat_template, tokenizer.token_names)
