"""ServedEngine: what the server needs of an engine, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runtime.choosing import Choosing, Logprobs
from runtime.handle import Generation, Handle, Scores
from runtime.hint import Hint

if TYPE_CHECKING:
    from grammars import Spec
    from runtime.chat_template import ChatTemplate
    from runtime.sampling.params import SamplingParams
    from runtime.tokenizer import Tokenizer

__all__ = ["ServedEngine", "ServedSession"]


class ServedSession(Protocol):
    """A growing token sequence; each method as `runtime.session.Session` has it.

    Nothing blocks: what has a result returns a `Handle`, which coroutines await or iterate.
    """

    def append(self, content: str | Sequence[int]) -> None:
        """Adds text, tokenized as one string by itself, or token ids."""

    def generate(
        self,
        params: SamplingParams | None = None,
        *,
        top_logprobs: int | None = None,
        logprob_start: int | None = None,
    ) -> Handle[Generation]:
        """Lets the model write."""

    def score(
        self,
        choices: Sequence[str],
        choose: Choosing | Callable[[Logprobs], int],
        *,
        unconditional: bool = False,
        priority: int = 0,
    ) -> Handle[Scores]:
        """Scores texts as continuations and goes on with the one chosen."""

    def fork(self, n: int) -> Sequence[ServedSession]:
        """New sessions that begin here."""

    def concat(self, sessions: Sequence[Any]) -> Handle[int]:
        """Appends what forks of this session hold beyond the fork."""

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """The tokens here with their origins."""

    def mark(self) -> Handle[int]:
        """The number of tokens here."""

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens."""

    def hint(self, hint: Hint) -> None:
        """What the engine may know of the session's future."""

    def pin(self, ttl_seconds: float) -> Handle[str]:
        """Keeps the prefix in the cache for so long."""

    def flush(self) -> None:
        """Hands over what was recorded."""

    def cancel(self) -> None:
        """Ends everything unfinished, at once."""

    def close(self) -> None:
        """The session ends when everything before this has."""


class ServedEngine(Protocol):
    """An engine as the server's handlers see it. Nothing blocks."""

    @property
    def model_name(self) -> str:
        """What clients call the model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, in this process."""

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The model's chat template, if it has one."""

    @property
    def context_length(self) -> int:
        """Tokens of the longest sequence."""

    @property
    def failure(self) -> BaseException | None:
        """Why the engine serves nobody now; None while it does."""

    def open(self, *, namespace: str = "", program: str = "") -> ServedSession:
        """Opens an empty session."""

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many sessions are going to append."""

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile grammars that will be needed."""

    def stats(self) -> Handle[dict[str, Any]]:
        """Counters, as `runtime.engine.Engine.stats`."""

    def server_info(self) -> Handle[dict[str, Any]]:
        """What runs, and why, as `runtime.engine.Engine.server_info`."""

    def flush_cache(self) -> Handle[int]:
        """Forgets every prefix that nothing running needs; the tokens forgotten."""

    def cache(self, limit: int, namespace: str | None = None) -> Handle[dict[str, Any]]:
        """What is in the prefix cache, and who holds what, as `runtime.engine.Engine.cache`."""

    def unpin(self, pin: str) -> Handle[bool]:
        """Ends a pin; False where there is no such one."""
