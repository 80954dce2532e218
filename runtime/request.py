"""Request: one piece of model work on a session's tokens, as the scheduler sees it. Knows no tensors and no text."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from runtime.program_run import ProgramRun

if TYPE_CHECKING:
    from runtime.hint import Hint
    from runtime.memory.sequence import SequenceKV
    from runtime.memory.tiers.fetch import Fetch

__all__ = ["Phase", "Request", "Site"]


Site: TypeAlias = tuple[str, str | int | None, int]
"""A program's name, which of its calls, and how many tokens are allowed.

A call is known by its variable's name, or else by how many calls follow.
"""


class Phase(enum.Enum):
    """Where a request stands."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(eq=False, slots=True, kw_only=True)
class Request:
    """Compute `tokens`, and go on from there.

        tokens   0 ......... cursor | ............... len(tokens) | .... max_length
                 done               | to run through the model    | may still be generated

    Attributes:
        tokens: the session's own list; whoever settles a step appends what was sampled.
        sequence: where the tokens' KV is.
        prompt_len: tokens there were at submission; later ones are output.
        max_length: number of tokens at which it has to end.
        logits_from: first position still due whose logits are wanted although the token after it is known (of the
            prompt, or forced by a grammar); None where only those of the last position ever are.
        cursor: next position to run. Below `sequence.kv_len` where only logits are wanted of a token whose KV stands.
        num_run: tokens that went through the model for this request at least once, or needed not to at first.
        cached_tokens: prompt tokens that needed no computing when it first ran; None before that.
        num_retractions: how often it had to give up its place because memory was short.
        num_preemptions: how often because a request of higher priority wanted it.
        kept_until: where its cursor has to come before its place is taken again for a request of higher priority.
        priority: higher ones are admitted first.
        deadline: when its time is up, on the clock of the scheduler's deadlines.
        turn: steps that admitted somebody before it came; the others since then have passed it over.
        expected_output: tokens it is likely to generate, by what came of the same call before; None where nobody knows.
        run: the run of a program it is part of.
        hint: what was known of its session's time after it when it was submitted.
        fetch: what tiers below the pool have of its prompt, where there are any.
    """

    tokens: list[int]
    sequence: SequenceKV
    prompt_len: int
    max_length: int
    logits_from: int | None = None
    phase: Phase = Phase.WAITING
    cursor: int = 0
    num_run: int = 0
    cached_tokens: int | None = None
    num_retractions: int = 0
    num_preemptions: int = 0
    kept_until: int = 0
    priority: int = 0
    deadline: float = math.inf
    turn: int = 0
    expected_output: float | None = None
    run: ProgramRun = field(default_factory=ProgramRun)
    hint: Hint | None = None
    fetch: Fetch | None = field(default=None, repr=False)
    match_version: int = field(default=-1, repr=False)
    match_length: int = field(default=0, repr=False)

    @property
    def site(self) -> Site | None:
        """The call of a program that it comes from, as far as that can be told; None where it has no program."""
        if not self.run.program:
            return None
        call = None if self.hint is None else self.hint.name or self.hint.remaining_calls
        return self.run.program, call, self.max_length - self.prompt_len

    @property
    def was_interrupted(self) -> bool:
        """Whether it had a place before and had to give it up."""
        return self.num_retractions + self.num_preemptions > 0

    @property
    def is_kept(self) -> bool:
        """Whether it has been interrupted for others and has not come much further since."""
        return self.cursor < self.kept_until

    @property
    def num_pending(self) -> int:
        """Tokens to run before the next one can be sampled."""
        return len(self.tokens) - self.cursor

    @property
    def num_computable(self) -> int:
        """Of the pending ones, the tokens before the next graft, whose KV is put there and not computed."""
        graft = self.sequence.next_graft
        return self.num_pending if graft is None else min(self.num_pending, graft.start - self.cursor)

    @property
    def num_output(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.prompt_len

    @property
    def num_remaining(self) -> int:
        """Tokens it may still generate."""
        return self.max_length - len(self.tokens)

    @property
    def is_decoding(self) -> bool:
        """Whether its prompt is done: one token is to be run, or more where a grammar has forced some."""
        return self.num_pending == 1 or self.cursor >= self.prompt_len

    def rewind(self) -> None:
        """Sets the cursor for a fresh start on whatever KV the sequence holds now."""
        last = len(self.tokens) - 1
        if self.logits_from is not None:
            last = min(last, self.logits_from)
        self.cursor = min(self.sequence.kv_len, last)

    def skip_restored(self) -> None:
        """Goes on behind KV that was put in place while it ran: prompt tokens that needed no computing after all."""
        self.rewind()
        skipped = max(0, min(self.cursor, self.prompt_len) - self.num_run)
        self.cached_tokens = (self.cached_tokens or 0) + skipped
        self.num_run = max(self.num_run, self.cursor)

    def will_fill(self, tokens: Sequence[int], start: int, end: int, namespace: str) -> bool:
        """Whether it is going to compute the page `tokens[start:end]`, after exactly the same tokens before it.

        Args:
            tokens: as the tree knows them (see `SequenceKV.keyed`).
        """
        if not self.sequence.kv_len < end <= self.prompt_len or self.sequence.namespace != namespace:
            return False
        own = self.sequence.keyed(self.tokens)
        return own[start:end] == tokens[start:end] and own[:start] == tokens[:start]
