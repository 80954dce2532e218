"""ProgramFile: a Python file, and what of it is to be run; or a graph."""

from __future__ import annotations

import ast
import runpy
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.program import Program

__all__ = ["ProgramFile"]

MODULE = "sgdsl_program"
"""The imported file's module name: one that no other module has, whatever the file is called."""


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A file that was read.

    Attributes:
        path: as the user wrote it.
        program: the function to run; None when the file is to be run as a script.
    """

    path: Path
    program: Program | None

    @classmethod
    def load(cls, path: Path, words: Sequence[str]) -> ProgramFile:
        """Imports a file, not as `__main__`, with its folder first on `sys.path` and `words` in `sys.argv`.

        A `.json` file is a graph.

        Raises:
            UsageError: there is no such file, or nothing in it can be run.
            CommandError: it is no Python, or no graph.
        """
        source = _read(path)
        if path.suffix == ".json":
            return cls(path, _graph_program(path, source))
        try:
            tree = ast.parse(source, str(path))
            code = compile(tree, str(path), "exec")
        except SyntaxError as error:
            raise CommandError(f"{path}:{error.lineno or 1}: {error.msg}") from error
        except ValueError as error:
            raise CommandError(f"{path}: {error}") from error
        sys.path.insert(0, str(path.resolve().parent))  # `runtime` and `grammars` are imported already
        sys.argv = [str(path), *words]
        module = types.ModuleType(MODULE)
        module.__file__ = str(path)
        sys.modules[MODULE] = module
        exec(code, module.__dict__)
        return cls(path, _program(path, vars(module), has_main_block=_has_main_block(tree)))

    def run_script(self) -> None:
        """Runs the file as Python itself would."""
        runpy.run_path(str(self.path), run_name="__main__")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no file {path}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _graph_program(path: Path, source: bytes) -> Program:
    from sgdsl.compiled import CompiledProgram
    from sgdsl.errors import CheckFailed, InvalidArgument
    from sgdsl.ir import Graph

    try:
        return CompiledProgram(Graph.from_json(source.decode("utf-8"))).program
    except (InvalidArgument, CheckFailed, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}") from error


def _program(path: Path, names: dict[str, object], *, has_main_block: bool) -> Program | None:
    main = names.get("main")
    if isinstance(main, Program):
        return main
    own = {id(one): one for one in names.values() if isinstance(one, Program) and one.func.__module__ == MODULE}
    if len(own) == 1:
        return next(iter(own.values()))
    if has_main_block:
        return None
    if not own:
        raise UsageError(f'{path} has no @function, and no `if __name__ == "__main__"` block')
    listed = ", ".join(one.name for one in own.values())
    raise UsageError(f"{path} has several functions ({listed}): call the one to run `main`")


def _has_main_block(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and _is_main_test(node.test) for node in tree.body)


def _is_main_test(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = (test.left, test.comparators[0])
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    values = [side.value for side in sides if isinstance(side, ast.Constant)]
    return names == ["__name__"] and values == ["__main__"] and isinstance(test.ops[0], ast.Eq)
