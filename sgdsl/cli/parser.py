"""Parser: the words a command takes. Light: what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from sgdsl.cli import keys as key_command
from sgdsl.cli import serve_options
from sgdsl.cli.errors import UsageError

__all__ = ["build_parser", "split"]

RUN_NOTES = """\
What runs is the @function named `main`, else the only one of the file; a file without one, but with an
`if __name__ == "__main__"` block, runs as a plain script. Words after `--` are the program's own arguments,
by name or by position:

  sgdsl run triage.py -- --ticket "My card was charged twice"
  sgdsl run triage.py -- --help
"""

CHAT_NOTES = """\
Lines that begin with / are commands, which /help lists:

  sgdsl chat --system "You answer in one sentence."
  echo "Why is the sky blue?" | sgdsl chat --temperature 0
"""

CHECK_NOTES = """\
The kind is told by the name of the file: .json is a JSON schema or a structural tag, .lark a Lark grammar, .gbnf and
.ebnf a GBNF grammar, .regex and .txt a regex. The exit code is 1 when TEXT is not accepted.
"""


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those after the first `--`."""
    words = list(argv)
    if "--" not in words:
        return words, []
    cut = words.index("--")
    return words[:cut], words[cut + 1 :]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        hint = "; a program's own arguments come after --" if message.startswith("unrecognized") else ""
        raise UsageError(f"{message}{hint} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; parsed options hold the command's function as `command`."""
    parser = _Parser(prog="sgdsl", description="Runs programs that call a language model many times.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_trace(commands)
    _add_chat(commands)
    _add_serve(commands)
    _add_keys(commands)
    _add_tune(commands)
    _add_bench(commands)
    _add_grammars(commands)
    _add_info(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a program and print its text as it comes",
        usage="sgdsl run [options] PROGRAM [-- ARGUMENTS]",
        description="Runs a program and prints its text as it comes.",
        epilog=RUN_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("program", metavar="PROGRAM", help="a Python file, or a graph in JSON")
    run.add_argument("--dry-run", action="store_true", help="print what it would do and about what that costs")
    run.add_argument(
        "--num-programs", metavar="N", type=int, help="run it N times at once, and print throughput and latencies"
    )
    run.add_argument("--record", metavar="FILE", help="write what happens to FILE, as JSON lines; see sgdsl trace")
    run.add_argument("--otel", action="store_true", help="trace it with OpenTelemetry: a span for it and for each call")
    _add_backend(run, takes_url=True)
    shape = run.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print one JSON object when the program has ended")
    shape.add_argument("--events", action="store_true", help="print one JSON object a line for everything that happens")
    _add_noise(run)
    run.set_defaults(command=_run)


def _add_chat(commands: argparse._SubParsersAction[_Parser]) -> None:
    chat = commands.add_parser(
        "chat",
        help="talk to a model",
        usage="sgdsl chat [options]",
        description="Talks to a model: a line in, an answer out, as it is written. Lines may come from a pipe.",
        epilog=CHAT_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_backend(chat)
    chat.add_argument(
        "--url", metavar="URL", help="of a server instead: of the OpenAI API if it ends in /v1, else of sgdsl's own"
    )
    chat.add_argument("--system", metavar="TEXT", help="the system message")
    chat.add_argument("--max-tokens", metavar="N", type=int, default=512, help="of an answer (default: 512)")
    chat.add_argument(
        "--temperature", metavar="X", type=float, default=0.7, help="0 takes the likeliest token (default: 0.7)"
    )
    chat.add_argument("--seed", metavar="N", type=int, help="the same answers to the same lines")
    _add_noise(chat)
    chat.set_defaults(command=_chat)


def _add_serve(commands: argparse._SubParsersAction[_Parser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a model over HTTP",
        usage="sgdsl serve [options] [MODEL]",
        description="Serves a model over HTTP, to OpenAI's clients and to sgdsl's own, until SIGTERM or Ctrl-C.",
    )
    serve.add_argument("name", metavar="MODEL", nargs="?", help="as --model")
    serve_options.add_options(serve)
    _add_engine(serve)
    _add_noise(serve)
    serve.set_defaults(command=_serve)


def _add_keys(commands: argparse._SubParsersAction[_Parser]) -> None:
    keys = commands.add_parser(
        "keys",
        help="make API keys for sgdsl serve",
        usage="sgdsl keys add NAME [options] | list | remove NAME",
        description="Keeps a file with the hashes of API keys and what each may do, for `sgdsl serve --api-keys FILE`. "
        "A key that is added is printed once. A server that runs takes changes over within a second.",
    )
    key_command.add_options(keys)
    keys.set_defaults(command=key_command.keys)


def _add_tune(commands: argparse._SubParsersAction[_Parser]) -> None:
    tune = commands.add_parser(
        "tune",
        help="measure a rising load and recommend settings",
        usage="sgdsl tune [options]",
        description="Doubles the number of requests at once until throughput grows no more; prints and saves what that "
        "came to, a picture of it, and the settings it recommends.",
    )
    _add_backend(tune)
    tune.add_argument("--prompts", metavar="FILE", help="one a line, or JSON lines; without it, a synthetic mix")
    tune.add_argument("--prompt-tokens", metavar="N", type=int, default=128, help="of the mix, about (default: 128)")
    tune.add_argument("--new-tokens", metavar="N", type=int, default=64, help="of an answer (default: 64)")
    tune.add_argument("--max-concurrency", metavar="N", type=int, default=64, help="requests at once (default: 64)")
    tune.add_argument("--seconds", metavar="X", type=float, default=180, help="in all, about (default: 180)")
    tune.add_argument("--seed", metavar="N", type=int, default=0, help="another mix (default: 0)")
    tune.add_argument("--output", metavar="FOLDER", default=".", help="tune.json, tune.png, sgdsl.toml (default: .)")
    tune.add_argument("--json", action="store_true", help="print one JSON object when all is measured")
    _add_noise(tune)
    tune.set_defaults(command=_tune)


def _add_bench(commands: argparse._SubParsersAction[_Parser]) -> None:
    bench = commands.add_parser("bench", help="measure a server", description="Measures servers from outside.")
    actions = bench.add_subparsers(metavar="ACTION", required=True)
    serve = actions.add_parser(
        "serve",
        help="put a load on a server of OpenAI's API: throughput, latencies, goodput",
        usage="sgdsl bench serve [options]",
        description="Puts a load on any server of OpenAI's API; prints throughput, latencies and goodput.",
    )
    serve.add_argument("--url", default="http://127.0.0.1:30000", help="(default: http://127.0.0.1:30000)")
    serve.add_argument("--model", metavar="NAME", help="default: the first that the server has")
    serve.add_argument("--api-key", metavar="KEY", help="default: what OPENAI_API_KEY holds")
    serve.add_argument(
        "--workload", choices=("decode", "shared-prefix", "chat", "program"), default="decode",
        help="single answers; prompts that share 90 %% of theirs; chats of two turns; three calls, each of which goes "
        "on from the one before (default: decode)",
    )  # fmt: skip
    pace = serve.add_mutually_exclusive_group()
    pace.add_argument("--rate", metavar="X", type=float, help="beginning each second, as a Poisson process")
    pace.add_argument("--concurrency", metavar="N", type=int, help="under way at once (default: 8)")
    serve.add_argument("--num-requests", metavar="N", type=int, help="chats or programs count as one (default: 100)")
    serve.add_argument("--seconds", metavar="X", type=float, help="after which no more begin")
    serve.add_argument("--prompt-tokens", metavar="N", type=int, default=128, help="about (default: 128)")
    serve.add_argument("--new-tokens", metavar="N", type=int, default=64, help="of an answer (default: 64)")
    serve.add_argument("--slo-ttft-ms", metavar="X", type=float, help="to the first token at most, for goodput")
    serve.add_argument("--slo-itl-ms", metavar="X", type=float, help="per token at most, on average over an answer")
    serve.add_argument("--warm-up", metavar="N", type=int, default=2, help="that do not count, before (default: 2)")
    serve.add_argument("--timeout", metavar="X", type=float, default=120, help="seconds without a byte (default: 120)")
    serve.add_argument("--seed", metavar="N", type=int, default=0, help="another load (default: 0)")
    serve.add_argument("--json", metavar="FILE", help="write the figures as JSON")
    serve.add_argument("--plot", metavar="FILE", help="draw them, as PNG")
    serve.add_argument("--label", metavar="NAME", help="what the run is called beside others (default: the model)")
    serve.add_argument(
        "--compare", metavar="FILE", action="append", default=[],
        help="show another run beside it, in table and picture: what --json wrote then; may be repeated",
    )  # fmt: skip
    _add_noise(serve)
    serve.set_defaults(command=_bench_serve)


def _add_engine(parser: _Parser) -> None:
    parser.add_argument("--model", metavar="NAME", help="built-in name, folder, GGUF file or hub id (default: smollm2)")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a file of settings, such as sgdsl tune writes: [engine], and [serve] for serve",
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="settings",
        help="an engine setting, such as page_size=1 or weight_format=bfloat16; may be repeated",
    )  # fmt: skip


def _add_backend(parser: _Parser, *, takes_url: bool = False) -> None:
    _add_engine(parser)
    mock = "mock is a dry run without a model: gens get the shortest text that is allowed (default: engine)"
    if takes_url:
        server = "a server's URL: of the OpenAI API if it ends in /v1, else of sgdsl's own"
        parser.add_argument(
            "--backend", metavar="{engine,mock,URL}", type=_backend, default="engine", help=f"{server}; {mock}"
        )
    else:
        parser.add_argument("--backend", choices=("engine", "mock"), default="engine", help=mock)


def _backend(word: str) -> str:
    if word in ("engine", "mock") or word.startswith(("http://", "https://")):
        return word
    raise argparse.ArgumentTypeError(f"{word!r} is not allowed: engine, mock, or a URL")


def _add_noise(parser: _Parser) -> None:
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("-q", "--quiet", action="store_true", help="nothing on stderr but errors")
    noise.add_argument("-v", "--verbose", action="store_true", help="the engine's log, and tracebacks, on stderr")


def _add_trace(commands: argparse._SubParsersAction[_Parser]) -> None:
    trace = commands.add_parser(
        "trace",
        help="show what happened in a recorded run, or what a program would do",
        usage="sgdsl trace [options] RECORD.jsonl | PROGRAM.py [-- ARGUMENTS]",
        description="Shows a record, as `sgdsl run --record FILE` writes it, or the graph of a program.",
    )
    trace.add_argument("program", metavar="FILE", help="a record (.jsonl), or a Python file")
    shape = trace.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="only the totals of a record, as one JSON object")
    shape.add_argument("--html", metavar="FILE", help="write a record as one page that needs no network")
    shape.add_argument("--perfetto", metavar="FILE", help="write a record as a trace for ui.perfetto.dev")
    shape.add_argument("--graph", metavar="FILE", help="write a program's graph: .dot, .svg, .mmd, .json or .txt")
    trace.set_defaults(command=_trace)


def _add_grammars(commands: argparse._SubParsersAction[_Parser]) -> None:
    grammars = commands.add_parser(
        "grammars", help="look into what constrains a text", description="Looks into what constrains a text."
    )
    actions = grammars.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="compile a grammar; show what it warns of, texts it allows, and why it refuses one",
        description="Compiles a grammar for single bytes, no model being needed, and shows what it does.",
        epilog=CHECK_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("file", metavar="FILE", help="a JSON schema, a Lark or GBNF grammar, or a regex")
    check.add_argument("--sample", metavar="N", type=int, default=0, help="print N random texts that it allows")
    check.add_argument("--seed", metavar="N", type=int, default=0, help="other numbers draw other texts (default: 0)")
    check.add_argument("--explain", metavar="TEXT", help="where TEXT leaves the grammar, and what was allowed there")
    check.add_argument("--whitespace", choices=("fixed", "compact", "flexible"), help="of a schema (default: fixed)")
    check.add_argument("--key-order", choices=("schema", "any"), help="of a schema (default: schema)")
    check.add_argument("--engine", metavar="NAME", help="sgdsl, outlines, llguidance or xgrammar (default: sgdsl)")
    check.add_argument("--json", action="store_true", help="as one JSON object")
    check.set_defaults(command=_check_grammar)


def _add_info(commands: argparse._SubParsersAction[_Parser]) -> None:
    info = commands.add_parser(
        "info", help="print versions, machine and models", description="Prints versions, machine and models."
    )
    info.add_argument("--ledger", action="store_true", help="instead, who holds what of a server's KV memory")
    info.add_argument("--url", metavar="URL", help="of that server (default: http://127.0.0.1:30000)")
    info.add_argument("--json", action="store_true", help="as one JSON object")
    info.set_defaults(command=_info)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"sgdsl {version('sgdsl')}")
        parser.exit()


def _run(options: argparse.Namespace) -> int:
    from sgdsl.cli.run import run

    return run(options)


def _trace(options: argparse.Namespace) -> int:
    from sgdsl.cli.trace import trace

    return trace(options)


def _chat(options: argparse.Namespace) -> int:
    from sgdsl.cli.chat import chat

    return chat(options)


def _serve(options: argparse.Namespace) -> int:
    from sgdsl.cli.serve import serve

    return serve(options)


def _tune(options: argparse.Namespace) -> int:
    from sgdsl.cli.tune import tune

    return tune(options)


def _bench_serve(options: argparse.Namespace) -> int:
    from sgdsl.cli.bench.serve import bench_serve

    return bench_serve(options)


def _check_grammar(options: argparse.Namespace) -> int:
    from sgdsl.cli.grammars import check

    return check(options)


def _info(options: argparse.Namespace) -> int:
    from sgdsl.cli.info import info

    return info(options)
