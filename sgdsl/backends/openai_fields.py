"""Request fields of the OpenAI API: what a gen asks for, in the server's words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sgdsl.backends.base import GEN_OPTIONS
from sgdsl.backends.text.model import TextCall
from sgdsl.backends.text.wrapped_choice import ANSWER, choice_schema

if TYPE_CHECKING:
    from grammars.spec import Spec
    from runtime.sampling.params import SamplingParams

__all__ = ["Dialect", "Extra", "chat_fields", "completion_fields"]

Extra: TypeAlias = Literal["sglang", "vllm", "llamacpp"]
_EXTRA_OPTIONS = frozenset(("top_k", "min_p", "min_tokens", "repetition_penalty", "stop_token_ids", "ignore_eos"))
_NOT_IN_LLAMACPP = frozenset(("min_tokens", "stop_token_ids"))
_NEVER = frozenset(("logprob_start_len", "token_healing", "separate_reasoning", "skip_special_tokens"))
_JSON = frozenset(("JsonSchema", "JsonObject"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a server takes.

    Attributes:
        is_chat: it is asked with messages.
        extra: whose fields beyond the API it knows.
        max_tokens: its name of that field.
        response_format: it can be held to a JSON schema in a chat.
        fixed_sampling: its model takes no temperature and no top_p.
        prefill: it goes on with an assistant message that has begun.
        max_stops: stop strings it takes in a request.
    """

    is_chat: bool
    extra: Extra | None = None
    max_tokens: str = "max_tokens"
    response_format: bool = True
    fixed_sampling: bool = False
    prefill: bool = False
    max_stops: int = 4

    def gen_options(self) -> frozenset[str]:
        """The options of a gen it honours, as `Capabilities` names them."""
        fixed = frozenset(("temperature", "top_p")) if self.fixed_sampling else frozenset()
        return GEN_OPTIONS - _NEVER - fixed - self._missing()

    def _missing(self) -> frozenset[str]:
        if self.extra is None:
            return _EXTRA_OPTIONS
        return _NOT_IN_LLAMACPP if self.extra == "llamacpp" else frozenset()

    def constraints(self) -> frozenset[str]:
        """The kinds of constraints it can be held to."""
        chat = _JSON | {"Choice"} if self.is_chat and self.response_format else frozenset()
        if self.extra is None:
            return chat
        return chat | _JSON | {"Choice", "Gbnf"} | (frozenset() if self.extra == "llamacpp" else {"Regex"})

    def echoes(self) -> bool:
        """Whether a completion server that takes its fields tells the log probabilities of a prompt."""
        return self.extra in ("sglang", "vllm")

    def wraps_choices(self) -> bool:
        """Whether a choice comes as the field of a JSON object."""
        return self.extra is None


def chat_fields(call: TextCall, dialect: Dialect) -> dict[str, Any]:
    """Everything of a chat request but model and messages."""
    fields, body = _sampling(call.params, dialect)
    if call.top_logprobs is not None:
        fields["logprobs"] = True
    if call.top_logprobs:
        fields["top_logprobs"] = call.top_logprobs
    constraint = call.params.constraint
    if constraint is not None:
        form = _response_format(constraint, dialect)
        if form is not None:
            fields["response_format"] = form
        else:
            body |= _extra_constraint(constraint, dialect)
    return fields | ({"extra_body": body} if body else {})


def completion_fields(call: TextCall, dialect: Dialect) -> dict[str, Any]:
    """Everything of a completion request but model and prompt."""
    fields, body = _sampling(call.params, dialect)
    if dialect.max_tokens not in fields and (longest := _longest_choice(call.params.constraint)) is not None:
        fields[dialect.max_tokens] = longest  # servers write 16 tokens where nothing is said
    if call.top_logprobs is not None:
        fields["logprobs"] = call.top_logprobs
    if call.params.constraint is not None:
        body |= _extra_constraint(call.params.constraint, dialect)
    return fields | ({"extra_body": body} if body else {})


def _sampling(params: SamplingParams, dialect: Dialect) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the API itself, and those beyond it.

    The temperature is always said, because servers have defaults of their own. The other values that ask for nothing
    are left out where a server may refuse the very field, and said to those that take them.
    """
    fields: dict[str, Any] = {} if dialect.fixed_sampling else {"temperature": params.temperature}
    if params.max_new_tokens is not None:
        fields[dialect.max_tokens] = params.max_new_tokens
    if params.stop:
        fields["stop"] = list(params.stop[: dialect.max_stops])
    if params.seed is not None:
        fields["seed"] = params.seed
    if params.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    if (params.top_p != 1 or dialect.extra) and not dialect.fixed_sampling:
        fields["top_p"] = params.top_p
    for name in ("frequency_penalty", "presence_penalty"):
        if value := getattr(params, name):
            fields[name] = value
    if dialect.extra is None:
        return fields, {}
    penalty = "repeat_penalty" if dialect.extra == "llamacpp" else "repetition_penalty"
    body: dict[str, Any] = {"top_k": params.top_k, "min_p": params.min_p, penalty: params.repetition_penalty}
    if params.min_new_tokens:
        body["min_tokens"] = params.min_new_tokens
    if params.stop_token_ids:
        body["stop_token_ids"] = list(params.stop_token_ids)
    if params.ignore_eos:
        body["ignore_eos"] = True
    return fields, body


def _longest_choice(constraint: Spec | None) -> int | None:
    """Tokens that are enough for any of the choices: none is shorter than a byte."""
    from grammars.spec import Choice

    if not isinstance(constraint, Choice):
        return None
    return max(len(option.encode()) for option in constraint.options) + 1


def _response_format(constraint: Spec, dialect: Dialect) -> dict[str, Any] | None:
    from grammars.spec import Choice, JsonObject, JsonSchema

    if isinstance(constraint, JsonObject):
        return {"type": "json_object"}
    if isinstance(constraint, JsonSchema):
        schema = json.loads(constraint.schema)
    elif isinstance(constraint, Choice) and dialect.wraps_choices():
        schema = choice_schema(constraint.options)
    else:
        return None
    form = {"name": ANSWER, "strict": isinstance(schema, dict) and _is_strict(schema), "schema": schema}
    return {"type": "json_schema", "json_schema": form}


def _is_strict(schema: dict[str, Any]) -> bool:
    """Whether OpenAI takes it as strict: an object, and in it every object closed and every field required."""

    def fits(value: object) -> bool:
        if isinstance(value, list):
            return all(map(fits, value))
        if not isinstance(value, dict):
            return True
        fields = value.get("properties")
        if value.get("type") == "object" or isinstance(fields, dict):
            named = set(fields) if isinstance(fields, dict) else set()
            if value.get("additionalProperties") is not False or named - set(value.get("required") or ()):
                return False
        return all(map(fits, value.values()))

    return schema.get("type") == "object" and fits(schema)


def _extra_constraint(constraint: Spec, dialect: Dialect) -> dict[str, Any]:
    from grammars.spec import Choice, Gbnf, JsonObject, JsonSchema, Regex

    if isinstance(constraint, JsonObject):
        constraint = constraint.schema()
    if dialect.extra == "llamacpp":
        return _llamacpp(constraint)
    if isinstance(constraint, JsonSchema):
        schema = constraint.schema
        return {"json_schema": schema} if dialect.extra == "sglang" else _vllm("json", json.loads(schema))
    if isinstance(constraint, Regex):
        return {"regex": constraint.pattern} if dialect.extra == "sglang" else _vllm("regex", constraint.pattern)
    if isinstance(constraint, Gbnf):
        return {"ebnf": constraint.text} if dialect.extra == "sglang" else _vllm("grammar", constraint.text)
    if isinstance(constraint, Choice):
        options = list(constraint.options)
        if dialect.extra == "sglang":
            return {"regex": "(" + "|".join(map(re.escape, options)) + ")"}
        return _vllm("choice", options)
    raise TypeError(f"a {type(constraint).__name__} constraint was not refused when it was asked for")


def _llamacpp(constraint: Spec) -> dict[str, Any]:
    from grammars.spec import Choice, Gbnf, JsonSchema

    if isinstance(constraint, JsonSchema):
        return {"json_schema": json.loads(constraint.schema)}
    if isinstance(constraint, Gbnf):
        return {"grammar": constraint.text}
    if isinstance(constraint, Choice):
        # A GBNF string has JSON's escapes for quotes, backslashes and line ends.
        return {"grammar": "root ::= " + " | ".join(json.dumps(one, ensure_ascii=False) for one in constraint.options)}
    raise TypeError(f"a {type(constraint).__name__} constraint was not refused when it was asked for")


def _vllm(kind: str, value: object) -> dict[str, Any]:
    return {"structured_outputs": {kind: value}}
