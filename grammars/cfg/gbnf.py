"""GBNF: the grammar notation of llama.cpp, and of xgrammar's EBNF as far as it says the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grammars.cfg.ebnf import EMPTY, Ebnf, Expression, Repeated, chain, either
from grammars.cfg.rules import Call, Special, Terminal
from grammars.cfg.scanner import Scanner, Token
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages
    from grammars.spec import Gbnf

__all__ = ["ebnf_of_gbnf"]

TOKENS = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
    |(?P<define>::=)
    |(?P<name>[A-Za-z0-9_][A-Za-z0-9_-]*)
    |(?P<literal>"(?:[^"\\\n]|\\.)*")
    |(?P<set>\[(?:[^\]\\\n]|\\.)*\])
    |(?P<special>!?<[^<>\s]+>)
    |(?P<counts>\{\s*\d+\s*(?:,\s*\d*\s*)?\})
    |(?P<operator>[*+?])
    |(?P<lookahead>\(=)
    |(?P<open>\()
    |(?P<close>\))
    |(?P<bar>\|)
    |(?P<any>\.)""",
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|(.)", re.DOTALL)
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "b": "\b", "e": "\x1b", "0": "\0"}
LITERALLY = "\\\"'[]-^./?"
"""Characters that a backslash leaves as they are."""
STARTS = ("name", "literal", "set", "special", "open", "any", "lookahead")
OPERATORS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def ebnf_of_gbnf(spec: Gbnf, languages: Languages) -> Ebnf:
    """Reads a grammar. Its terminals may end anywhere.

    A newline does not end a rule; the next `name ::=` does.

    Raises:
        InvalidSpec: the text does not parse, or a rule is missing or defined twice.
        UnsupportedConstraint: it uses lookahead, macros, tokens by number or excluded tokens.
        GrammarLimit: it is too long or nested too deeply.
    """
    reader = _Reader(spec.text, languages)
    try:
        rules = reader.rules()
        if spec.root not in rules:
            raise InvalidSpec(f"gbnf: there is no rule {spec.root}")
        return Ebnf(spec.root, rules)
    except RecursionError:
        raise GrammarLimit("gbnf: nested too deeply") from None


class _Reader:
    def __init__(self, text: str, languages: Languages) -> None:
        self._scanner = Scanner("gbnf", text, TOKENS)
        self._languages = languages

    def rules(self) -> dict[str, Expression]:
        """All rules of the text."""
        rules: dict[str, Expression] = {}
        name = self._scanner.expect("name")
        while True:
            if name.text in rules:
                self._scanner.fail(name, "the rule is defined already")
            self._scanner.expect("define")
            rules[name.text], following = self._options()
            if following is None:
                self._scanner.expect("end")
                return rules
            name = following

    def _options(self) -> tuple[Expression, Token | None]:
        """Alternatives, and the name of the rule that follows them, if one does."""
        options: list[Expression] = []
        while True:
            option, following = self._sequence()
            options.append(option)
            if following is not None or self._scanner.take("bar") is None:
                return either(*options), following

    def _sequence(self) -> tuple[Expression, Token | None]:
        items: list[Expression] = []
        while (token := self._scanner.take(*STARTS)) is not None:
            if token.kind == "name" and self._scanner.peek().kind == "define":
                return chain(*items), token
            items.append(self._repeated(self._atom(token)))
        return chain(*items), None

    def _atom(self, token: Token) -> Expression:
        if token.kind == "name":
            if self._scanner.peek().kind == "open" and token.text in ("TagDispatch", "TokenTagDispatch", "Token"):
                raise self._unsupported(f"macro {token.text}", token)
            return Call(token.text)
        if token.kind == "literal":
            text = "".join(char for char, _ in self._characters(token))
            return self._terminal(self._languages.literal(text)) if text else EMPTY
        if token.kind == "set":
            return self._terminal(self._set(token))
        if token.kind == "any":
            return self._terminal(self._languages.any_char)
        if token.kind == "special":
            if token.text.startswith(("!", "<[")):
                raise self._unsupported(f"token {token.text}", token)
            return Special(token.text)
        if token.kind == "lookahead":
            raise self._unsupported("lookahead", token)
        inner, following = self._options()
        if following is not None:
            self._scanner.fail(following, "a group is not closed")
        self._scanner.expect("close")
        return inner

    def _repeated(self, item: Expression) -> Expression:
        while (token := self._scanner.take("operator", "counts")) is not None:
            low, high = OPERATORS.get(token.text) or self._counts(token)
            item = EMPTY if high == 0 else Repeated(item, low, high)
        return item

    def _counts(self, token: Token) -> tuple[int, int | None]:
        low, comma, high = token.text[1:-1].replace(" ", "").partition(",")
        if len(low) > 9 or len(high) > 9:
            raise GrammarLimit(f"gbnf: {self._scanner.where(token.offset)}: {token.text} is more than 999999999")
        counts = int(low), (int(high) if high else None) if comma else int(low)
        if counts[1] is not None and counts[1] < counts[0]:
            self._scanner.fail(token, "the greater count comes first")
        return counts

    def _characters(self, token: Token) -> list[tuple[str, bool]]:
        """The characters of a literal or set with their escapes read, and whether each was escaped."""
        characters: list[tuple[str, bool]] = []
        for escape, plain in ESCAPE.findall(token.text[1:-1]):
            if plain:
                characters.append((plain, False))
            elif len(escape) > 1:
                code = int(escape[1:], 16)
                if code > 0x10FFFF:
                    self._scanner.fail(token, f"\\{escape} is no character")
                characters.append((chr(code), True))
            elif escape in ESCAPED or escape in LITERALLY:
                characters.append((ESCAPED.get(escape, escape), True))
            else:
                self._scanner.fail(token, f"\\{escape} is no escape")
        return characters

    def _set(self, token: Token) -> Language:
        characters = self._characters(token)
        negated = bool(characters) and characters[0] == ("^", False)
        characters = characters[negated:]
        ranges: list[tuple[int, int]] = []
        while characters:
            low = high = ord(characters.pop(0)[0])
            if len(characters) > 1 and characters[0] == ("-", False):
                high = ord(characters[1][0])
                characters = characters[2:]
            if high < low:
                self._scanner.fail(token, f"{chr(low)}-{chr(high)} is the wrong way round")
            ranges.append((low, high))
        chars = self._languages.ranges(ranges)
        if not negated:
            return chars
        return self._languages.intersect(self._languages.any_char, self._languages.complement(chars))

    def _terminal(self, language: Language) -> Terminal:
        return Terminal(language, greedy=False)

    def _unsupported(self, construct: str, token: Token) -> UnsupportedConstraint:
        return UnsupportedConstraint(construct, self._scanner.where(token.offset), "not supported in gbnf")
