"""Keys: `sgdsl keys`. A file of API keys' hashes, for `sgdsl serve --api-keys`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sgdsl.cli.errors import UsageError

__all__ = ["add_options", "keys"]


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds the command's words and options."""
    command.add_argument("action", choices=["add", "list", "remove"], metavar="add|list|remove", help="what to do")
    command.add_argument("name", metavar="NAME", nargs="?", help="whose key")
    command.add_argument("--file", metavar="FILE", default="keys.json", help="where hashes are (default: keys.json)")
    command.add_argument("--namespace", metavar="NAME", help="whose cache is used (default: one of its own)")
    command.add_argument("--max-concurrent", metavar="N", type=int, help="requests at once (default: no limit)")
    command.add_argument("--may-share", action="store_true", help="uses the cache that all such keys share")
    command.add_argument("--admin", action="store_true", help="may do what concerns everybody")


def keys(options: argparse.Namespace) -> int:
    """Adds a key and prints it once, lists keys' names, or removes one; returns the exit code.

    Raises:
        UsageError: the file or the words do not fit.
    """
    from runtime.errors import ConfigError
    from runtime.server.access.key_file import add_key, read_keys, remove_key

    path = Path(options.file)
    if (options.name is None) != (options.action == "list"):
        raise UsageError(f"keys {options.action}: {'no NAME is allowed' if options.name else 'NAME is needed'}")
    try:
        if options.action == "add":
            key = add_key(
                path, options.name, namespace=options.namespace, max_concurrent=options.max_concurrent,
                may_share=options.may_share, is_admin=options.admin,
            )  # fmt: skip
            print(f"sgdsl: {path} holds its hash; the key is shown this once", file=sys.stderr)
            print(key)
        elif options.action == "list":
            for entry in read_keys(path):
                print(entry.name)
        else:
            remove_key(path, options.name)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    return 0
