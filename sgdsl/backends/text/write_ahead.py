"""WriteAhead: one call writes further than its gen asked for, and the gens behind it are served from what is there.

A model that goes on with a text is asked again from wherever the program leaves what was written. One that only writes
whole messages writes the message from its beginning; what the program puts between its gens must then be what the
model wrote there itself, and it gets a few tries.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import RequestError
from runtime.handle import Chunk, Generation
from sgdsl.backends.text.draft import Draft, Taken, settings_of
from sgdsl.backends.text.generation import Written, write
from sgdsl.backends.text.model import TextCall
from sgdsl.backends.text.script import Append, Generate, Op
from sgdsl.backends.text.transcript import Part, open_text
from sgdsl.ir import RoleBegin

if TYPE_CHECKING:
    from sgdsl.backends.text.adapter import TextAdapter

__all__ = ["TRIES", "WriteAhead"]

TRIES = 3


class WriteAhead:
    """What one session has written ahead. It belongs to this session alone.

    Args:
        adapter: the model.
        num_tokens: tokens a call writes at least.
    """

    def __init__(self, adapter: TextAdapter, num_tokens: int) -> None:
        self._adapter = adapter
        self._num_tokens = num_tokens
        self._draft: Draft | None = None

    def anew(self) -> WriteAhead:
        """One for another session, with nothing written."""
        return WriteAhead(self._adapter, self._num_tokens)

    def follow(self, part: Part | None) -> None:
        """The program goes on with `part`, or (None) elsewhere; what was written stays as long as it says the same."""
        if self._draft is not None and not (isinstance(part, str) and self._draft.follow(part)):
            self._draft = None

    def serves(self, op: Generate) -> bool:
        """Whether a gen can be one of several out of one call."""
        return op.params.constraint is None and op.top_logprobs is None and not op.params.min_new_tokens

    async def take(self, parts: Sequence[Part], op: Generate, behind: Iterable[Op]) -> Generation:
        """A gen's text, out of what is there or of a new call.

        Args:
            parts: the transcript before it.
            behind: the rest of the script as far as it is known.

        Raises:
            RequestError: the model's messages do not go as the program does, however often it is asked.
        """
        draft, self._draft = self._draft, None
        written: Written | None = None
        taken = None
        if draft is not None and draft.settings == settings_of(op.params):
            is_whole = draft.finish_reason == "stop" and not self._adapter.model.goes_on
            taken = draft.take(op.params, is_last=is_whole)
        if draft is None or taken is None:
            if self._adapter.model.goes_on:
                written = await self._write(parts, op)
                draft = _draft_of(written, op)
            else:
                written, draft = await self._message(parts, op, behind)
            taken = draft.take(op.params, is_last=True)
        if taken is None:
            raise RuntimeError("a draft that is the last gives whatever it has")
        self._draft = draft
        for piece in taken.pieces:
            op.handle.push(Chunk(piece))
        return self._generation(taken, written, op)

    async def _message(self, parts: Sequence[Part], op: Generate, behind: Iterable[Op]) -> tuple[Written, Draft]:
        said = open_text(parts)
        begun = max(position for position, part in enumerate(parts) if isinstance(part, RoleBegin))
        draft = Draft((), "stop", op.params)
        for _ in range(TRIES):
            written = await self._write(parts[: begun + 1], op)
            draft = _draft_of(written, op)
            if draft.copy().follow(said) and _goes_as(draft, said, [op, *_message_of(behind)], self):
                draft.follow(said)
                return written, draft
        wrote = draft.text()
        raise RequestError(
            f"num_api_spec_tokens: in {TRIES} tries the model did not write the assistant message as the program does,"
            f" behind {said[-60:]!r}; the last one was {wrote[:200]!r}. Say in the prompt how the answer is laid out"
        )

    async def _write(self, parts: Sequence[Part], op: Generate) -> Written:
        limit = op.params.max_new_tokens
        longer = None if limit is None else max(limit, self._num_tokens)
        params = replace(op.params, max_new_tokens=longer, stop=(), stop_regex=None)
        call = TextCall(transcript=tuple(parts), params=params)
        async with self._adapter.slots:
            return await write(self._adapter.model, call, lambda text: False)

    def _generation(self, taken: Taken, written: Written | None, op: Generate) -> Generation:
        if written is None:
            return Generation(
                text=taken.text, token_ids=(), finish_reason=taken.finish_reason, matched_stop=taken.matched_stop,
                total_seconds=time.monotonic() - op.since, written_ahead=True,
            )  # fmt: skip
        whole = written.generation(taken.text, self._adapter.token_texts, since=op.since)
        return msgspec.structs.replace(whole, finish_reason=taken.finish_reason, matched_stop=taken.matched_stop)


def _draft_of(written: Written, op: Generate) -> Draft:
    return Draft(written.pieces, written.finish_reason or "stop", settings_of(op.params))


def _message_of(behind: Iterable[Op]) -> list[Op]:
    """The instructions up to the end of the message, or of what is known of it."""
    found: list[Op] = []
    for op in behind:
        if not (isinstance(op, Generate) or (isinstance(op, Append) and isinstance(op.part, str))):
            break
        found.append(op)
    return found


def _goes_as(draft: Draft, said: str, script: Sequence[Op], ahead: WriteAhead) -> bool:
    """Whether a message can be read as this script, so that none of its gens needs another call."""
    rest = draft.copy()
    rest.follow(said)
    for op in script:
        if isinstance(op, Append):
            if not (isinstance(op.part, str) and rest.follow(op.part)):
                return False
        elif isinstance(op, Generate):
            if not ahead.serves(op) or settings_of(op.params) != rest.settings:
                return False
            rest.take(op.params, is_last=True)
    return True
