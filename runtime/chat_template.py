"""ChatTemplate: a model's own Jinja template, from messages to the prompt text it was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime.errors import RequestError, UnsupportedModel

__all__ = ["ChatTemplate"]


class _GenerationBlock(Extension):
    """`{% generation %}` marks the model's own words for training; here its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it as an instance's set

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Parses up to `{% endgeneration %}`."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes <, > and & for HTML, which models were not trained on.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(layout: str) -> str:
    return datetime.now().strftime(layout)


class ChatTemplate:
    """A compiled template. Templates come with models, so they run in a sandbox.

    Args:
        source: Jinja source, in the dialect of Hugging Face's chat templates.
        special_tokens: names the template may use, such as `bos_token`, with their texts.

    Raises:
        UnsupportedModel: the source is not valid Jinja.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self.source = source
        self._special_tokens = dict(special_tokens)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, "jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        helpers: dict[str, Callable[..., Any]] = {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
        environment.globals.update(helpers)
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise UnsupportedModel(f"chat template, line {error.lineno}: {error.message}") from error

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False, **extra: Any
    ) -> str:
        """The prompt text of a conversation.

        Args:
            messages: dicts with `role` and `content`, and whatever else the template reads.
            add_generation_prompt: end with the beginning of the assistant's answer.
            extra: more variables for the template, such as `tools`; they win over the special tokens.

        Raises:
            RequestError: the template refuses the messages, or cannot be rendered with them.
        """
        variables = {"tools": None, "documents": None, **self._special_tokens, **extra}
        try:
            return self._template.render(
                messages=list(messages), add_generation_prompt=add_generation_prompt, **variables
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise RequestError(f"messages: the chat template refuses them: {error}") from error
