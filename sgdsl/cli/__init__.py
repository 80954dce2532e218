"""The command line: `sgdsl run`, `sgdsl trace` and others. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 failed, 2 asked wrongly, 130 interrupted; a program's own `sys.exit` is passed on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from sgdsl.cli.errors import CommandError
from sgdsl.cli.parser import build_parser, split

__all__ = ["main"]

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: words after `sgdsl`; the process's own unless given.
    """
    own, rest = split(sys.argv[1:] if argv is None else argv)
    try:
        options = build_parser().parse_args(own)
        options.rest = rest
        return int(options.command(options))
    except SystemExit:  # argparse has printed the help; what a program exits with does not come this far
        return 0
    except CommandError as error:
        print(f"sgdsl: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("sgdsl: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
