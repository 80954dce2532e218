"""Chat: `sgdsl chat`. Lines from a terminal or a pipe go to a model, answers come back as they are written."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from runtime.errors import ContextLengthExceeded
from sgdsl.cli import logs
from sgdsl.cli.backend import connected, started
from sgdsl.cli.dialogue import ROLES, Dialogue, Message
from sgdsl.cli.errors import UsageError
from sgdsl.cli.meter import Meter
from sgdsl.cli.printer import UNPRINTABLE
from sgdsl.cli.report import closing_line
from sgdsl.cli.settings import engine_settings
from sgdsl.errors import InvalidArgument, ProgramError, SgdslError
from sgdsl.primitives import gen
from sgdsl.sampling import Sampling

__all__ = ["HELP", "chat"]

HELP = """\
/system TEXT   begin with this system message; without TEXT, with none
/json FILE     hold answers to a JSON schema, until /json off
/undo          take the last question and its answer back
/reset         forget everything said
/save FILE     write the messages as JSON
/load FILE     go on from messages as /save writes them
/help          this
/quit          end, as Ctrl-D does

Ctrl-C stops an answer. A line that begins with a space is said, whatever follows."""


def chat(options: argparse.Namespace) -> int:
    """Holds a conversation; returns the exit code.

    Raises:
        CommandError: it cannot begin at all.
    """
    logs.set_up(verbose=options.verbose, quiet=options.quiet)
    sampling = _sampling(options)
    with _backend(options) as (backend, line):
        _say(line, when=not options.quiet)
        begun = time.monotonic()
        dialogue = Dialogue(backend, sampling)
        try:
            if options.system:
                dialogue.replace([{"role": "system", "content": options.system}])
            return _Talk(dialogue, options.max_tokens, is_terminal=sys.stdin.isatty()).run()
        finally:
            dialogue.close()
            _say(closing_line(backend.usage(), time.monotonic() - begun), when=not options.quiet)


def _backend(options: argparse.Namespace) -> AbstractContextManager[tuple[Meter, str]]:
    if options.url is None:
        return started(options.backend, engine_settings(options.model, options.settings, options.config))
    if options.settings or options.config or options.backend != "engine":
        raise UsageError("--url is a server: neither --set, --config nor --backend goes with it")
    return connected(options.url, options.model)


def _sampling(options: argparse.Namespace) -> Sampling:
    given = {name: getattr(options, name) for name in ("max_tokens", "temperature", "seed")}
    try:
        return Sampling.of(given)
    except InvalidArgument as error:
        raise UsageError(str(error)) from None


class _Talk:
    """Reads lines until there are no more, and does what each says.

    Args:
        max_tokens: of an answer.
        is_terminal: somebody types: there is a prompt, and Ctrl-C ends only the answer.
    """

    def __init__(self, dialogue: Dialogue, max_tokens: int, *, is_terminal: bool) -> None:
        self._dialogue = dialogue
        self._max_tokens = max_tokens
        self._is_terminal = is_terminal
        self._schema: object = None
        self._has_failed = False
        self._commands: dict[str, Callable[[str], None]] = {
            "help": self._help, "system": self._system, "json": self._json, "undo": self._undo, "reset": self._reset,
            "save": self._save, "load": self._load,
        }  # fmt: skip

    def run(self) -> int:
        """Until the end of the input, or /quit."""
        if self._is_terminal:
            _say("/help lists the commands, Ctrl-D ends")
        for line in self._lines():
            if line.startswith("/"):
                name, _, rest = line[1:].strip().partition(" ")
                if name in ("quit", "exit"):
                    break
                self._obey(name, rest.strip())
            elif line.strip():
                self._answer(line.strip())
        return 1 if self._has_failed else 0

    def _lines(self) -> Iterator[str]:
        if not self._is_terminal:
            yield from (line.rstrip("\r\n") for line in sys.stdin)
            return
        import readline  # noqa: F401  input() edits lines and remembers them with it

        while True:
            try:
                yield input("> ")
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print()
                _say("Ctrl-D ends")

    def _answer(self, text: str) -> None:
        try:
            meta = self._dialogue.ask(text, self._show, self._schema)
        except KeyboardInterrupt:
            print(flush=True)
            if not self._is_terminal:
                raise
            _say("stopped; what there is of the answer stays")
            return
        except (ProgramError, SgdslError) as error:
            print(flush=True)
            self._fail(_reason(error))
            return
        print(flush=True)
        if meta.get("finish_reason") == "length":
            is_full = meta["completion_tokens"] < self._max_tokens
            _say("cut off: the context is full; /undo or /reset makes room" if is_full else "cut off by --max-tokens")

    def _show(self, piece: str) -> None:
        print(piece.translate(UNPRINTABLE) if sys.stdout.isatty() else piece, end="", flush=True)

    def _obey(self, name: str, rest: str) -> None:
        command = self._commands.get(name)
        if command is None:
            self._fail(f"no command /{name}; /help lists them")
            return
        try:
            command(rest)
        except (InvalidArgument, UsageError) as error:
            self._fail(f"/{name}: {error}")
        except OSError as error:
            self._fail(f"/{name}: {rest or 'a file'}: {error.strerror}")

    def _fail(self, reason: str) -> None:
        self._has_failed = self._has_failed or not self._is_terminal
        _say(reason)

    # commands

    def _help(self, _: str) -> None:
        print(HELP, file=sys.stderr)

    def _system(self, text: str) -> None:
        rest = [one for one in self._dialogue.messages if one["role"] != "system"]
        self._dialogue.replace([{"role": "system", "content": text}, *rest] if text else rest)

    def _json(self, file: str) -> None:
        schema = None if file == "off" else _read(file)
        if schema is not None:
            gen("answer", json_schema=schema)  # refuses what is no schema
        self._schema = schema

    def _undo(self, _: str) -> None:
        if not self._dialogue.undo():
            raise UsageError("nothing has been asked")

    def _reset(self, _: str) -> None:
        self._dialogue.replace([one for one in self._dialogue.messages if one["role"] == "system"][:1])

    def _save(self, file: str) -> None:
        text = json.dumps(self._dialogue.messages, ensure_ascii=False, indent=2)
        Path(file).write_text(text + "\n", encoding="utf-8")
        _say(f"{len(self._dialogue.messages)} messages are in {file}")

    def _load(self, file: str) -> None:
        messages = _messages(_read(file), file)
        self._dialogue.replace(messages)
        _say(f"{len(messages)} messages from {file}")


def _read(file: str) -> Any:
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is no JSON: {error}") from None


def _messages(found: Any, file: str) -> list[Message]:
    is_good = isinstance(found, list) and all(
        isinstance(one, dict) and one.get("role") in ROLES and isinstance(one.get("content"), str) for one in found
    )
    if not is_good:
        raise UsageError(f"{file} is no list of {{role, content}} with roles {', '.join(ROLES)} and texts")
    return [{"role": one["role"], "content": one["content"]} for one in found]


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ContextLengthExceeded):
        return f"the context is full: {cause}; /undo or /reset makes room"
    return " ".join(str(cause).split()) or type(cause).__name__


def _say(line: str, *, when: bool = True) -> None:
    if when:
        print(f"sgdsl: {line}", file=sys.stderr, flush=True)
