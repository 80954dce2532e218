"""Options: the keyword arguments of `gen`, as types, so that editors and type checkers know them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from sgdsl.choices import ChoicesMethod

if TYPE_CHECKING:
    from grammars.spec import Spec

__all__ = ["CONSTRAINTS", "GenOptions", "PlainOptions", "SamplingOptions"]

CONSTRAINTS = ("dtype", "choices", "regex", "json_schema", "grammar", "lark", "structural_tag", "type")
"""Of these, a gen takes at most one."""


class SamplingOptions(TypedDict, total=False):
    """How tokens are picked; meanings and limits as in `runtime.sampling.params.SamplingParams`.

    What is left out, or None, comes from the run's defaults, and then is SGLang's: 128 tokens at temperature 1.
    """

    min_tokens: int | None
    n: int | None
    stop: str | Sequence[str] | None
    stop_token_ids: Sequence[int] | None
    stop_regex: str | Sequence[str] | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    repetition_penalty: float | None
    logit_bias: Mapping[int, float] | None
    seed: int | None
    ignore_eos: bool | None
    return_logprob: bool | None
    logprob_start_len: int | None
    top_logprobs_num: int | None
    return_text_in_logprobs: bool | None


class PlainOptions(SamplingOptions, total=False):
    """What a gen takes beside sampling, without constraints.

    token_healing: the first token may begin inside the prompt's last ones. priority: higher runs first.
    timeout: seconds.
    """

    token_healing: bool | None
    priority: int | None
    timeout: float | None


class GenOptions(PlainOptions, total=False):
    """Everything a gen takes.

    dtype: int, float, bool or str, or the name of one, constrains the text; the value stays the text.
    choices, choices_method: one of these strings, as `select`.
    regex: a pattern the whole text matches. json_schema: JSON text, Python objects or a pydantic model.
    grammar: GBNF (or EBNF as xgrammar writes it), or any spec of `grammars`. lark: a grammar in Lark's syntax.
    structural_tag: free text with constrained parts, such as tool calls, in the shapes clients of servers send.
    type: a Python type; the text is constrained to it and the value is an object of it.
    """

    dtype: builtins.type | str | None
    choices: Sequence[str] | None
    choices_method: ChoicesMethod | None
    regex: str | None
    json_schema: str | dict[str, Any] | bool | builtins.type | None
    grammar: str | Spec | None
    lark: str | None
    structural_tag: str | dict[str, Any] | None
    type: Any
