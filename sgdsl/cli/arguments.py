"""Arguments: words after `--` are bound to the signature of a program."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sgdsl.cli.conversion import convert, describe, element, gather
from sgdsl.cli.errors import UsageError

if TYPE_CHECKING:
    from sgdsl.program import Program

__all__ = ["Arguments", "Parameter"]

Kind = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a program.

    Attributes:
        annotation: its type; of what one word of it is, when it takes many.
    """

    name: str
    kind: Any
    annotation: Any
    default: Any

    @property
    def option(self) -> str:
        """How it is written."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_many(self) -> bool:
        """It takes any number of words."""
        return element(self.annotation) is not None

    @property
    def is_required(self) -> bool:
        """It has no default."""
        return self.default is Kind.empty

    def value(self, words: Sequence[str]) -> Any:
        """Its value, of the words given for it.

        Raises:
            UsageError: naming it, the word and what is allowed.
        """
        try:
            if self.is_many:
                return gather([convert(word, element(self.annotation)) for word in words], self.annotation)
            return convert(words[-1], self.annotation)
        except ValueError as error:
            raise UsageError(f"{self.option}: {error}") from None


@dataclass(slots=True)
class Arguments:
    """The parameters of a program, and what words say about them.

    Attributes:
        given: words by parameter. extra: words for `*args` and `**kwargs`.
    """

    parameters: list[Parameter]
    var_positional: Parameter | None = None
    var_keyword: Parameter | None = None
    given: dict[str, list[str]] = field(default_factory=dict)
    extra_words: list[str] = field(default_factory=list)
    extra_named: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> Arguments:
        """The parameters a program takes, those fixed by `bind` left out.

        Raises:
            UsageError: its annotations cannot be read.
        """
        try:
            hints = typing.get_type_hints(program.func)
        except Exception as error:  # an annotation is the user's code, it may raise anything
            raise UsageError(f"the annotations of {program.name} cannot be read: {error}") from error
        found = [
            Parameter(one.name, one.kind, _annotation(one, hints), one.default)
            for one in program.signature.parameters.values()
            if one.name not in program.bound
        ]
        plain = [one for one in found if one.kind not in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)]
        by_kind = {one.kind: one for one in found}
        return cls(plain, by_kind.get(Kind.VAR_POSITIONAL), by_kind.get(Kind.VAR_KEYWORD))

    def bind(self, words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for the function.

        Raises:
            UsageError: an unknown, missing or surplus argument, or a value that is not allowed.
        """
        self._place(self._take_options(list(words)))
        missing = [one for one in self.parameters if one.is_required and one.name not in self.given]
        if missing:
            wanted = ", ".join(f"{one.option} ({describe(one.annotation)})" for one in missing)
            raise UsageError(f"the program needs {wanted}")
        values = {one.name: self._value_of(one) for one in self.parameters}
        ordered = [one.name for one in self.parameters if one.kind is not Kind.KEYWORD_ONLY]
        named = {name: value for name, value in values.items() if name not in ordered}
        if self.var_keyword is not None:
            named |= {key: convert(word, self.var_keyword.annotation) for key, word in self.extra_named.items()}
        extra = [convert(word, self.var_positional.annotation) for word in self.extra_words if self.var_positional]
        if not extra and all(one.kind is not Kind.POSITIONAL_ONLY for one in self.parameters):
            return [], {name: values[name] for name in ordered} | named  # by name, so that bound ones may come first
        return [values[name] for name in ordered] + extra, named

    def given_values(self, words: Sequence[str]) -> dict[str, Any]:
        """What the words say, by name, and nothing for parameters they do not name.

        Raises:
            UsageError: an unknown or surplus argument, or a value that is not allowed.
        """
        self._place(self._take_options(list(words)))
        return {one.name: self._value_of(one) for one in self.parameters if one.name in self.given}

    def _value_of(self, parameter: Parameter) -> Any:
        words = self.given.get(parameter.name)
        return parameter.default if words is None else parameter.value(words)

    def _take_options(self, words: list[str]) -> list[str]:
        """Takes every `--name value` out and returns the words left."""
        left: list[str] = []
        while words:
            word = words.pop(0)
            if word == "--":
                return left + words
            if word.startswith("--"):
                self._take_option(word, words)
            else:
                left.append(word)
        return left

    def _take_option(self, word: str, following: list[str]) -> None:
        written, has_value, value = word[2:].partition("=")
        name = written.replace("-", "_")
        parameter = next((one for one in self.parameters if one.name == name), None)
        off = next((one for one in self.parameters if "no_" + one.name == name and one.annotation is bool), None)
        if parameter is None and off is not None and not has_value:
            parameter, has_value, value = off, "=", "false"
        if parameter is None:
            if self.var_keyword is None:
                raise UsageError(f"the program has no argument --{written}; it has {self._names()}")
            self.extra_named[name] = value if has_value else _next(word, following)
            return
        if parameter.name in self.given and not parameter.is_many:
            raise UsageError(f"{parameter.option} is given twice")
        self.given.setdefault(parameter.name, []).extend([value] if has_value else _words(parameter, following))

    def _place(self, words: list[str]) -> None:
        """Gives words without a name to the parameters that are left, in order."""
        for parameter in self.parameters:
            if parameter.name in self.given or parameter.kind is Kind.KEYWORD_ONLY or not words:
                continue
            count = len(words) if parameter.is_many else 1
            self.given[parameter.name] = [words.pop(0) for _ in range(count)]
        if words and self.var_positional is None:
            raise UsageError(f"{words[0]!r} is one argument too many; the program takes {self._names()}")
        self.extra_words = words

    def _names(self) -> str:
        return ", ".join(one.option for one in self.parameters) or "none"

    def help(self, program: Program, file: str) -> str:
        """What `-- --help` prints."""
        lines = [f"usage: sgdsl run {file} -- {' '.join(map(_usage, self.parameters))}".rstrip(" -")]
        if documentation := inspect.getdoc(program.func):
            lines += ["", documentation]
        rows = [(one.option, _explained(one)) for one in self.parameters]
        width = max((len(option) for option, _ in rows), default=0)
        return "\n".join([*lines, *([""] if rows else []), *(f"  {option:<{width}}  {text}" for option, text in rows)])


def _annotation(parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
    """A parameter's type; without an annotation, that of its default."""
    if parameter.name in hints:
        return hints[parameter.name]
    return type(parameter.default) if isinstance(parameter.default, int | float | str) else str


def _words(parameter: Parameter, following: list[str]) -> list[str]:
    """The words that belong to an option."""
    if parameter.annotation is bool:
        is_value = bool(following) and following[0].lower() in ("true", "false")
        return [following.pop(0) if is_value else "true"]
    words = [_next(parameter.option, following)]
    while parameter.is_many and following and not following[0].startswith("--"):
        words.append(following.pop(0))
    return words


def _next(option: str, following: list[str]) -> str:
    if not following or following[0].startswith("--"):
        raise UsageError(f"{option} needs a value")
    return following.pop(0)


def _usage(parameter: Parameter) -> str:
    written = f"{parameter.option} {parameter.name.upper()}{' …' if parameter.is_many else ''}"
    return written if parameter.is_required else f"[{written}]"


def _explained(parameter: Parameter) -> str:
    note = "" if parameter.is_required else f" (default: {parameter.default!s})"
    return describe(parameter.annotation) + note
