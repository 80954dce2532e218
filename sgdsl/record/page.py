"""Page: a record as one HTML file that needs nothing else: timeline, texts, figures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sgdsl.record.entries import Failure, Sample, Token
from sgdsl.record.history import History, PastInstruction, PastRun, PastStream
from sgdsl.record.summary import Summary

__all__ = ["page"]

_WEB = Path(__file__).parent / "web"
_SCRIPTS = ("words", "lanes", "head", "timeline", "text", "details", "actions")
"""In this order."""
_ORIGINS = {"cached": "c", "prompt": "p", "generated": "g", "forced": "f"}


def page(history: History) -> str:
    """The file's text. Whatever texts the record holds, they stay text."""
    before, rest = _read("page.html").split("/*css*/")
    middle, rest = rest.split("/*data*/")
    last, after = rest.split("/*js*/")
    script = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return "".join((before, _read("page.css"), middle, _embedded(_Payload(history).data()), last, script, after))


def _read(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in, nor be read as anything but JSON."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


class _Payload:
    """What the page draws. A token's id and text are written once, and named by their position."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._tokens: dict[tuple[int, str], int] = {}

    def data(self) -> dict[str, Any]:
        """Everything, as JSON knows it; times in milliseconds."""
        runs = [self._run(run) for run in self._history.by_number.values()]
        return {
            "startedAt": self._history.header.started_at,
            "summary": Summary.of(self._history).as_dict(),
            "runs": runs,
            "tokens": [list(token) for token in self._tokens],
        }

    def _run(self, run: PastRun) -> dict[str, Any]:
        begun, ended = run.begun, run.ended
        return {
            "number": begun.run, "program": begun.program, "file": begun.file, "line": begun.line,
            "arguments": begun.arguments, "backend": begun.backend, "model": begun.model, "outer": begun.outer,
            "begun": _ms(begun.seconds), "over": _ms(run.over),
            "status": "unfinished" if ended is None else ended.status,
            "value": "" if ended is None else ended.value,
            "variables": () if ended is None else ended.variables,
            "failure": None if ended is None or ended.failure is None else _failure(ended.failure),
            "streams": [self._stream(stream) for stream in run.streams.values()],
        }  # fmt: skip

    def _stream(self, stream: PastStream) -> dict[str, Any]:
        return {
            "index": stream.begun.stream, "parent": stream.begun.parent, "at": stream.begun.at,
            "begun": _ms(stream.started), "over": _ms(stream.over),
            "instructions": [self._instruction(past) for past in stream.instructions],
        }  # fmt: skip

    def _instruction(self, past: PastInstruction) -> dict[str, Any]:
        """Short names, and nothing that is not there: a record may have many thousands of them."""
        one = past.instruction
        made: dict[str, Any] = {"i": one.id, "k": one.kind, "b": _ms(past.begun)}
        optional = {
            "n": one.name, "t": one.text, "s": "" if one.source is None else str(one.source),
            "to": one.streams, "names": one.names, "cp": one.checkpoint, "con": one.constraint,
            "choices": one.choices, "e": None if past.over is None else _ms(past.over),
            "f": None if past.first_token is None else _ms(past.first_token), "r": _ms(one.seconds),
            "err": None if past.failed is None else _failure(past.failed.failure), "sp": _sampling(past),
        }  # fmt: skip
        made |= {key: value for key, value in optional.items() if value is not None and value not in ("", ())}
        return made | self._end(past)

    def _end(self, past: PastInstruction) -> dict[str, Any]:
        ended, usage = past.ended, past.usage
        if ended is None:
            return {}
        made: dict[str, Any] = {"x": ended.text, "u": [usage.prompt_tokens, usage.cached_tokens]}
        if ended.prompt:
            made["p"] = self._spelled(ended.prompt)
        if ended.samples:
            made["samples"] = [self._sample(sample) for sample in ended.samples]
        if ended.scored:
            made["scores"] = [_number(one.score) for one in ended.scored]
            made["index"] = ended.index
            if ended.index is not None:
                made["p2"] = self._spelled(ended.scored[ended.index].tokens)
        return made

    def _sample(self, sample: Sample) -> dict[str, Any]:
        return {
            "p": self._spelled(sample.tokens), "g": sample.num_generated, "f": sample.num_forced,
            "why": sample.finish_reason, "stop": sample.matched_stop, "q": _ms(sample.queue_seconds),
        }  # fmt: skip

    def _spelled(self, tokens: tuple[Token, ...]) -> list[Any]:
        """Tokens' positions, a letter for each one's origin, and log probabilities where there are any."""
        places = [self._tokens.setdefault((token.id, token.text), len(self._tokens)) for token in tokens]
        origins = "".join(_ORIGINS.get(token.origin, "p") for token in tokens)
        if all(token.logprob is None for token in tokens):
            return [places, origins]
        return [places, origins, [None if one.logprob is None else _number(one.logprob) for one in tokens]]


def _sampling(past: PastInstruction) -> str:
    """What was asked for, in one line."""
    sampling = past.instruction.sampling
    if sampling is None:
        return ""
    given = ((name, getattr(sampling, name)) for name in type(sampling).__slots__)
    return ", ".join(f"{name}={value!r}" for name, value in given if value is not None)


def _failure(failure: Failure) -> str:
    where = "" if failure.source is None else f"{failure.source}: "
    return f"{failure.type}: {where}{failure.message}"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _number(value: float) -> float | str:
    """JSON has no infinity."""
    return round(value, 4) if math.isfinite(value) else str(value)
