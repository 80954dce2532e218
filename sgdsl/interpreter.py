"""Interpreter: executes instructions against a backend's sessions, and settles what they deliver.

It knows nothing of threads or of users' code. Executing only records a script in the session; what the backend
delivers comes back on the run's loop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from runtime.choosing import METHODS, Choosing, draw
from runtime.handle import Chunk, Generation, Handle, Scores
from runtime.hint import Hint
from sgdsl import ir
from sgdsl.awaited import Awaited
from sgdsl.capability import generates
from sgdsl.choices import constrained_greedy
from sgdsl.following import follow, limit, outlive
from sgdsl.outcome import Outcome, of_generations, of_scores
from sgdsl.usage import Usage

if TYPE_CHECKING:
    from sgdsl.backends.base import (
        BackendSession,
        Choose,
        ConcatSession,
        HintedSession,
        ImageSession,
        LabelledSession,
        RoleSession,
        ScoringSession,
    )
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["execute"]


def execute(stream: Stream, step: Step) -> None:
    """Does one instruction; the stream's next ones may follow at once unless `stream.waiting` is set."""
    if step.hint is not None and stream.run.backend.capabilities.hints:
        cast("HintedSession", stream.live_session).hint(step.hint)
    if stream.run.recording is not None:
        stream.run.recording.handing_over(stream, step)
    _EXECUTE[type(step.node)](stream, step)


def _hold(stream: Stream, step: Step) -> None:
    stream.held.append(step.text)


def _begin_role(stream: Stream, step: Step) -> None:
    stream.put_held()
    if stream.run.backend.capabilities.roles:
        cast("RoleSession", stream.live_session).begin_role(cast(ir.RoleBegin, step.node).role)
    else:
        stream.held.append(step.text)


def _end_role(stream: Stream, step: Step) -> None:
    if stream.run.backend.capabilities.roles:
        stream.put_held()
        cast("RoleSession", stream.live_session).end_role(cast(ir.RoleEnd, step.node).role)
    else:
        stream.held.append(step.text)
        stream.put_held()


def _image(stream: Stream, step: Step) -> None:
    stream.put_held()
    cast("ImageSession", stream.live_session).append_image(cast(ir.Image, step.node).source)


def _nothing(stream: Stream, step: Step) -> None:
    """Scopes, joins and calls bind names while they are recorded; the backend has no part in them."""


def _gen(stream: Stream, step: Step) -> None:
    node = cast(ir.Gen, step.node)
    stream.put_held()
    sampling = node.sampling.over(stream.run.sampling)
    main = stream.live_session
    others = main.fork(sampling.n - 1) if sampling.n is not None and sampling.n > 1 else []
    top_logprobs = (sampling.top_logprobs_num or 0) if sampling.return_logprob else None
    start = sampling.logprob_start_len if sampling.return_logprob and sampling.logprob_start_len != -1 else None
    handles = []
    for sample, session in enumerate([main, *others]):
        _label(stream, session, node.name)
        params = sampling.one(node.constraint, sample)
        if node.token_healing or node.reasoning is not None or node.priority:
            params = replace(
                params, token_healing=node.token_healing, constraint_after=_marker(node), priority=node.priority or 0
            )
        handles.append(session.generate(params, top_logprobs=top_logprobs, logprob_start=start))
    for session in others:
        session.flush()
    outlive(step, others)
    with_text = stream.run.backend.token_text if sampling.return_text_in_logprobs else None

    def settle(results: Sequence[Generation]) -> Outcome:
        stream.run.count(Usage.of(results))
        return of_generations(node, results, with_text)

    follow(stream, step, handles, settle)
    limit(stream, step, node.timeout)


def _marker(node: ir.Gen) -> str | None:
    """The text a gen's constraint begins behind."""
    return None if node.constraint is None or node.reasoning is None else node.reasoning.end


def _select(stream: Stream, step: Step) -> None:
    node = cast(ir.Select, step.node)
    stream.put_held()
    session = stream.live_session
    _label(stream, session, node.name)
    if generates(node, stream.run.backend):
        _select_by_generating(stream, step, node)
    else:
        handle = _score(session, node)
        follow(stream, step, [handle], partial(_scored, stream, node))
    limit(stream, step, node.timeout)


def _score(session: BackendSession, node: ir.Select) -> Handle[Scores]:
    choose, unconditional = _chooser(node), node.method.needs == "unconditional"
    if node.priority is None and not unconditional:
        return session.score(node.choices, choose)
    scoring = cast("ScoringSession", session)
    return scoring.score(node.choices, choose, unconditional=unconditional, priority=node.priority or 0)


def _scored(stream: Stream, node: ir.Select, results: Sequence[Scores]) -> Outcome:
    scores = results[0]
    usage = Usage(selects=1, prompt_tokens=scores.prompt_tokens, cached_tokens=scores.cached_tokens)
    stream.run.count(usage)
    return of_scores(node, scores)


def _chooser(node: ir.Select) -> Choose:
    """How to choose, by name where the method is one that every backend knows, wherever its scores are computed."""
    if METHODS.get(node.method.name) is node.method.scores:
        return Choosing(node.method.name, node.temperature, node.seed)
    return partial(_choose, node)


def _choose(node: ir.Select, logprobs: Sequence[Sequence[float]]) -> int:
    try:
        if node.temperature == 0:
            return node.method.choose(logprobs)
        return draw(node.method.scores(logprobs), node.temperature, random.Random(node.seed))
    except Exception:
        raise
    except BaseException as error:  # a user's method runs in the backend's thread, which must not end with it
        raise RuntimeError(f"{node.method.name} raised {type(error).__name__}: {error}") from error


def _select_by_generating(stream: Stream, step: Step, node: ir.Select) -> None:
    from grammars.spec import Choice
    from runtime.sampling.params import SamplingParams

    params = SamplingParams(
        max_new_tokens=None, temperature=0.0, constraint=Choice(node.choices), priority=node.priority or 0
    )
    wanted = 0 if stream.run.backend.capabilities.tokens else None
    handle = stream.live_session.generate(params, top_logprobs=wanted)

    def settle(results: Sequence[Generation]) -> Outcome:
        stream.run.count(Usage.of(results))
        outcome = of_generations(ir.Gen(name=node.name), results, None)
        index = node.choices.index(outcome.text)
        chosen = {"choices": list(node.choices), "index": index, "choices_method": constrained_greedy.name}
        return Outcome(outcome.value, outcome.text, outcome.meta | chosen)

    follow(stream, step, [handle], settle)


def _fork(stream: Stream, step: Step) -> None:
    node = cast(ir.Fork, step.node)
    stream.put_held()
    sessions = stream.live_session.fork(len(node.children))
    for index, session in zip(node.children, sessions, strict=True):
        if stream.run.backend.capabilities.hints:
            cast("HintedSession", session).hint(Hint(gang=node.children[0]))
        stream.run.streams[index].take(session)


def _concat(stream: Stream, step: Step) -> None:
    """Waits until the parent and all its forks have come here; whoever is last has the forks' parts appended."""
    meeting = step.meeting
    if meeting is None:
        raise RuntimeError("a concatenation that nobody else takes part in")
    stream.put_held()
    if not meeting.arrive(stream):
        return
    parent = cast("ConcatSession", meeting.parent.live_session)
    handle = parent.concat([fork.live_session for fork in meeting.forks])
    meeting.end()
    meta = {"attention_recomputed": False}
    follow(meeting.parent, meeting.step, [handle], lambda results: Outcome(results[0], "", meta))


def _checkpoint(stream: Stream, step: Step) -> None:
    node = cast(ir.Checkpoint, step.node)
    stream.put_held()
    stream.marks[node.index].tokens = stream.live_session.mark()


def _tokens(stream: Stream, step: Step) -> None:
    stream.put_held()
    follow(stream, step, [stream.live_session.tokens()], lambda results: Outcome(list(results[0]), ""))


def _rollback(stream: Stream, step: Step) -> None:
    """Needs the checkpoint's number of tokens, so the stream waits until the backend has come that far."""
    tokens = stream.marks[cast(ir.Rollback, step.node).index].tokens
    if tokens is None:
        raise RuntimeError("a rollback to a checkpoint that was not executed")
    stream.held.clear()
    stream.waiting = True
    stream.live_session.flush()

    def arrived(chunk: Chunk | None) -> None:
        stream.run.loop.post(lambda: _resume(stream, step, tokens))

    tokens.subscribe(arrived)


def _resume(stream: Stream, step: Step, tokens: Handle[int]) -> None:
    with stream.run.lock:
        stream.waiting = False
        if stream.error is not None or stream.session is None:
            return
        error = tokens.error()
        if error is not None:
            stream.fail_at(step, error)
            return
        stream.session.truncate(tokens.result())
    stream.run.flush()


def _awaited(stream: Stream, step: Step) -> None:
    """The text stands where it stands, so the stream waits for it, without a thread."""
    handle = cast(Awaited, step.node).handle
    if handle.done():
        _hold_awaited(stream, step, handle)
        return
    stream.waiting = True
    stream.live_session.flush()

    def arrived(chunk: Chunk | None) -> None:
        if chunk is None:
            stream.run.loop.post(lambda: _resume_awaited(stream, step, handle))

    handle.subscribe(arrived)


def _resume_awaited(stream: Stream, step: Step, handle: Handle[Outcome]) -> None:
    with stream.run.lock:
        stream.waiting = False
        if stream.error is not None or stream.session is None:
            return
        _hold_awaited(stream, step, handle)
    stream.run.flush()


def _hold_awaited(stream: Stream, step: Step, handle: Handle[Outcome]) -> None:
    error = handle.error()
    if error is not None:
        stream.fail_at(step, error)
        return
    outcome = handle.result()
    stream.held.append(outcome.text)
    stream.settle(step, outcome)


_EXECUTE: dict[type, Callable[[Stream, Step], None]] = {
    ir.Text: _hold,
    ir.Image: _image,
    ir.Gen: _gen,
    ir.Select: _select,
    ir.RoleBegin: _begin_role,
    ir.RoleEnd: _end_role,
    ir.ScopeBegin: _nothing,
    ir.ScopeEnd: _nothing,
    ir.Fork: _fork,
    ir.Join: _nothing,
    ir.Concat: _concat,
    ir.Checkpoint: _checkpoint,
    ir.Rollback: _rollback,
    ir.Tokens: _tokens,
    ir.Call: _nothing,
    Awaited: _awaited,
}


def _label(stream: Stream, session: BackendSession, name: str | None) -> None:
    able = stream.run.backend.capabilities
    if able.labels:
        cast("LabelledSession", session).label(name)
    if able.hints:
        cast("HintedSession", session).hint(Hint(name=name or ""))
