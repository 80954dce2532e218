"""Mock: a backend without a model, for tests of programs. The same script gives the same run."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from sgdsl.backends.base import Capabilities
from sgdsl.backends.mock_session import MockSession, pieces
from sgdsl.backends.worker import Worker
from sgdsl.chat import ChatTemplate, chat_template_of
from sgdsl.errors import InvalidArgument

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams

__all__ = ["Answer", "Mock", "MockCall"]

Answer: TypeAlias = Any
"""A string; an exception, which fails the call; or, for a select, a list of token log probabilities per choice."""

Script: TypeAlias = Union[Sequence[Answer], Mapping[str, Any], "Callable[[str, SamplingParams], Answer]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MockCall:
    """A generate or score call as the mock saw it.

    Attributes:
        kind: "gen" or "select".
        name: the variable it was for. prompt: all text before it.
        params: of a gen; of a select, its choices as a constraint.
        answer: what it was given.
        images: the pictures before it, as URLs.
    """

    kind: str
    name: str | None
    prompt: str
    params: SamplingParams
    answer: Answer
    images: tuple[str, ...] = ()


class Mock:
    """Answers from a script.

    One token is a run of blanks with the word after it, for `max_tokens`, for streaming (one chunk per token), for
    checkpoints and for `s.tokens()`. Text is cut at stop strings. Answers that break their constraint are an error.

    Args:
        script: a list of answers, taken in the order in which gens and selects run; a dict from variable names to an
            answer or a list of answers; a function of the prompt and the sampling parameters (for a select, its
            choices are the constraint); or None. Where it has no answer: the shortest text the constraint allows,
            the first choice, or "mock".
        latency: seconds each call takes, spread over its chunks.
        chat_template: a name, a file or Jinja text as for `sgdsl.chat.chat_template`, or an object that renders
            messages; ChatML otherwise.
        concurrency: what `run_batch(num_threads="auto")` goes by.
        context_length: tokens its sequences may be told to have at most; nothing is cut at it.

    Attributes:
        calls: every call so far, in the order they ran.
        num_open: sessions that are not closed.
        fingerprint: its own, since nothing else tells a script from another: see `Cached`.
    """

    name = "mock"

    def __init__(
        self,
        script: Script | None = None,
        *,
        latency: float = 0.0,
        chat_template: ChatTemplate | str | None = None,
        concurrency: int = 64,
        context_length: int | None = None,
    ) -> None:
        if isinstance(script, str | bytes):
            raise InvalidArgument(f"script={script!r} is not allowed: a list, a dict or a function")
        self.capabilities = Capabilities(
            labels=True, images=True, unconditional=True, tokenizes=True, concat=True, concurrency=concurrency,
            context_length=context_length,
        )  # fmt: skip
        self.chat_template = chat_template_of(chat_template)
        self.latency = latency
        self.calls: list[MockCall] = []
        self.num_open = 0
        self.fingerprint = f"mock {uuid.uuid4().hex}"
        self.worker = Worker()
        self._function = script if callable(script) else None
        self._by_name = dict(script) if isinstance(script, Mapping) else {}
        listed = script if isinstance(script, Sequence) else ()
        self._in_order: deque[Answer] = deque(listed)
        self._vocabulary: dict[str, int] = {}
        self._pieces: list[str] = []
        self._lock = threading.Lock()

    def open(self, *, namespace: str = "", program: str = "") -> MockSession:
        """A new, empty session."""
        return MockSession(self)

    def close(self) -> None:
        """Nothing to give up: its thread ends by itself when idle."""

    def count_session(self, change: int) -> None:
        """A session was opened (1) or closed (-1)."""
        with self._lock:
            self.num_open += change

    def token_id(self, piece: str) -> int:
        """The id of a piece of text, the same for the same piece."""
        with self._lock:
            if piece not in self._vocabulary:
                self._vocabulary[piece] = len(self._pieces)
                self._pieces.append(piece)
            return self._vocabulary[piece]

    def token_text(self, token: int) -> str:
        """The piece of text an id stands for."""
        return self._pieces[token]

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text's pieces."""
        return [self.token_id(piece) for piece in pieces(text)]

    def count_tokens(self, text: str) -> int:
        """How many pieces a text has."""
        return len(pieces(text))

    def remember(self, texts: Iterable[str]) -> None:
        """Nothing to remember: cutting text into pieces costs nothing."""

    def answer(
        self, kind: str, name: str | None, prompt: str, params: SamplingParams, images: tuple[str, ...] = ()
    ) -> Answer:
        """The script's answer to one call, recorded."""
        if params.max_new_tokens == 0:  # only the prompt is wanted, as by `Program.cache`
            return ""
        answer = self._scripted(name, prompt, params)
        if answer is None:
            answer = _default(params)
        call = MockCall(kind=kind, name=name, prompt=prompt, params=params, answer=answer, images=images)
        self.calls.append(call)
        return answer

    def _scripted(self, name: str | None, prompt: str, params: SamplingParams) -> Answer | None:
        if self._function is not None:
            return self._function(prompt, params)
        with self._lock:
            if self._in_order:
                return self._in_order.popleft()
            if name is None or name not in self._by_name:
                return None
            entry = self._by_name[name]
            if not isinstance(entry, list | deque) or _is_logprobs(entry):
                return entry
            queue = entry if isinstance(entry, deque) else deque(entry)
            self._by_name[name] = queue
            return queue.popleft() if queue else None


def _is_logprobs(entry: Sequence[Any]) -> bool:
    """Whether a list is one answer, log probabilities per choice, rather than several answers."""
    return bool(entry) and all(
        isinstance(row, list | tuple) and all(isinstance(one, int | float) for one in row) for row in entry
    )  # fmt: skip


def _default(params: SamplingParams) -> str:
    from sgdsl.backends.example import example

    if params.constraint is None:
        return "mock"
    reasoning = "" if params.constraint_after is None else f"mock{params.constraint_after}"
    return reasoning + example(params.constraint)
