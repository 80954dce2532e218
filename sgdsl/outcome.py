"""Outcome: what became of a name, once it is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.handle import Chunk, Generation, Handle, Scores, TokenLogprob
from sgdsl.choices import token_length_normalized
from sgdsl.ir import Gen, Select

__all__ = ["Outcome", "gathered", "of_generations", "of_scores", "ready"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A value, the text it was written as, and its meta; where forks were gathered, or samples taken, lists of these.

    Attributes:
        has_samples: the lists are of one gen's samples; what reads on, or streams, goes on with the first.
    """

    value: Any
    text: Any = None
    meta: Any = field(default_factory=dict)
    has_samples: bool = field(default=False, kw_only=True)


def ready(outcome: Outcome) -> Handle[Outcome]:
    """An outcome that needs no waiting."""
    handle: Handle[Outcome] = Handle()
    handle.finish(outcome)
    return handle


def of_generations(node: Gen, results: Sequence[Generation], with_text: Callable[[int], str] | None) -> Outcome:
    """What a gen's samples come to: the whole texts, and the values of their answers.

    Raises:
        ValueError: a text is no value of the gen's type.
    """
    parse: Callable[[str], Any] = node.typed.parse if node.typed is not None else str
    metas = [_generation_meta(result, with_text) for result in results]
    values = [_parsed(parse, node, result) for result in results]
    if len(results) == 1:
        return Outcome(values[0], results[0].text, metas[0])
    return Outcome(values, [result.text for result in results], metas, has_samples=True)


def _parsed(parse: Callable[[str], Any], node: Gen, result: Generation) -> Any:
    text = result.text if node.reasoning is None else node.reasoning.split(result.text)[1]
    try:
        return parse(text)
    except ValueError as error:
        kind = getattr(node.typed.type, "__name__", node.typed.type) if node.typed is not None else "str"
        cut = "it was cut off, max_tokens is too small; " if result.finish_reason == "length" else ""
        reason = " ".join(str(error).split())
        raise ValueError(f"{text!r:.200} is not a valid {kind}: {cut}{reason}") from error


def _generation_meta(result: Generation, with_text: Callable[[int], str] | None) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "prompt_tokens": result.prompt_tokens,
        "cached_tokens": result.cached_tokens,
        "completion_tokens": result.num_generated,
        "finish_reason": result.finish_reason,
        "matched_stop": result.matched_stop,
        "token_ids": list(result.token_ids),
        "forced": list(result.forced),
        "queue_seconds": result.queue_seconds,
        "first_token_seconds": result.first_token_seconds,
        "total_seconds": result.total_seconds,
    }
    if result.written_ahead:
        meta["written_ahead"] = True
    for key, logprobs in (("output", result.logprobs), ("input", result.prompt_logprobs)):
        if logprobs is not None:
            meta[f"{key}_token_logprobs"] = [_entry(one.logprob, one.token, with_text) for one in logprobs]
            meta[f"{key}_top_logprobs"] = [_top(one, with_text) for one in logprobs]
    return meta


def _entry(logprob: float, token: int, with_text: Callable[[int], str] | None) -> tuple[float, int, str | None]:
    return (logprob, token, with_text(token) if with_text is not None else None)


def _top(one: TokenLogprob, with_text: Callable[[int], str] | None) -> list[tuple[float, int, str | None]]:
    return [_entry(logprob, token, with_text) for logprob, token in one.top]


def of_scores(node: Select, result: Scores) -> Outcome:
    """What a select's scores come to."""
    choice = node.choices[result.index]
    meta = {
        "choices": list(node.choices),
        "index": result.index,
        "choices_method": node.method.name,
        "scores": node.method.scores(result.basis),
        "normalized_prompt_logprobs": token_length_normalized.scores(result.logprobs),
        "token_logprobs": [list(row) for row in result.logprobs],
        "token_ids": [list(row) for row in result.token_ids],
        "prompt_tokens": result.prompt_tokens,
        "cached_tokens": result.cached_tokens,
        "completion_tokens": 0,
        "finish_reason": "stop",
        "total_seconds": result.total_seconds,
    }
    if result.unconditional_logprobs is not None:
        meta["unconditional_token_logprobs"] = [list(row) for row in result.unconditional_logprobs]
    return Outcome(choice, choice, meta)


def gathered(
    handles: Sequence[Handle[Outcome] | None],
    combine: Callable[[list[Outcome | BaseException | None]], Outcome],
    *,
    keep_errors: bool = False,
) -> Handle[Outcome]:
    """One outcome made of many, there as soon as the last of them is. A missing handle stands for no value.

    An error of one is the error of all, unless `keep_errors` hands it to `combine` in the value's place.
    """
    whole: Handle[Outcome] = Handle()
    waiting = [len(handles)]
    lock = threading.Lock()

    def arrived(chunk: Chunk | None = None) -> None:
        if chunk is not None:
            return
        with lock:
            waiting[0] -= 1
            last = waiting[0] == 0
        if last:
            _combine(whole, handles, combine, keep_errors)

    for handle in handles:
        if handle is None:
            arrived()
        else:
            handle.subscribe(arrived)
    if not handles:
        _combine(whole, handles, combine, keep_errors)
    return whole


def _combine(
    whole: Handle[Outcome],
    handles: Sequence[Handle[Outcome] | None],
    combine: Callable[[list[Outcome | BaseException | None]], Outcome],
    keep_errors: bool,
) -> None:
    found: list[Outcome | BaseException | None] = []
    for handle in handles:
        error = handle.error() if handle is not None else None
        if error is not None and not keep_errors:
            whole.fail(error)
            return
        found.append(error if error is not None else handle.result() if handle is not None else None)
    try:
        combined = combine(found)
    except Exception as error:
        whole.fail(error)
        return
    whole.finish(combined)
