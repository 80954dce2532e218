"""MockSession: a mock's token sequence. Its script runs in the mock's worker thread, instruction by instruction."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from runtime.errors import RequestCancelled
from runtime.handle import Chunk, Generation, Handle, Scores, TokenLogprob
from sgdsl.backends.agreement import check_answer
from sgdsl.backends.base import Choose

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams
    from sgdsl.backends.mock import Mock

__all__ = ["MockSession", "pieces"]

_PIECE = re.compile(r"\s*\S+|\s+")
_CHOSEN, _REJECTED = -0.01, -10.0

MockPart: TypeAlias = tuple[list[tuple[int, str]], list[tuple[int, str]]]
"""Tokens with their origin, and images, each with the number of tokens before it."""


def pieces(text: str) -> list[str]:
    """The tokens of a text: each a run of blanks and the word after it."""
    return _PIECE.findall(text)


class MockSession:
    """Tokens with their origin, and a script that is worked off in order."""

    def __init__(self, mock: Mock, tokens: Sequence[tuple[int, str]] = (), computed: int = 0) -> None:
        self._mock = mock
        self._tokens = list(tokens)
        self._computed = computed
        self._images: list[tuple[int, str]] = []  # each with the number of tokens before it
        self._label: str | None = None
        self._recorded: deque[Callable[[], float | None]] = deque()
        self._ready: deque[Callable[[], float | None]] = deque()
        self._handles: dict[Handle[Any], None] = {}
        self._base = 0
        self._started = True
        self._scheduled = False
        self._cancelled = False
        self._lock = threading.Lock()
        self._closed = False
        mock.count_session(1)

    # what the language calls

    def label(self, name: str | None) -> None:
        """The next generate or score is for the variable `name`."""
        self._label = name

    def append(self, content: str | Sequence[int]) -> None:
        """More text."""
        self._recorded.append(partial(self._append, content))

    def append_image(self, source: str) -> None:
        """A picture, which the calls after it show."""
        self._recorded.append(lambda: self._images.append((len(self._tokens), source)))

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """Takes the script's next answer."""
        handle: Handle[Generation] = self._handle()
        self._recorded.append(partial(self._generate, handle, params, self._label, top_logprobs, logprob_start))
        return handle

    def score(
        self, choices: Sequence[str], choose: Choose, *, unconditional: bool = False, priority: int = 0
    ) -> Handle[Scores]:
        """Scores the choices so that the script's answer wins; without the prompt, every token is certain."""
        handle: Handle[Scores] = self._handle()
        self._recorded.append(partial(self._score, handle, tuple(choices), choose, self._label, unconditional))
        return handle

    def fork(self, n: int) -> list[MockSession]:
        """Sessions that start when this one gets here."""
        children = [MockSession(self._mock) for _ in range(n)]
        for child in children:
            child._started = False
        self._recorded.append(partial(self._fork, children))
        return children

    def concat(self, sessions: Sequence[MockSession]) -> Handle[int]:
        """Appends the tokens of forks beyond the fork, once their scripts have come as far as they are recorded."""
        handle: Handle[int] = self._handle()
        parts = [session._hand_out() for session in sessions]
        self._recorded.append(partial(self._concat, handle, parts))
        self.flush()
        for session in sessions:
            session.flush()
        return handle

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """Token ids with their origin."""
        handle: Handle[list[tuple[int, str]]] = self._handle()
        self._recorded.append(lambda: self._finish(handle, list(self._tokens)))
        return handle

    def mark(self) -> Handle[int]:
        """Number of tokens here."""
        handle: Handle[int] = self._handle()
        self._recorded.append(lambda: self._finish(handle, len(self._tokens)))
        return handle

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens."""
        self._recorded.append(partial(self._truncate, num_tokens))

    def flush(self) -> None:
        """Hands over what was recorded."""
        with self._lock:
            while self._recorded and not self._cancelled:  # one by one: another thread may be recording
                self._ready.append(self._recorded.popleft())
            self._schedule()

    def cancel(self) -> None:
        """Fails everything unfinished."""
        self._fail(RequestCancelled("the session was cancelled"))

    def close(self) -> None:
        """Gives up the session; what was handed over still runs, since forks may begin with it."""
        self.flush()
        if not self._closed:
            self._closed = True
            self._mock.count_session(-1)

    # how the script is worked off

    def _handle(self) -> Handle[Any]:
        handle: Handle[Any] = Handle(_flush=self.flush)
        self._handles[handle] = None
        if self._cancelled:
            handle.fail(RequestCancelled("the session was cancelled"))
        return handle

    def _schedule(self, seconds: float = 0.0) -> None:
        if self._ready and self._started and not self._scheduled:
            self._scheduled = True
            self._mock.worker.post(self._work, seconds)

    def _work(self) -> None:
        """Does what was handed over so far; what comes meanwhile queues behind other sessions: the order is fixed."""
        for _ in range(len(self._ready)):
            with self._lock:
                if not self._ready:
                    break
                if not self._started:  # an instruction waits for other sessions
                    break
                instruction = self._ready.popleft()
            try:
                pause = instruction()
            except Exception as error:  # token ids that are none, a mark that is none
                self._fail(error)
                break
            if pause:
                self._mock.worker.post(self._work, pause)
                return
        with self._lock:
            self._scheduled = False
            self._schedule()

    def _start(self, parent: MockSession) -> None:
        with self._lock:
            self._tokens, self._images, self._computed = list(parent._tokens), list(parent._images), parent._computed
            self._base = len(self._tokens)
            self._started = True
            self._schedule()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._cancelled = True
            self._ready.clear()
            handles, self._handles = list(self._handles), {}
        for handle in handles:
            handle.fail(error)

    def _finish(self, handle: Handle[Any], value: Any) -> None:
        self._handles.pop(handle, None)
        handle.finish(value)

    def _break(self, handle: Handle[Any], error: BaseException) -> None:
        self._handles.pop(handle, None)
        handle.fail(error)
        self._fail(RequestCancelled("an earlier call of this session failed"))

    # instructions

    def _append(self, content: str | Sequence[int]) -> None:
        if isinstance(content, str):
            content = [self._mock.token_id(piece) for piece in pieces(content)]
        self._tokens.extend((token, "prompt") for token in content)

    def _truncate(self, num_tokens: int) -> None:
        del self._tokens[num_tokens:]
        self._images = [one for one in self._images if one[0] <= num_tokens]
        self._computed = min(self._computed, num_tokens)

    def _fork(self, children: Sequence[MockSession]) -> None:
        self._computed = len(self._tokens)  # a fork's common prefix is computed once
        for child in children:
            child._start(self)

    def _prompt_ids(self) -> list[int]:
        return [token for token, _ in self._tokens]

    def _hand_out(self) -> Handle[MockPart]:
        """What it will hold beyond the fork at this point of its script."""
        handle: Handle[MockPart] = self._handle()

        def give() -> None:
            images = [(place - self._base, source) for place, source in self._images if place >= self._base]
            self._finish(handle, (self._tokens[self._base :], images))

        self._recorded.append(give)
        return handle

    def _concat(self, handle: Handle[int], parts: Sequence[Handle[MockPart]]) -> None:
        failed = next((error for part in parts if (error := part.error()) is not None), None)
        missing = next((part for part in parts if not part.done()), None)
        if failed is not None:
            self._break(handle, failed)
        elif missing is not None:
            self._wait_for(missing, partial(self._concat, handle, parts))
        else:
            before = len(self._tokens)
            for tokens, images in (part.result() for part in parts):
                self._images.extend((len(self._tokens) + place, source) for place, source in images)
                self._tokens.extend(tokens)
            self._computed = len(self._tokens)
            self._finish(handle, len(self._tokens) - before)

    def _wait_for(self, part: Handle[MockPart], instruction: Callable[[], None]) -> None:
        """Stands still until `part` is there, and goes on with `instruction`."""
        with self._lock:
            self._started = False
            self._ready.appendleft(instruction)

        def arrived(chunk: Chunk | None) -> None:
            if chunk is None:
                with self._lock:
                    self._started = True
                    self._schedule()

        part.subscribe(arrived)

    def _prompt(self) -> str:
        return "".join(self._mock.token_text(token) for token, _ in self._tokens)

    def _sources(self) -> tuple[str, ...]:
        return tuple(source for _, source in self._images)

    def _generate(
        self,
        handle: Handle[Generation],
        params: SamplingParams,
        name: str | None,
        top_logprobs: int | None,
        logprob_start: int | None,
    ) -> float | None:
        try:
            answer = self._mock.answer("gen", name, self._prompt(), params, self._sources())
            if isinstance(answer, BaseException):
                raise answer
            written, reason, matched = _cut(answer, params)
        except BaseException as error:  # a test's own `pytest.fail` is none of Exception's
            self._break(handle, error)
            return None
        tokens = [self._mock.token_id(piece) for piece in written]
        prompt_tokens, cached = len(self._tokens), min(self._computed, max(0, len(self._tokens) - 1))
        result = Generation(
            text="".join(written), token_ids=tuple(tokens), finish_reason=reason, matched_stop=matched,
            num_generated=len(tokens) + (reason == "stop"), prompt_tokens=prompt_tokens, cached_tokens=cached,
            logprobs=None if top_logprobs is None else _certain(tokens, top_logprobs),
            prompt_logprobs=None if logprob_start is None else _certain(self._prompt_ids()[logprob_start:]),
        )  # fmt: skip
        self._tokens.extend((token, "generated") for token in tokens)
        self._computed = len(self._tokens)
        chunks = [Chunk(piece, (token,)) for piece, token in zip(written, tokens, strict=True)]
        return self._deliver(handle, chunks, result)

    def _deliver(self, handle: Handle[Generation], chunks: Sequence[Chunk], result: Generation) -> float | None:
        if not self._mock.latency:
            for chunk in chunks:
                handle.push(chunk)
            self._finish(handle, result)
            return None
        pause = self._mock.latency / (len(chunks) + 1)
        steps: list[Callable[[], float | None]] = [partial(self._push, handle, chunk, pause) for chunk in chunks]
        with self._lock:
            if not self._cancelled:
                self._ready.extendleft(reversed([*steps, lambda: self._finish(handle, result)]))
        return pause

    def _push(self, handle: Handle[Generation], chunk: Chunk, pause: float) -> float:
        handle.push(chunk)
        return pause

    def _score(
        self, handle: Handle[Scores], choices: tuple[str, ...], choose: Choose, name: str | None, unconditional: bool
    ) -> None:
        from grammars.spec import Choice
        from runtime.sampling.params import SamplingParams

        try:
            params = SamplingParams(constraint=Choice(choices))
            answer = self._mock.answer("select", name, self._prompt(), params, self._sources())
            rows = _rows(answer, choices)
            index = choose(rows)
        except BaseException as error:  # a test's own `pytest.fail` is none of Exception's
            self._break(handle, error)
            return
        tokens = [tuple(self._mock.token_id(piece) for piece in pieces(choice)) for choice in choices]
        result = Scores(
            index=index, logprobs=rows, token_ids=tuple(tokens), prompt_tokens=len(self._tokens),
            unconditional_logprobs=tuple((0.0,) * len(row) for row in rows) if unconditional else None,
            cached_tokens=min(self._computed, max(0, len(self._tokens) - 1)),
        )  # fmt: skip
        self._tokens.extend((token, "generated") for token in tokens[index])
        self._computed = len(self._tokens)
        self._finish(handle, result)


def _certain(tokens: Sequence[int], top: int = 0) -> tuple[TokenLogprob, ...]:
    """A mock is sure of every token."""
    return tuple(TokenLogprob(0.0, token, ((0.0, token),) * top) for token in tokens)


def _cut(answer: object, params: SamplingParams) -> tuple[list[str], str, str | None]:
    """The answer as it stands after stop strings and max_tokens: tokens, finish reason, matched stop."""
    if not isinstance(answer, str):
        raise TypeError(f"the script answered a gen with {answer!r}, which is not a string")
    text, matched = answer, None
    found = min(((answer.find(stop), stop) for stop in params.stop if stop in answer), default=None)
    if found is not None:
        text, matched = answer[: found[0]], found[1]
    if params.constraint is not None and params.max_new_tokens != 0:
        check_answer(answer, params.constraint, params.constraint_after)
    written = pieces(text)
    if params.max_new_tokens is not None and len(written) > params.max_new_tokens:
        return written[: params.max_new_tokens], "length", None
    return written, "stop", matched


def _rows(answer: object, choices: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Log probabilities that make the answer win, or the ones the script gives."""
    if isinstance(answer, BaseException):
        raise answer
    if isinstance(answer, str):
        if answer not in choices:
            raise ValueError(f"the script's answer {answer!r} is none of {', '.join(choices)}")
        return tuple(
            (_CHOSEN if choice == answer else _REJECTED,) * len(pieces(choice)) for choice in choices
        )  # fmt: skip
    if not isinstance(answer, Sequence) or len(answer) != len(choices):
        raise ValueError(f"the script answered a select of {len(choices)} with {answer!r}")
    return tuple(tuple(row) for row in answer)
