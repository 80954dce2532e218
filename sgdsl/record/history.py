"""History: a record's entries put together: runs, their streams, and what became of each instruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sgdsl.record.entries import (
    Ended,
    Entry,
    Failed,
    FirstToken,
    HandedOver,
    Header,
    Instruction,
    RunBegun,
    RunEnded,
    Sample,
    StreamBegun,
)
from sgdsl.usage import Usage

__all__ = ["History", "PastInstruction", "PastRun", "PastStream"]


@dataclass(slots=True)
class PastInstruction:
    """An instruction and what became of it.

    Attributes:
        before: when what stands before it in its stream was over; scripts are handed over ahead.
    """

    instruction: Instruction
    before: float = 0.0
    handed_over: float | None = None
    first_token: float | None = None
    ended: Ended | None = None
    failed: Failed | None = None

    @property
    def begun(self) -> float:
        """When the backend could begin with it; when it was recorded, where it was never handed over."""
        return max(self.before, self.instruction.seconds if self.handed_over is None else self.handed_over)

    @property
    def over(self) -> float | None:
        """When it was over, well or badly; None while it was not."""
        last = self.ended or self.failed
        if last is not None:
            return last.seconds
        return self.begun if self.is_instant and self.handed_over is not None else None

    @property
    def is_instant(self) -> bool:
        """Nothing is waited for."""
        return self.instruction.kind not in ("gen", "select", "tokens", "awaited", "call", "concat")

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Of a gen, or of a select that generates."""
        return () if self.ended is None else self.ended.samples

    @property
    def text(self) -> str:
        """What it adds to the text."""
        return self.instruction.text if self.ended is None else self.ended.text

    @property
    def usage(self) -> Usage:
        """What it has cost."""
        ended = self.ended
        if ended is None or self.is_instant:
            return Usage()
        if ended.scored:
            return Usage(selects=1, prompt_tokens=ended.prompt_tokens, cached_tokens=ended.cached_tokens)
        return Usage(
            gens=len(ended.samples),
            prompt_tokens=sum(one.prompt_tokens for one in ended.samples),
            cached_tokens=sum(one.cached_tokens for one in ended.samples),
            generated_tokens=sum(one.num_generated for one in ended.samples),
            forced_tokens=sum(one.num_forced for one in ended.samples),
            saved_calls=sum(one.written_ahead for one in ended.samples),
        )


@dataclass(slots=True)
class PastStream:
    """A stream and its own instructions; what it began with is its parent's.

    Attributes:
        started: when its parent came to the fork.
    """

    begun: StreamBegun
    started: float = 0.0
    instructions: list[PastInstruction] = field(default_factory=list)

    @property
    def over(self) -> float:
        """When the last thing in it happened."""
        last = [self.started]
        for one in self.instructions:
            last.append(one.begun if one.over is None else one.over)
        return max(last)


@dataclass(slots=True)
class PastRun:
    """A run, its streams by index, and the runs that its program called."""

    begun: RunBegun
    streams: dict[int, PastStream] = field(default_factory=dict)
    instructions: dict[int, PastInstruction] = field(default_factory=dict)
    inner: list[PastRun] = field(default_factory=list)
    ended: RunEnded | None = None

    @property
    def over(self) -> float:
        """When the last thing in it happened."""
        if self.ended is not None:
            return self.ended.seconds
        return max([self.begun.seconds, *(stream.over for stream in self.streams.values())])

    @property
    def usage(self) -> Usage:
        """What its own instructions have cost."""
        return sum((one.usage for one in self.instructions.values()), Usage())

    def all(self) -> Iterator[PastRun]:
        """This run and those inside it."""
        yield self
        for run in self.inner:
            yield from run.all()


class History:
    """Everything a record tells.

    Attributes:
        runs: those that no other run called; by_number has all.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.header = Header()
        self.runs: list[PastRun] = []
        self.by_number: dict[int, PastRun] = {}
        for entry in entries:
            self._take(entry)
        for run in self.by_number.values():
            for _, stream in sorted(run.streams.items(), key=lambda item: item[0]):  # parents before their forks
                _put_in_order(run, stream)

    @property
    def seconds(self) -> float:
        """From the first run's beginning to the last one's end."""
        runs = self.by_number.values()
        return max(run.over for run in runs) - min(run.begun.seconds for run in runs) if runs else 0.0

    @property
    def usage(self) -> Usage:
        """What everything has cost."""
        return sum((run.usage for run in self.by_number.values()), Usage())

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, Header):
            self.header = entry
        elif isinstance(entry, RunBegun):
            run = self.by_number[entry.run] = PastRun(entry)
            outer = None if entry.outer is None else self.by_number.get(entry.outer)
            (self.runs if outer is None else outer.inner).append(run)
        elif (found := self.by_number.get(entry.run)) is not None:
            _add(found, entry)


def _add(run: PastRun, entry: Entry) -> None:
    """One more entry of a run; what belongs to nothing known is left out."""
    match entry:
        case StreamBegun():
            run.streams[entry.stream] = PastStream(entry)
        case RunEnded():
            run.ended = entry
        case Instruction():
            made = run.instructions[entry.id] = PastInstruction(entry)
            if entry.stream in run.streams:
                run.streams[entry.stream].instructions.append(made)
        case HandedOver() | FirstToken() | Ended() | Failed() if entry.id in run.instructions:
            past = run.instructions[entry.id]
            match entry:
                case HandedOver():
                    past.handed_over = entry.seconds
                case FirstToken():
                    past.first_token = entry.seconds
                case Ended():
                    past.ended = entry
                case Failed():
                    past.failed = entry


def _put_in_order(run: PastRun, stream: PastStream) -> None:
    """Each instruction begins when the one before it in the stream is over, and a fork when its parent is there."""
    fork = None if stream.begun.at is None else run.instructions.get(stream.begun.at)
    before = stream.started = stream.begun.seconds if fork is None else max(stream.begun.seconds, fork.begun)
    for past in stream.instructions:
        past.before = before
        before = max(before, past.begun if past.over is None else past.over)
