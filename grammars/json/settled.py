"""What the grammars of all schemas share: the languages of unbounded numbers, and states made beforehand."""

from __future__ import annotations

from decimal import Decimal

from grammars.json.frames import JsonFrames
from grammars.json.ground import JsonGround
from grammars.json.node import TRUE, MultipleOf, Nodes, WrittenWhole
from grammars.json.numbers import number_language
from grammars.json.shapes import Shapes
from grammars.machine.machine import Machine
from grammars.regular.language import Languages
from grammars.regular.shared import SharedLanguages
from grammars.spec import Whitespace

__all__ = ["common_languages", "settled_ground"]

NUMBERS = (("all",), MultipleOf(Decimal(1)), WrittenWhole())
"""Any number, and what counts as an integer in newer and older drafts."""


def common_languages() -> Languages:
    """A settled arena with the numbers that most schemas ask for."""
    languages = Languages()
    for formula in NUMBERS:
        number_language(languages, formula)
    languages.settle()
    return languages


def settled_ground(
    machine: Machine, whitespace: Whitespace, languages: Languages, shared: SharedLanguages
) -> JsonGround:
    """What documents stand on, with all its states made, for others to begin as copies of.

    Args:
        machine: a new one.
        whitespace: see `grammars.spec.JsonSchema`.
        languages: those of `common_languages`.
        shared: languages that many grammars have.
    """
    ground = JsonGround(machine, whitespace, shared)
    everything = languages.everything
    ground.any_string.state(everything)
    ground.any_name.state(everything)
    for formula in NUMBERS:
        ground.number_moves(number_language(languages, formula))
    own = Languages(base=languages)
    shapes = Shapes(own, Nodes())
    frames, anything = JsonFrames(ground, shapes, own), shapes.forms(TRUE)
    value = frames.value(TRUE)
    machine.settle()
    ground.values[TRUE] = value
    ground.free_object, ground.free_array = frames.object(anything.objects[0]), frames.array(anything.arrays[0])
    return ground
