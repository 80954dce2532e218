"""CachedSession: what a session holds, as a chain of digests, and the backend's session where one was needed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from runtime.errors import EngineError, RequestCancelled
from runtime.handle import Chunk, Generation, Handle, Scores
from runtime.wire.codec import Reader, plain
from sgdsl.backends.base import BackendSession, Choose
from sgdsl.backends.told_session import ToldSession

if TYPE_CHECKING:
    from runtime.hint import Hint
    from runtime.sampling.params import SamplingParams
    from sgdsl.backends.cached import Cached

__all__ = ["CachedSession"]

_GENERATIONS: Reader[Generation] = Reader(Generation)
_SCORES: Reader[Scores] = Reader(Scores)
_MARKS: Reader[int] = Reader(int)

Instruction = Callable[[], bool]
"""Does one thing; True means that the script waits for the backend, whose answer makes it go on."""


class CachedSession(ToldSession):
    """Its script is worked off in the cache's worker thread, instruction by instruction.

    Args:
        cache: where answers are kept.
        namespace, program: as `Backend.open`.
    """

    def __init__(self, cache: Cached, namespace: str, program: str) -> None:
        super().__init__()
        self._cache = cache
        self._place = (namespace, program)
        self._digest = _chained(b"", ["open", cache.fingerprint, namespace])
        self._inner: BackendSession | None = None
        self._behind: list[tuple[str, Any]] = []  # what the backend's session has not been told
        self._recorded: list[Instruction] = []
        self._ready: deque[Instruction] = deque()
        self._handles: dict[Handle[Any], None] = {}
        self._unstarted: dict[CachedSession, None] = {}
        self._error: BaseException | None = None
        self._started, self._busy, self._closed = True, False, False
        self._lock = threading.RLock()

    # what the language calls

    def speculate(self, num_tokens: int) -> None:
        """From here on, calls write at least so many tokens."""
        self._tell("speculate", num_tokens)

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens."""
        self._tell("truncate", num_tokens)

    def hint(self, hint: Hint) -> None:
        """What is known at this point of the script; no answer depends on it."""
        self._record(partial(self._be_told, "hint", hint, counts=False))

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """An answer that is known, or the backend's."""
        handle: Handle[Generation] = self._handle()
        self._record(partial(self._generate, handle, params, top_logprobs, logprob_start, self._label))
        return handle

    def score(self, choices: Sequence[str], choose: Choose, **options: Any) -> Handle[Scores]:
        """Chooses by scores that are known, or by the backend's.

        Args:
            choices, choose: as `BackendSession.score`.
            options: as `ScoringSession.score`.
        """
        handle: Handle[Scores] = self._handle()
        self._record(partial(self._score, handle, tuple(choices), choose, options, self._label))
        return handle

    def fork(self, n: int) -> list[BackendSession]:
        """Sessions that start when this one gets here."""
        children = [CachedSession(self._cache, *self._place) for _ in range(n)]
        for child in children:
            child._started = False
        with self._lock:
            self._unstarted.update(dict.fromkeys(children))
            error = self._error
        for child in children if error is not None else ():
            child._fail(RequestCancelled("the session it forks from has ended"))
        self._record(partial(self._fork, children))
        return list(children)

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """Token ids with their origin, from the backend."""
        handle: Handle[list[tuple[int, str]]] = self._handle()
        self._record(lambda: self._follow(handle, self._caught_up().tokens(), lambda _: None))
        return handle

    def mark(self) -> Handle[int]:
        """Number of tokens here."""
        handle: Handle[int] = self._handle()
        self._record(partial(self._mark, handle))
        return handle

    def flush(self) -> None:
        """Hands over what was recorded."""
        with self._lock:
            if self._recorded and self._error is None:
                self._ready.extend(self._recorded)
            self._recorded.clear()
        self._schedule()

    def cancel(self) -> None:
        """Fails everything unfinished."""
        self._fail(RequestCancelled("the session was cancelled"))
        inner = self._inner
        if inner is not None:
            inner.cancel()

    def close(self) -> None:
        """Gives up the session when what was handed over has ended."""
        self._closed = True
        self.flush()
        self._cache.worker.post(self._work)

    # how the script is worked off

    def _record(self, instruction: Instruction) -> None:
        with self._lock:
            self._recorded.append(instruction)

    def _tell(self, what: str, value: Any) -> None:
        self._record(partial(self._be_told, what, value))

    def _handle(self) -> Handle[Any]:
        handle: Handle[Any] = Handle(_flush=self.flush)
        with self._lock:
            self._handles[handle] = None
            ended = self._error is not None
        if ended:
            handle.fail(RequestCancelled("the session has ended"))
        return handle

    def _schedule(self) -> None:
        self._cache.worker.post(self._work)

    def _work(self) -> None:
        while self._started and not self._busy:
            with self._lock:
                instruction = self._ready.popleft() if self._ready else None
            if instruction is None:
                break
            try:
                self._busy = instruction()
            except Exception as error:  # the backend refuses a call, or cannot be reached
                self._fail(error)
        if self._closed and not self._ready and not self._busy and (self._started or self._error is not None):
            inner, self._inner = self._inner, None
            if inner is not None:
                inner.close()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            self._ready.clear()
            handles, self._handles = list(self._handles), {}
            children, self._unstarted = list(self._unstarted), {}
        for handle in handles:
            handle.fail(error)
        for child in children:
            child._fail(error)

    def _finish(self, handle: Handle[Any], value: Any) -> None:
        with self._lock:
            self._handles.pop(handle, None)
        handle.finish(value)

    def _break(self, handle: Handle[Any], error: BaseException) -> None:
        with self._lock:
            self._handles.pop(handle, None)
        handle.fail(error)
        self._fail(RequestCancelled("an earlier call of this session failed"))

    def _follow(self, handle: Handle[Any], made: Handle[Any], then: Callable[[Any], Any]) -> bool:
        """Passes the backend's answer on; `then` makes of it what is given, where that is another thing."""

        def arrived(chunk: Chunk | None) -> None:
            if chunk is not None:
                handle.push(chunk)
            else:
                self._cache.worker.post(lambda: self._settle(handle, made, then))

        if self._inner is not None:
            self._inner.flush()
        made.subscribe(arrived)
        return True

    def _settle(self, handle: Handle[Any], made: Handle[Any], then: Callable[[Any], Any]) -> None:
        self._busy = False
        try:
            result = made.result()
            then(result)
        except Exception as error:
            self._break(handle, made.error() or error)
        else:
            self._finish(handle, result)
        self._work()

    def _caught_up(self) -> BackendSession:
        """The backend's session, holding what this one holds."""
        if self._inner is None:
            namespace, program = self._place
            self._inner = self._cache.backend.open(namespace=namespace, program=program)
        behind, self._behind = self._behind, []
        for what, value in behind:
            if what == "choose":
                self._inner.score((value,), _only)
            elif what == "mark":
                self._inner.mark()
            else:
                getattr(self._inner, what)(value)
        if self._error is not None:  # cancelled before there was one to cancel
            self._inner.cancel()
        return self._inner

    # instructions

    def _be_told(self, what: str, value: Any, *, counts: bool = True) -> bool:
        self._behind.append((what, value))
        if counts:
            self._digest = _chained(self._digest, [what, value])
        return False

    def _written(self, text: str, tokens: tuple[int, ...], *, is_known: bool) -> None:
        """The session goes on with what was written; the backend's own has it already unless the answer was known."""
        self._digest = _chained(self._digest, ["written", text, tokens])
        if is_known and (text or tokens):
            self._behind.append(("append", tokens if self._cache.tells_tokens else text))

    def _generate(
        self,
        handle: Handle[Generation],
        params: SamplingParams,
        top_logprobs: int | None,
        logprob_start: int | None,
        name: str | None,
    ) -> bool:
        from runtime.wire.params import write_params

        key = None
        if self._is_kept(params):
            asked = write_params(params)
            for said in ("priority", "timeout"):
                asked.pop(said, None)
            key = _chained(self._digest, ["gen", asked, top_logprobs, logprob_start, *self._told_of(name)])
        found = self._known(key, _GENERATIONS)
        if found is not None:
            result = replace(
                found, cached_tokens=found.prompt_tokens, queue_seconds=0.0, first_token_seconds=0.0, total_seconds=0.0
            )
            if result.text or result.token_ids:
                handle.push(Chunk(result.text, result.token_ids, result.logprobs or ()))
            self._written(result.text, result.token_ids, is_known=True)
            self._finish(handle, result)
            return False

        def ended(result: Generation) -> None:
            self._keep(None if result.finish_reason == "timeout" else key, result)
            self._written(result.text, result.token_ids, is_known=False)

        made = self._named(name).generate(params, top_logprobs=top_logprobs, logprob_start=logprob_start)
        return self._follow(handle, made, ended)

    def _is_kept(self, params: SamplingParams) -> bool:
        """Whether the answer may be kept.

        A gen of no tokens is there for what it does to the backend's memory; a healed one takes back tokens, which
        cannot be told again.
        """
        if params.max_new_tokens == 0 or params.token_healing:
            return False
        return params.temperature == 0 or params.seed is not None or self._cache.mode == "all"

    def _score(
        self,
        handle: Handle[Scores],
        choices: tuple[str, ...],
        choose: Choose,
        options: dict[str, Any],
        name: str | None,
    ) -> bool:
        counting = {key: value for key, value in options.items() if key != "priority" and value}
        key = _chained(self._digest, ["select", choices, counting, *self._told_of(name)])
        found = self._known(key, _SCORES)
        if found is not None:
            return self._choose(handle, choices, choose, found)

        def ended(result: Scores) -> None:
            self._keep(key, result)
            self._written(choices[result.index], result.token_ids[result.index], is_known=False)

        return self._follow(handle, self._named(name).score(choices, choose, **options), ended)

    def _choose(self, handle: Handle[Scores], choices: tuple[str, ...], choose: Choose, found: Scores) -> bool:
        try:
            index = choose(found.basis)
            text, tokens = choices[index], found.token_ids[index]
        except Exception as error:
            self._break(handle, error)
            return False
        self._digest = _chained(self._digest, ["written", text, tokens])
        # Its first tokens may stand for the prompt's last ones too, so only scoring it again makes the same tokens.
        self._behind.append(("choose" if self._cache.tells_tokens else "append", text))
        self._finish(handle, replace(found, index=index, cached_tokens=found.prompt_tokens, total_seconds=0.0))
        return False

    def _mark(self, handle: Handle[int]) -> bool:
        self._digest = _chained(self._digest, ["mark"])
        key = self._digest if self._cache.keeps_marks else None
        found = self._known(key, _MARKS)
        if found is not None:
            self._behind.append(("mark", None))
            self._finish(handle, found)
            return False
        return self._follow(handle, self._caught_up().mark(), partial(self._keep, key))

    def _fork(self, children: Sequence[CachedSession]) -> bool:
        inners = [None] * len(children) if self._inner is None else self._caught_up().fork(len(children))
        for child, inner in zip(children, inners, strict=True):
            self._unstarted.pop(child, None)
            child._inner, child._behind, child._digest = inner, list(self._behind), self._digest
            child._started = True
            child._schedule()
        if self._inner is not None:
            self._inner.flush()
        return False

    def _named(self, name: str | None) -> Any:
        inner: Any = self._caught_up()
        if self._cache.capabilities.labels:
            inner.label(name)
        return inner

    def _told_of(self, name: str | None) -> tuple[str, ...]:
        """The variable a call is for, where the backend is told: its answer may depend on it."""
        return (name,) if name is not None and self._cache.capabilities.labels else ()

    def _known(self, key: bytes | None, reader: Reader[Any]) -> Any:
        value = None if key is None else self._cache.find(key)
        if value is None or key is None:
            return None
        try:
            return reader.convert(value, "a kept result")
        except (EngineError, ValueError):  # kept by a version that wrote another form
            self._cache.store.drop(key)
            return None

    def _keep(self, key: bytes | None, result: Any) -> None:
        if key is not None:
            self._cache.store.put(key, plain(result))


def _only(logprobs: Sequence[Sequence[float]]) -> int:
    return 0


def _chained(digest: bytes, what: Any) -> bytes:
    """The digest of a session that held what `digest` stands for, and then this."""
    text = json.dumps(plain(what), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(digest + text.encode()).digest()
