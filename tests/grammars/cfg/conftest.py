from collections.abc import Callable

import pytest

from grammars.cfg.rules import Call, Embedded, Rules, Special, Symbol, Terminal
from grammars.cfg.specs import rules_of
from grammars.regular.language import Languages
from grammars.spec import Spec


class Recogniser:
    """Whether a text is derived from rules, by trying everything; a special token reads its name."""

    def __init__(self, rules: Rules, text: str) -> None:
        self._rules = rules
        self._text = text
        self._known: dict[tuple[str, int], frozenset[int]] = {}

    def accepts(self) -> bool:
        return len(self._text) in self._after_rule(self._rules.start, 0)

    def _after_rule(self, rule: str, start: int) -> frozenset[int]:
        if (rule, start) not in self._known:
            found: set[int] = set()
            for production in self._rules.productions[rule]:
                ends = {start}
                for symbol in production:
                    ends = {end for place in ends for end in self._after(symbol, place)}
                found |= ends
            self._known[rule, start] = frozenset(found)
        return self._known[rule, start]

    def _after(self, symbol: Symbol, start: int) -> frozenset[int] | set[int]:
        if isinstance(symbol, Call):
            return self._after_rule(symbol.rule, start)
        if isinstance(symbol, Special):
            return {start + len(symbol.name)} if self._text.startswith(symbol.name, start) else set()
        if isinstance(symbol, Embedded):
            return {start + 2} if self._text.startswith("{}", start) else set()
        return self._after_terminal(symbol, start)

    def _after_terminal(self, terminal: Terminal, start: int) -> set[int]:
        ends: set[int] = set()
        language = terminal.language
        for place in range(start, len(self._text) + 1):
            code = ord(self._text[place]) if place < len(self._text) else -1
            following = next((after for low, high, after in language.moves() if low <= code <= high), None)
            if language.nullable and (following is None or not terminal.greedy):
                ends.add(place)
            if following is None:
                break
            language = following
        return ends


@pytest.fixture
def languages() -> Languages:
    return Languages()


@pytest.fixture
def recognises() -> Callable[[Rules, str], bool]:
    """Whether a text is derived from rules."""
    return lambda rules, text: Recogniser(rules, text).accepts()


@pytest.fixture
def accepts(languages: Languages) -> Callable[[Spec], Callable[[str], bool]]:
    """Compiles a spec to rules; what it returns tells whether a text is derived from them."""

    def compiled(spec: Spec) -> Callable[[str], bool]:
        rules = rules_of(spec, languages)
        return lambda text: Recogniser(rules, text).accepts()

    return compiled
