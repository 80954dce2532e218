"""Calls: the generate calls of one engine, from their arguments to the answers, and by name until they have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from weakref import WeakSet

from runtime.call import Ask, Call, Content, Params, parse_params, parse_prompts, parse_rids, sample_params
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams
from runtime.session import Session

__all__ = ["Calls"]


class Calls:
    """Begins calls, and knows those that somebody still waits for. Thread-safe.

    Args:
        open_session: opens an empty session.
    """

    def __init__(self, open_session: Callable[[], Session]) -> None:
        self._open = open_session
        self._lock = threading.Lock()
        self._known: WeakSet[Call] = WeakSet()

    def begin(
        self,
        prompt: str | Sequence[str] | None,
        input_ids: Sequence[int] | Sequence[Sequence[int]] | None,
        sampling_params: Params | Sequence[Params],
        ask: Ask,
        rid: str | Sequence[str] | None,
        stream: bool,
    ) -> tuple[list[Call], bool]:
        """Hands everything over to the engine; returns the calls, and whether the answer is a list.

        Raises:
            InvalidParameter: arguments that do not fit, or not together.
        """
        prompts, is_list = parse_prompts(prompt, input_ids)
        params = _params(sampling_params, len(prompts))
        rids = parse_rids(rid, len(prompts))
        is_list = is_list or any(own.n > 1 for own in params)
        if stream and is_list:
            raise InvalidParameter("stream", True, "False for a list of prompts or n > 1")
        calls: list[Call] = []
        try:
            for content, own, name in zip(prompts, params, rids, strict=True):
                calls += self._samples(content, own, ask, name)
        except BaseException:
            for call in calls:
                call.drop()
            raise
        with self._lock:
            self._known.update(calls)
        return calls, is_list

    def abort(self, rid: str | None) -> int:
        """Ends the calls of that name, or all; returns how many that were."""
        with self._lock:
            found = [call for call in self._known if rid in (None, call.rid) and not call.has_ended]
        for call in found:
            call.abort()
        return len(found)

    def _samples(self, content: Content, params: SamplingParams, ask: Ask, rid: str) -> list[Call]:
        session = self._open()
        session.append(content)
        sessions = [session] if params.n == 1 else [session, *session.fork(params.n - 1)]
        return [Call(branch, sample_params(params, place), ask, rid) for place, branch in enumerate(sessions)]


def _params(given: Params | Sequence[Params], num_prompts: int) -> list[SamplingParams]:
    if not isinstance(given, Sequence):
        return [parse_params(given)] * num_prompts
    if len(given) != num_prompts:
        allowed = f"one for all, or as many as the {num_prompts} prompts"
        raise InvalidParameter("len(sampling_params)", len(given), allowed)
    return [parse_params(one) for one in given]
