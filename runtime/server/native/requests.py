"""Requests: bodies of the native endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr

from runtime.call import Ask
from runtime.sampling.params import SamplingParams
from runtime.server.errors import bad_request
from runtime.server.keys import ENGINE, FIELD_NOTES

__all__ = ["Body", "DetokenizeBody", "GenerateBody", "GenerationBody", "TokenizeBody", "params_of"]

CONSTRAINTS = frozenset({"regex", "json_schema", "choice", "ebnf", "lark", "structural_tag"})
KNOWN_PARAMS = frozenset(
    {field.name for field in fields(SamplingParams)} - {"constraint"} | CONSTRAINTS | {"sampling_seed"}
)


class Body(BaseModel):
    """Fields that are unknown are kept, to be noted."""

    model_config = ConfigDict(extra="allow")


class GenerationBody(Body):
    """What can be asked of a generation."""

    sampling_params: dict[str, Any] | list[dict[str, Any]] | None = None
    stream: StrictBool = False
    return_logprob: StrictBool = False
    logprob_start_len: StrictInt | None = None
    top_logprobs_num: StrictInt | None = 0
    return_text_in_logprobs: StrictBool = False
    rid: StrictStr | list[StrictStr] | None = None

    def ask(self, app: web.Application) -> Ask:
        """What the answer shall contain."""
        tokenizer = app[ENGINE].tokenizer
        wants_text = self.return_logprob and self.return_text_in_logprobs
        start = self.logprob_start_len
        if start is not None and start < -1:
            raise bad_request("logprob_start_len", f"logprob_start_len={start} is not allowed: at least -1")
        return Ask(
            self.return_logprob,
            start,
            self.top_logprobs_num or 0,
            (lambda token: tokenizer.decode([token], skip_special_tokens=False)) if wants_text else None,
        )


class GenerateBody(GenerationBody):
    """`POST /generate`."""

    text: StrictStr | list[StrictStr] | None = None
    input_ids: list[StrictInt] | list[list[StrictInt]] | None = None
    image_data: Any = None
    cache_salt: StrictStr | None = None


class TokenizeBody(Body):
    """`POST /tokenize`; `prompt` is another name for `text`."""

    text: StrictStr | list[StrictStr] | None = None
    prompt: StrictStr | list[StrictStr] | None = None
    add_special_tokens: StrictBool = True


class DetokenizeBody(Body):
    """`POST /detokenize`; `input_ids` is another name for `tokens`."""

    tokens: list[StrictInt] | list[list[StrictInt]] | None = None
    input_ids: list[StrictInt] | list[list[StrictInt]] | None = None
    skip_special_tokens: StrictBool = True


def params_of(app: web.Application, given: Mapping[str, Any] | None, where: str) -> SamplingParams:
    """Sampling parameters by SGLang's names; those nobody knows here are noted.

    Raises:
        InvalidParameter, InvalidSpec: one has a value that is not allowed.
    """
    values = dict(given or {})
    app[FIELD_NOTES].ignored([name for name in values if name not in KNOWN_PARAMS], where)
    return SamplingParams.parse({name: value for name, value in values.items() if name in KNOWN_PARAMS})
