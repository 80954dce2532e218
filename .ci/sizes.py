"""Prints how large every package is, and fails where a file or a function outgrows the house rules."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

PACKAGES = ("sgdsl", "runtime", "grammars", "tests", "examples", "benchmarks")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
BANNED_NAMES = ("utils.py", "common.py", "helpers.py", "misc.py")


def functions(source: str) -> list[tuple[str, int, int]]:
    """Name, first line and lines of code of every function; its signature and docstring are not code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            start = body[0].lineno if body else node.lineno
            found.append((node.name, node.lineno, (node.end_lineno or start) - start + 1))
    return found


def complaints(path: Path, source: str) -> list[str]:
    """What is wrong with one file."""
    lines = source.count("\n")
    found = [f"{path}: {lines} lines, at most {MAX_FILE_LINES}"] if lines > MAX_FILE_LINES else []
    if path.name in BANNED_NAMES:
        found.append(f"{path}: a name that hides what is inside")
    kernel = "kernel" in path.name
    for name, line, length in functions(source):
        if length > MAX_FUNCTION_LINES and not kernel:
            found.append(f"{path}:{line}: {name} has {length} lines, at most {MAX_FUNCTION_LINES}")
    return found


def main() -> int:
    """Prints the table and whatever is too large."""
    found: list[str] = []
    print(f"{'package':<12}{'files':>6}{'lines':>8}{'median':>8}{'longest':>9}  longest file")
    for package in PACKAGES:
        sizes: dict[Path, int] = {}
        for path in sorted(Path(package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            sizes[path] = source.count("\n")
            found += complaints(path, source)
        if sizes:
            longest = max(sizes, key=lambda path: sizes[path])
            median = statistics.median(sizes.values())
            total = sum(sizes.values())
            print(f"{package:<12}{len(sizes):>6}{total:>8}{median:>8.0f}{sizes[longest]:>9}  {longest}")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
