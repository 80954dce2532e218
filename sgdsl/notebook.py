"""Notebook: a state as a small piece of HTML: what is there, in colours, without waiting for anything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, cast

from sgdsl.ir import Gen, Rollback, Select
from sgdsl.record.spelling import Spelling, clean

if TYPE_CHECKING:
    from sgdsl.backends.base import TokenizingBackend
    from sgdsl.outcome import Outcome
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["state_html"]

LONGEST = 20_000
"""Characters of text; a notebook is saved with its outputs."""
_COLOURS = {
    "cached": "rgba(130,145,165,.22)", "prompt": "rgba(70,130,210,.20)", "generated": "rgba(45,160,90,.24)",
    "forced": "rgba(230,150,40,.30)",
}  # fmt: skip
_BOX = (
    "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;max-height:32em;overflow:auto;"
    "font:13px/1.6 ui-monospace,Menlo,Consolas,monospace"
)
_SIGNS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {
    code: f"⟨{code:x}⟩" for code in (*range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""What would act on the page's layout instead of being seen is replaced by a sign for it."""


def state_html(stream: Stream) -> str:
    """What a stream holds so far. Never raises, never blocks."""
    try:
        return _Drawing(stream).html()
    except Exception as error:
        return f"<pre>{escape(f'a state that cannot be shown: {type(error).__name__}')}</pre>"


class _Drawing:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._backend = stream.run.backend
        self._spelling = Spelling(self._backend.token_text)
        self._room = LONGEST
        self._left_out = 0

    def html(self) -> str:
        spans = "".join(self._spans())
        rest = f"<i>… {self._left_out} more characters</i>" if self._left_out else ""
        return f'<div style="{_BOX}">{spans}{rest}</div>{self._failure()}{self._foot()}'

    def _spans(self) -> Iterator[str]:
        """Constant text is held back until the call after it tells how much of it was cached."""
        held: list[str] = []
        end = 0  # tokens up to and with the last call
        for step in list(self._stream.trail):
            if isinstance(step.node, Rollback):
                continue
            if not isinstance(step.node, Gen | Select) or step.outcome is None:
                held.append(step.text if step.outcome is None else _text_so_far(step))
                continue
            meta = _meta(step)
            yield from self._constant("".join(held), meta, end)
            held.clear()
            yield from self._written(step, meta)
            end = meta.get("prompt_tokens", end) + len(_kept(step, meta))
        yield from self._constant("".join(held), {}, end)

    def _constant(self, text: str, meta: dict[str, Any], end: int) -> Iterator[str]:
        cut = self._cached_length(text, meta.get("prompt_tokens", end) - end, meta.get("cached_tokens", 0) - end)
        yield self._span(text[:cut], "cached")
        yield self._span(text[cut:], "prompt")

    def _cached_length(self, text: str, num_tokens: int, num_cached: int) -> int:
        """Characters at the beginning that were cached, as far as that can be told."""
        if num_cached <= 0 or num_tokens <= 0:
            return 0
        if num_cached >= num_tokens:
            return len(text)
        if not self._backend.capabilities.tokenizes:
            return 0
        ids = cast("TokenizingBackend", self._backend).tokenize(text)
        spelled = "".join(self._spelling.of(ids, clean(text))[:num_cached])
        return len(spelled) if len(ids) == num_tokens and text.startswith(spelled) else 0

    def _written(self, step: Step, meta: dict[str, Any]) -> Iterator[str]:
        name = getattr(step.node, "name", None) or type(step.node).__name__.lower()
        text = _text_so_far(step)
        ids = _kept(step, meta)
        pieces = self._spelling.of(ids, clean(text))
        if "".join(pieces) != clean(text):
            yield self._span(text, "generated", name)
            return
        forced = meta.get("forced") or [False] * len(ids)
        logprobs = [entry[0] for entry in meta.get("output_token_logprobs", ())] or [None] * len(ids)
        last: list[Any] = ["", "", ""]
        for piece, is_forced, logprob in zip(pieces, forced, logprobs, strict=False):
            origin = "forced" if is_forced else "generated"
            title = name if logprob is None else f"{name}: {math.exp(logprob):.1%}"
            if last[1:] != [origin, title]:
                yield self._span(*last)
                last = ["", origin, title]
            last[0] += piece
        yield self._span(*last)

    def _span(self, text: str, origin: str, title: str = "") -> str:
        shown = clean(text[: self._room])
        self._left_out += len(text) - len(text[: self._room])
        self._room -= len(shown)
        if not shown:
            return ""
        label = f' title="{escape(f"{title} ({origin})" if title else origin)}"'
        style = f' style="background:{_COLOURS[origin]};border-radius:2px"'
        return f"<span{label}{style}>{escape(shown.translate(_SIGNS))}</span>"

    def _failure(self) -> str:
        error = self._stream.error or self._stream.run.error
        if error is None:
            return ""
        text = escape(clean(f"{type(error).__name__}: {error}"))
        return f'<div style="color:#c8443a;white-space:pre-wrap;margin-top:4px">{text}</div>'

    def _foot(self) -> str:
        run = self._stream.run
        usage = run.usage()
        state = "" if run.is_over else "still running · "
        keys = " ".join(
            f'<span style="background:{colour};border-radius:2px;padding:0 4px">{origin}</span>'
            for origin, colour in _COLOURS.items()
        )
        figures = (
            f"{state}{usage.prompt_tokens} prompt tokens ({usage.cached_tokens} cached) · "
            f"{usage.generated_tokens} generated ({usage.forced_tokens} forced)"
        )
        return f'<div style="font-size:12px;opacity:.75;margin-top:6px">{keys} &nbsp; {escape(figures)}</div>'


def _outcome(step: Step) -> Outcome | None:
    """What became of a step, where it has ended well."""
    if step.outcome is None or not step.outcome.done() or step.outcome.error() is not None:
        return None
    return step.outcome.result()


def _text_so_far(step: Step) -> str:
    outcome = _outcome(step)
    if outcome is None:
        return "" if step.outcome is None else "".join(chunk.text for chunk in step.outcome.chunks)
    return outcome.text if isinstance(outcome.text, str) else str((outcome.text or [""])[0])


def _meta(step: Step) -> dict[str, Any]:
    outcome = _outcome(step)
    meta = {} if outcome is None else outcome.meta
    return cast("dict[str, Any]", meta[0] if isinstance(meta, list) else meta)


def _kept(step: Step, meta: dict[str, Any]) -> Sequence[int]:
    """The token ids that a call left in the session."""
    ids = meta.get("token_ids", ())
    return cast("Sequence[int]", ids[meta["index"]] if ids and isinstance(ids[0], list) else ids)
