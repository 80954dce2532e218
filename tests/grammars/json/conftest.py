"""Follows forms on Python values: whether they accept a value, and random values that they lead to."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from grammars.json.arrays import ArrayState
from grammars.json.forms import KeyClasses
from grammars.json.node import Node
from grammars.json.objects import ObjectState
from grammars.json.shapes import Shapes
from grammars.regular.language import Language


class Stuck(Exception):
    """Forms promised a value, and led nowhere."""


class Real(float):
    """A number with the text it was read from."""

    text: str


class Whole(int):
    """A whole number with the text it was read from."""

    text: str


def read_number(text: str) -> Real | Whole:
    exact = Decimal(text)
    value = Whole(int(exact)) if exact == exact.to_integral_value() else Real(text)
    value.text = text
    return value


def number_text(value: object) -> str:
    return value.text if isinstance(value, Real | Whole) else format(Decimal(repr(value)), "f")


def random_text(rng: random.Random, language: Language, patience: int = 12) -> str:
    """A text of a language in which every state leads to some text."""
    out, here = [], language
    while True:
        moves = here.moves()
        if here.nullable and (not moves or rng.random() < 0.4 or len(out) > patience):
            return "".join(out)
        if not moves or len(out) > 400:
            raise Stuck(f"text after {''.join(out)!r}")
        if len(out) > patience:
            low, high, here = min(moves, key=lambda move: move[2].shortest)
        else:
            low, high, here = rng.choice(moves)
        out.append(chr(rng.choice([low, high, min(max(low, 98), high)])))


@dataclass
class Follower:
    shapes: Shapes

    def label(self, keys: KeyClasses, name: str) -> int | None:
        if name in keys.names:
            return keys.names.index(name)
        found = [at for at, names in enumerate(keys.classes) if names.contains(name)]
        assert len(found) < 2, "classes overlap"
        return len(keys.names) + found[0] if found else None

    def accepts(self, node: Node, value: Any) -> bool:
        """Whether forms lead through a value, objects in the order they have."""
        forms = self.shapes.forms(node)
        if value is None or isinstance(value, bool):
            return {None: forms.null, True: forms.true, False: forms.false}[value]
        if isinstance(value, str):
            form = forms.string
            within = form is not None and form.low <= len(value) and (form.high is None or len(value) <= form.high)
            return within and form is not None and form.language.contains(value)
        if isinstance(value, list):
            return self._accepts_array(forms.arrays, value)
        if isinstance(value, dict):
            return self._accepts_object(forms.objects, value)
        return forms.number is not None and forms.number.contains(number_text(value))

    def _accepts_array(self, states: tuple[ArrayState, ...], value: list[Any]) -> bool:
        here = set(states)
        for item in value:
            after: set[ArrayState] = set()
            for state in here:
                for left, node in state.next():
                    if self.accepts(node, item):
                        after.update(left.with_item(item) if left.captures else (left,))
            here = after
        return any(state.can_close for state in here)

    def _accepts_object(self, states: tuple[ObjectState, ...], value: dict[str, Any]) -> bool:
        here = set(states)
        for name, held in value.items():
            after: set[ObjectState] = set()
            for state in here:
                label = self.label(state.keys, name)
                for left, node in () if label is None else state.next(label):
                    if self.accepts(node, held):
                        after.update(left.with_name(name) if left.captures else (left,))
            here = after
        return any(state.can_close for state in here)

    def walk(self, node: Node, rng: random.Random, depth: int = 0) -> Any:
        """A random value forms lead to.

        Raises:
            Stuck: a state had no way on.
        """
        forms = self.shapes.forms(node)
        kinds = [kind for kind in ("null", "true", "false", "string", "number") if getattr(forms, kind)]
        if depth < 5 or not kinds:
            kinds += [kind for kind in ("objects", "arrays") if getattr(forms, kind)] * 3
        if not kinds:
            raise Stuck("no kind of value")
        match rng.choice(kinds):
            case "string":
                form, languages = forms.string, self.shapes.languages
                assert form is not None
                bounds = languages.repeat(languages.any_char, form.low, form.high)
                return random_text(rng, languages.intersect(form.language, bounds))
            case "number":
                assert forms.number is not None
                return read_number(random_text(rng, forms.number))
            case "objects":
                return self._walk_object(rng.choice(forms.objects), rng, depth + 1)
            case "arrays":
                return self._walk_array(rng.choice(forms.arrays), rng, depth + 1)
            case kind:
                return {"null": None, "true": True, "false": False}[kind]

    def _walk_array(self, state: ArrayState, rng: random.Random, depth: int) -> list[Any]:
        out: list[Any] = []
        while not state.can_close or (state.can_continue() and rng.random() < (0.6 if len(out) + depth < 6 else 0)):
            if not state.can_continue() or len(out) > 40:
                raise Stuck(f"array after {out}")
            left, node = rng.choice(state.next())
            out.append(self.walk(node, rng, depth))
            ways = left.with_item(out[-1]) if left.captures else (left,)
            if not ways:
                raise Stuck(f"array after item {out}")
            state = rng.choice(ways)
        return out

    def _walk_object(self, state: ObjectState, rng: random.Random, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while not state.can_close or (state.can_continue() and rng.random() < (0.6 if len(out) + depth < 6 else 0)):
            keys = state.keys
            labels = [label for label in range(len(keys.names) + len(keys.classes)) if state.allows(label)]
            if not labels or len(out) > 400:
                raise Stuck(f"object after {out}")
            label = rng.choice(labels)
            name = keys.names[label] if label < len(keys.names) else self._other_name(keys, label, rng)
            left, node = rng.choice(state.next(label))
            out[name] = self.walk(node, rng, depth)
            state = rng.choice(left.with_name(name) if left.captures else (left,))
        return out

    def _other_name(self, keys: KeyClasses, label: int, rng: random.Random) -> str:
        languages = self.shapes.languages
        declared = languages.complement(languages.literals(keys.names))
        return random_text(rng, languages.intersect(keys.classes[label - len(keys.names)], declared), patience=2)


@pytest.fixture
def follower() -> Callable[[Shapes], Follower]:
    return Follower
