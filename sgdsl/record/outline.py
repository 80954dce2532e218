"""Outline: a record as a tree in the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sgdsl.record.history import History, PastInstruction, PastRun, PastStream
from sgdsl.record.summary import Summary

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["outline"]

SHOWN = 60
DEEPEST = 40
"""Forks of forks below this are only counted: no terminal is that wide."""
STYLES = {"gen": "green", "select": "yellow", "fork": "magenta", "join": "magenta"}
STATUS = {"completed": "green", "failed": "red", "cancelled": "red", "timeout": "red"}


def outline(history: History) -> Tree:
    """Programs, under them their streams and instructions, and the totals at the foot."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text("record", style="bold"), hide_root=True, guide_style="dim")
    for run in history.runs:
        _add_run(root, run)
    root.add(Text(Summary.of(history).line(), style="bold"))
    return root


def _add_run(tree: Tree, run: PastRun) -> None:
    from rich.text import Text

    begun, ended = run.begun, run.ended
    status = "unfinished" if ended is None else ended.status
    arguments = ", ".join(f"{name}={_short(value, 24)}" for name, value in begun.arguments)
    title = Text.assemble(
        (f"{begun.program}({arguments})", "bold"), "  ", (status, STATUS.get(status, "yellow")),
        (f"  {_time(run.over - begun.seconds)}  {begun.model or begun.backend}", "dim"),
    )  # fmt: skip
    if begun.file:
        title.append(f"  {os.path.basename(begun.file)}:{begun.line}", "dim")
    branch = tree.add(title)
    if 0 in run.streams:
        _add_instructions(branch, run, run.streams[0])
    for inner in run.inner:
        _add_run(branch, inner)
    if ended is not None and ended.failure is not None:
        failure = ended.failure
        where = "" if failure.source is None else f"{failure.source}: "
        branch.add(Text(f"{failure.type}: {where}{_plain(failure.message)}", style="red"))


def _add_instructions(tree: Tree, run: PastRun, stream: PastStream, depth: int = 0) -> None:
    """The stream's instructions, those of a message under its role; below a fork, the streams it made."""
    message: Tree | None = None
    for past in stream.instructions:
        kind = past.instruction.kind
        if kind in ("role_end", "scope_end"):
            message = None if kind == "role_end" else message
            continue
        branch = (message or tree).add(_line(past))
        if kind == "role_begin":
            message = branch
        for index in past.instruction.streams if kind == "fork" else ():
            if index in run.streams:
                _add_stream(branch, run, run.streams[index], depth + 1)


def _add_stream(branch: Tree, run: PastRun, stream: PastStream, depth: int) -> None:
    twig = branch.add(_dim(f"stream {stream.begun.stream}  {_time(stream.over - stream.started)}"))
    if depth <= DEEPEST:
        _add_instructions(twig, run, stream, depth)
    else:
        twig.add(_dim(f"… {len(stream.instructions)} instructions"))


def _line(past: PastInstruction) -> Text:
    from rich.text import Text

    one = past.instruction
    if one.kind == "role_begin":
        return Text(_plain(one.name or ""), style="cyan")
    line = Text.assemble((one.kind, STYLES.get(one.kind, "dim")))
    if one.name is not None:
        line.append(f" {_plain(one.name)}", "bold")
    if one.checkpoint is not None:
        line.append(f" {one.checkpoint}", "dim")
    if one.kind == "join":
        line.append(f" {', '.join(map(str, one.streams))} → {', '.join(one.names) or 'nothing'}", "dim")
    if past.text:
        line.append(f"  {_quoted(past.text)}", "" if past.ended else "dim")
    if past.failed is not None:
        line.append(f"  {past.failed.failure.type}: {_short(past.failed.failure.message, SHOWN)}", "red")
    if past.ended is not None and past.usage.prompt_tokens:
        line.append(f"  {_figures(past)}", "dim")
    return line


def _figures(past: PastInstruction) -> str:
    usage, ended = past.usage, past.ended
    if ended is None:
        return ""
    new = usage.prompt_tokens - usage.cached_tokens
    seconds = ended.seconds - past.begun
    parts = [f"{usage.cached_tokens} cached + {new} new"]
    if usage.generated_tokens:
        forced = f" ({usage.forced_tokens} forced)" if usage.forced_tokens else ""
        parts.append(f"{usage.generated_tokens} generated{forced}")
    parts.append(_time(seconds))
    if usage.generated_tokens and seconds > 0:
        parts.append(f"{usage.generated_tokens / seconds:.0f} tok/s")
    return " · ".join(parts)


def _dim(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="dim")


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _quoted(text: str) -> str:
    return f"“{_short(text, SHOWN)}”"


def _short(text: str, length: int) -> str:
    plain = _plain(text)
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _plain(text: str) -> str:
    """On one line; what a text holds must not steer the terminal."""
    return "".join(char if char.isprintable() else "⏎" if char == "\n" else "·" for char in text)
