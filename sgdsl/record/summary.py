"""Summary: a record in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sgdsl.record.history import History
from sgdsl.usage import Usage

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a record comes to.

    Attributes:
        failed_runs: runs that did not complete; unfinished_runs: those whose end the record does not have.
        seconds: from the first run's beginning to the last one's end.
    """

    runs: int
    failed_runs: int
    unfinished_runs: int
    streams: int
    instructions: int
    seconds: float
    usage: Usage

    @classmethod
    def of(cls, history: History) -> Summary:
        """The figures of everything a record tells."""
        runs = list(history.by_number.values())
        ends = [run.ended for run in runs]
        return cls(
            runs=len(runs),
            failed_runs=sum(end is not None and end.status != "completed" for end in ends),
            unfinished_runs=sum(end is None for end in ends),
            streams=sum(len(run.streams) for run in runs),
            instructions=sum(len(run.instructions) for run in runs),
            seconds=history.seconds,
            usage=history.usage,
        )

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens over all of the time."""
        return self.usage.generated_tokens / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, object]:
        """For JSON, usage and all."""
        figures: dict[str, object] = asdict(self)
        del figures["usage"]
        usage: dict[str, object] = asdict(self.usage)
        rounded = {"seconds": round(self.seconds, 6), "tokens_per_second": round(self.tokens_per_second, 3)}
        return figures | usage | rounded

    def line(self) -> str:
        """In one line."""
        usage = self.usage
        parts = [
            _counted(self.runs, "run"), _counted(self.streams, "stream"), _counted(self.instructions, "instruction"),
            _counted(usage.gens, "gen"), *([_counted(usage.selects, "select")] if usage.selects else []),
            f"{_counted(usage.prompt_tokens, 'prompt token')} ({usage.cached_tokens} cached)",
            f"{usage.generated_tokens} generated ({usage.forced_tokens} forced)",
            f"{self.seconds:.2f} s", f"{self.tokens_per_second:.1f} tok/s",
        ]  # fmt: skip
        if self.failed_runs:
            parts.append(f"{self.failed_runs} failed")
        if self.unfinished_runs:
            parts.append(f"{self.unfinished_runs} unfinished")
        return " · ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
