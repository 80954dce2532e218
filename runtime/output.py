"""Output: one generate call's tokens as they come, as text, and when they end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from grammars import GrammarError, Matcher
from runtime.detokenizer import Detokenizer
from runtime.handle import Chunk, TokenLogprob
from runtime.sampling.params import SamplingParams
from runtime.sampling.stop import StopMatcher

__all__ = ["Finish", "Output"]


@dataclass(frozen=True, slots=True)
class Finish:
    """How a text ended.

    Attributes:
        reason: "stop", "length" or "timeout".
        matched: the stop string, pattern or token id, where there is one.
        num_kept: leading output tokens that belong to the text whole.
        rest: text after them that was kept of a token the stop begins in.
    """

    reason: str
    matched: str | int | None
    num_kept: int
    rest: str = ""


class Output:
    """Follows one text: detokenizes, matches stops, advances the grammar.

    Args:
        params: stopping rules.
        token_bytes: the vocabulary's bytes.
        end_tokens: the model's end tokens.
        limit: tokens at most.
        matcher: the constraint's progress, if there is one.
        skip: leading bytes of the tokens' text that are no part of it, because they stood in the prompt before.
    """

    def __init__(
        self,
        params: SamplingParams,
        token_bytes: Sequence[bytes | None],
        end_tokens: Collection[int],
        limit: int,
        matcher: Matcher | None = None,
        skip: int = 0,
    ) -> None:
        self._params = params
        # A grammar's end is the end, whatever ignore_eos says: nothing else could follow.
        model_ends = frozenset() if params.ignore_eos and params.constraint is None else frozenset(end_tokens)
        self._ends = frozenset(params.stop_token_ids) | model_ends
        self._detokenizer = Detokenizer(token_bytes, skip)
        self._stops = StopMatcher(params.stop, params.stop_regex) if params.stop or params.stop_regex else None
        self._matcher = matcher
        self._limit = limit
        self._seen: list[str] = []
        self._num_seen = 0
        self._emitted: list[str] = []
        # Per token: characters complete after it, or -1 where it ends inside a character or inside what is skipped.
        self._ends_at: list[int] = []
        self.finish: Finish | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens so far, the stopping one included."""
        return len(self._ends_at)

    @property
    def text(self) -> str:
        """What has been emitted."""
        return "".join(self._emitted)

    def push(self, token: int, logprob: TokenLogprob | None) -> Chunk:
        """Takes the next token; afterwards `finish` says whether that was the last."""
        logprobs = () if logprob is None else (logprob,)
        if token in self._ends:
            self._ends_at.append(-1)
            self.finish = Finish("stop", token, self._whole(self.num_tokens - 1))
            return Chunk(self._emit(self._held_back()))
        if self._matcher is not None and not self._matcher.accept(token):
            raise GrammarError(f"token {token} was sampled against the grammar's mask")
        delta = self._detokenizer.push(token)
        self._seen.append(delta)
        self._num_seen += len(delta)
        is_inside = self._detokenizer.is_open or self._detokenizer.is_skipping
        self._ends_at.append(-1 if is_inside else self._num_seen)
        text = self._watch(delta)
        if self.finish is None and self._is_over():
            text += self._held_back()
        return Chunk(self._emit(text), (token,), logprobs)

    def forced(self) -> list[int]:
        """The tokens that must come next whatever the model says, as far as the grammar knows them."""
        return [] if self._matcher is None or self.finish is not None else self._matcher.forced()

    def _watch(self, delta: str) -> str:
        """Passes text through the stop matcher; what comes out is certain."""
        if self._stops is None or self.num_tokens <= self._params.min_new_tokens:
            return delta
        result = self._stops.push(delta)
        if result.matched is not None:
            self._cut(result.matched, len(self.text) + len(result.emit))
        return result.emit

    def _is_over(self) -> bool:
        if self._matcher is not None and self._matcher.is_exhausted():
            self.finish = Finish("stop", None, self.num_tokens)
        elif self.num_tokens >= self._limit:
            self.finish = Finish("length", None, self._whole(self.num_tokens))
        return self.finish is not None

    def end(self, reason: str) -> Chunk:
        """Ends the text from outside."""
        self.finish = Finish(reason, None, self._whole(self.num_tokens))
        return Chunk(self._emit(self._held_back()))

    def _whole(self, num_tokens: int) -> int:
        """How many of the tokens to keep: none while they spell only a part of what is skipped."""
        return 0 if self._detokenizer.is_skipping else num_tokens

    def _held_back(self) -> str:
        return "" if self._stops is None else self._stops.flush()

    def _cut(self, matched: str, length: int) -> None:
        """A stop begins after `length` characters: keeps the tokens before, and the text between them and it."""
        kept = [i for i, end in enumerate(self._ends_at) if 0 <= end <= length]
        num_kept = kept[-1] + 1 if kept else 0
        start = self._ends_at[num_kept - 1] if num_kept else 0
        self.finish = Finish("stop", matched, num_kept, "".join(self._seen)[start:length])

    def _emit(self, text: str) -> str:
        if text:
            self._emitted.append(text)
        return text
