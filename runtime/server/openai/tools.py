"""Tools: functions the model may call, how a call is written, and the grammar that makes a call that begins valid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grammars import JsonSchema, Spec
from grammars.spec import AnyOf, FreeText, Part, Repeat, SpecialToken, StructuralTag, Tag
from grammars.spec import Sequence as InOrder
from runtime.server.errors import bad_request
from runtime.server.openai.call_formats import HERMES, CallFormat
from runtime.server.openai.closing import closed
from runtime.server.openai.requests import ChatRequest, NamedTool, Tool
from runtime.server.openai.response_format import made

__all__ = ["Toolbox"]

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_CALLS = 16
"""In one answer where calls are required: a small model would go on to the end of the context."""
MOST_TOOLS = 128
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of a request, and whether and how they must be used.

    Attributes:
        mode: "auto", "required", or the name of the function that is called.
        is_parallel: an answer may hold several calls.
        format: how calls are written.
    """

    tools: tuple[Tool, ...]
    mode: str
    is_named: bool
    is_parallel: bool
    format: CallFormat = HERMES

    @classmethod
    def of(cls, request: ChatRequest, form: CallFormat = HERMES) -> Toolbox | None:
        """None where nothing can be called.

        Raises:
            ApiError: names that are not allowed, twice there or not there at all.
        """
        tools, choice = tuple(request.tools or ()), request.tool_choice
        _check_names(tools)
        if not tools and choice not in (None, "none", "auto"):
            raise bad_request("tool_choice", "tool_choice: there are no tools to choose from")
        if not tools or choice == "none":
            return None
        is_parallel = request.parallel_tool_calls is not False and not form.is_single
        if isinstance(choice, NamedTool):
            name = choice.function.name
            if name not in [tool.function.name for tool in tools]:
                raise bad_request("tool_choice.function.name", f"tool_choice: {name!r} is none of the tools")
            return cls(tools, name, True, False, form)
        return cls(tools, choice or "auto", False, is_parallel, form)

    @property
    def names(self) -> list[str]:
        """Of the functions."""
        return [tool.function.name for tool in self.tools]

    def described(self) -> list[dict[str, Any]]:
        """The tools as chat templates take them."""
        return [tool.model_dump(exclude_none=True) for tool in self.tools]

    def spec(self, otherwise: Spec | None) -> Spec:
        """What an answer must look like.

        Args:
            otherwise: what a text without calls must look like; None for any text.

        Raises:
            ApiError: a function's parameters are no schema.
        """
        bodies = [(tool.function.name, self._arguments(place, tool)) for place, tool in enumerate(self.tools)]
        if self.mode == "auto" and otherwise is None:
            return self._said_or_called(bodies)
        calls = self._calls([(name, body) for name, body in bodies if not self.is_named or name == self.mode])
        return AnyOf((otherwise, calls)) if self.mode == "auto" and otherwise is not None else calls

    def _said_or_called(self, bodies: Sequence[tuple[str, Spec]]) -> Spec:
        """Free text with calls in it, or before them where these are begun by a special token or stand in a list."""
        form, calls = self.format, self._calls(bodies)
        if form.special or form.start:
            return InOrder((FreeText((form.trigger,)), Repeat(calls, 0, 1)))
        tags = tuple(
            Tag(f"{opened}{name}{form.middle}", body, (form.close,)) for opened in form.opens for name, body in bodies
        )
        spec = StructuralTag(
            tags, form.opens if form.other_opens else (form.trigger,), stop_after_first=not self.is_parallel
        )
        return spec if form.marker is None else AnyOf((spec, InOrder((SpecialToken(form.marker), calls))))

    def _calls(self, bodies: Sequence[tuple[str, Spec]]) -> Spec:
        """Calls and nothing else."""
        form = self.format
        each = [InOrder((*self._parts(form.begin(name)), body, *self._parts(form.close))) for name, body in bodies]
        one: Spec = each[0] if len(each) == 1 else AnyOf(tuple(each))
        parts: list[Part] = [*self._parts(form.start), one]
        if self.is_parallel:
            parts.append(Repeat(InOrder((*self._parts(form.between), one)), 0, MOST_CALLS - 1))
        return InOrder((*parts, *self._parts(form.end)))

    def _parts(self, text: str) -> list[Part]:
        """A text of the format, with the special tokens it names."""
        if not self.format.special:
            return [text] if text else []
        pieces = re.split(f"({'|'.join(map(re.escape, self.format.special))})", text)
        return [SpecialToken(piece) if piece in self.format.special else piece for piece in pieces if piece]

    def _arguments(self, place: int, tool: Tool) -> Spec:
        schema = tool.function.parameters
        param = f"tools[{place}].function.parameters"
        return made(param, lambda: JsonSchema.of(closed(NO_ARGUMENTS if not schema else {"type": "object", **schema})))

    def explained(self) -> str:
        """The tools as a text, for templates that know of none."""
        listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in self.described())
        call = self.format.written(("NAME", "{…}"))
        return (
            f"These functions can be called, one a line:\n<tools>\n{listed}\n</tools>\n"
            f"To call one, answer with its name and its arguments, like this:\n{call}"
        )


def _check_names(tools: Sequence[Tool]) -> None:
    if len(tools) > MOST_TOOLS:
        raise bad_request("tools", f"tools: {len(tools)} are given; at most {MOST_TOOLS} are allowed")
    seen: set[str] = set()
    for place, tool in enumerate(tools):
        name, param = tool.function.name, f"tools[{place}].function.name"
        if not NAME.fullmatch(name):
            raise bad_request(param, f"{param}: {name!r} is not allowed: 1 to 64 letters, digits, _, . and -")
        if name in seen:
            raise bad_request(param, f"{param}: {name!r} is there twice")
        seen.add(name)
