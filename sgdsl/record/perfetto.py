"""Perfetto: a record as Chrome Trace Event JSON, which ui.perfetto.dev and chrome://tracing draw."""

from __future__ import annotations

from typing import Any

from sgdsl.record.history import History, PastInstruction, PastRun, PastStream

__all__ = ["perfetto"]

SHOWN = 400


def perfetto(history: History) -> dict[str, Any]:
    """Runs as processes, streams as tracks, instructions as slices, forks and joins as arrows between them."""
    events: list[dict[str, Any]] = []
    for run in history.by_number.values():
        events += _run_events(run)
    return {
        "displayTimeUnit": "ms",
        "otherData": {"started_at": history.header.started_at},
        "traceEvents": events,
    }


def _run_events(run: PastRun) -> list[dict[str, Any]]:
    number = run.begun.run
    title = f"{run.begun.program} #{number}"
    events = [
        {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": title}},
        {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "args": {"sort_index": number}},
    ]  # fmt: skip
    for index, stream in run.streams.items():
        name = "main" if index == 0 else f"stream {index}"
        events.append({"ph": "M", "name": "thread_name", "pid": number, "tid": index, "args": {"name": name}})
        events.append(_slice(number, index, name, stream.started, _end(run, stream), _stream_args(run, stream)))
        for past in stream.instructions:
            over = past.begun if past.over is None else past.over
            events.append(_slice(number, index, _title(past), past.begun, over, _args(past)))
            events += _arrows(run, past)
    return events


def _end(run: PastRun, stream: PastStream) -> float:
    return run.over if stream.begun.stream == 0 else stream.over


def _slice(
    run: int, stream: int, name: str, begun: float, over: float, args: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """A complete event; whole microseconds, each end rounded by itself, so that what nests goes on nesting."""
    start = _microseconds(begun)
    length = max(0, _microseconds(over) - start)
    return {
        "ph": "X", "cat": "sgdsl", "name": name, "pid": run, "tid": stream, "ts": start, "dur": length, "args": args,
    }  # fmt: skip


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _title(past: PastInstruction) -> str:
    one = past.instruction
    return one.kind if one.name is None else f"{one.kind} {one.name}"


def _stream_args(run: PastRun, stream: PastStream) -> dict[str, Any]:
    if stream.begun.stream != 0:
        return {"parent": stream.begun.parent}
    begun, ended = run.begun, run.ended
    return {
        "arguments": dict(begun.arguments), "backend": begun.backend, "model": begun.model, "file": begun.file,
        "line": begun.line, "status": "unfinished" if ended is None else ended.status,
    }  # fmt: skip


def _args(past: PastInstruction) -> dict[str, Any]:
    one, ended, usage = past.instruction, past.ended, past.usage
    args: dict[str, Any] = {"id": one.id}
    if one.source is not None:
        args["source"] = str(one.source)
    if past.text:
        args["text"] = past.text[:SHOWN]
    if ended is not None and not past.is_instant:
        args |= {
            "prompt_tokens": usage.prompt_tokens, "cached_tokens": usage.cached_tokens,
            "generated_tokens": usage.generated_tokens, "forced_tokens": usage.forced_tokens,
        }  # fmt: skip
        args["finish_reason"] = ", ".join(sample.finish_reason for sample in ended.samples)
        if past.first_token is not None:
            args["first_token_ms"] = round((past.first_token - past.begun) * 1000, 3)
    if past.failed is not None:
        args["error"] = f"{past.failed.failure.type}: {past.failed.failure.message}"
    return args


def _arrows(run: PastRun, past: PastInstruction) -> list[dict[str, Any]]:
    """From a fork to where its streams begin; from where streams end to the join."""
    one, number = past.instruction, run.begun.run
    events: list[dict[str, Any]] = []
    if one.kind not in ("fork", "join"):
        return events
    for index in one.streams:
        if index not in run.streams:
            continue
        child = run.streams[index]
        here, there = (one.stream, past.begun), (index, child.started)
        if one.kind == "join":
            here, there = (index, min(child.over, past.begun)), (one.stream, past.begun)
        arrow = f"{number}.{one.id}.{index}"
        for phase, (stream, seconds) in (("s", here), ("f", there)):
            event = {"ph": phase, "cat": one.kind, "name": one.kind, "id": arrow, "pid": number, "tid": stream}
            events.append(event | {"ts": _microseconds(seconds)} | ({"bp": "e"} if phase == "f" else {}))
    return events
