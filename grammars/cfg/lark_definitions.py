"""What a Lark grammar defines, with what it imports from the grammars that Lark itself ships."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import resources

from grammars.cfg.lark_text import (
    Alternatives,
    Counted,
    Declaration,
    Definition,
    Ignored,
    Import,
    Name,
    Node,
    Row,
    Statement,
    Use,
    statements_of,
)
from grammars.errors import InvalidSpec, UnsupportedConstraint

__all__ = ["Definitions"]

BUNDLED = ("common", "lark", "python", "unicode")
"""The grammars that come with Lark; nothing else is read, from no file."""


class Definitions:
    """Rules and templates, terminals (None for one only declared), and what is ignored, by name."""

    def __init__(self) -> None:
        self.rules: dict[str, Definition] = {}
        self.terminals: dict[str, Node | None] = {}
        self.ignored: list[Node] = []

    @classmethod
    def of_text(cls, text: str) -> Definitions:
        """Reads a grammar text and what it imports.

        Raises:
            InvalidSpec: the text does not parse, or something is missing or defined twice.
            UnsupportedConstraint: it imports from elsewhere than Lark's own grammars.
            GrammarLimit: it is too long or nested too deeply.
        """
        definitions = cls()
        definitions._read(statements_of(text), lambda name: name)
        return definitions

    def _read(self, statements: Iterable[Statement], renamed: Callable[[str], str]) -> None:
        kept = list(statements)
        imports: dict[tuple[str, ...], dict[str, str]] = {}
        for statement in kept:
            if isinstance(statement, Import):
                imports.setdefault(statement.path, {}).update(statement.names)
        for path, names in imports.items():
            self._import(path, names, renamed)
        for statement in kept:
            if isinstance(statement, Definition):
                self._define(_renamed_definition(statement, renamed))
            elif isinstance(statement, Declaration):
                self.terminals.update(dict.fromkeys(map(renamed, statement.names)))
            elif isinstance(statement, Ignored):
                self.ignored.append(_renamed(statement.body, renamed))

    def _define(self, definition: Definition) -> None:
        name, is_rule = definition.name, not _is_terminal(definition.name)
        known = name in self.rules or name in self.terminals
        if known != (definition.manner != "define"):
            raise InvalidSpec(f"lark: {name} is {'defined twice' if known else 'not there to be changed'}")
        if definition.manner == "extend":
            before = self.rules[name].body if is_rule else self.terminals[name]
            if before is None or (is_rule and self.rules[name].parameters != definition.parameters):
                raise InvalidSpec(f"lark: {name} cannot be extended so")
            body = Alternatives((definition.body, before))
            definition = Definition(name, definition.parameters, body, "define")
        if is_rule:
            self.rules[name] = definition
        else:
            self.terminals[name] = definition.body

    def _import(self, path: tuple[str, ...], names: Mapping[str, str], outer: Callable[[str], str]) -> None:
        if len(path) != 1 or path[0] not in BUNDLED:
            shown = ".".join(path).replace("..", ".")
            raise UnsupportedConstraint("%import", shown, f"only {', '.join(BUNDLED)} can be imported from")
        module = path[0]
        imported = Definitions()
        text = resources.files("lark").joinpath("grammars", f"{module}.lark").read_text(encoding="utf-8")
        imported._read(statements_of(text), lambda name: outer(names.get(name) or _inside(module, name)))
        for name, alias in names.items():
            if outer(alias) not in imported.rules and outer(alias) not in imported.terminals:
                raise InvalidSpec(f"lark: {module} has no {name}")
        # What the names need comes along, and what is ignored there does not.
        self.rules |= imported.rules
        self.terminals |= imported.terminals


def _inside(module: str, name: str) -> str:
    """A name of an imported grammar that was not imported itself."""
    return f"{module.upper()}__{name}" if _is_terminal(name) else f"{module}__{name}"


def _is_terminal(name: str) -> bool:
    return name.strip("_")[0].isupper()


def _renamed_definition(definition: Definition, renamed: Callable[[str], str]) -> Definition:
    parameters = tuple(map(renamed, definition.parameters))
    return Definition(renamed(definition.name), parameters, _renamed(definition.body, renamed), definition.manner)


def _renamed(node: Node, renamed: Callable[[str], str]) -> Node:
    if isinstance(node, Name):
        return Name(renamed(node.name))
    if isinstance(node, Row):
        return Row(tuple(_renamed(item, renamed) for item in node.items))
    if isinstance(node, Alternatives):
        return Alternatives(tuple(_renamed(option, renamed) for option in node.options))
    if isinstance(node, Counted):
        return Counted(_renamed(node.item, renamed), node.low, node.high)
    if isinstance(node, Use):
        return Use(renamed(node.name), tuple(_renamed(argument, renamed) for argument in node.arguments))
    return node
