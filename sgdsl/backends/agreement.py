"""Agreement: whether an answer out of a mock's script is one that its constraint allows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grammars.spec import Spec

__all__ = ["check_answer"]


def check_answer(answer: str, constraint: Spec, after: str | None = None) -> None:
    """Refuses an answer that breaks its constraint.

    Of a JSON schema's answers only that they are JSON is asked, so that scripts need not care for its whitespace.

    Args:
        after: the text the constraint begins behind, if there is one.

    Raises:
        ValueError: the answer is not allowed, or lacks `after`.
        GrammarError: the constraint itself cannot be compiled.
    """
    from grammars.spec import Choice, JsonObject, JsonSchema, Regex

    if after is not None:
        _, marker, answer = answer.partition(after)
        if not marker:
            raise ValueError(f"the script's answer has no {after!r}, behind which its constraint begins")
    if isinstance(constraint, Regex):
        if re.fullmatch(constraint.pattern, answer) is None:
            raise ValueError(f"the script's answer {answer!r} does not match the regex {constraint.pattern}")
    elif isinstance(constraint, Choice):
        if answer not in constraint.options:
            raise ValueError(f"the script's answer {answer!r} is none of {', '.join(constraint.options)}")
    elif isinstance(constraint, JsonSchema | JsonObject):
        if not isinstance(json.loads(answer), dict) and isinstance(constraint, JsonObject):
            raise ValueError(f"the script's answer {answer!r} is not a JSON object")
    else:
        _match(answer, constraint)


def _match(answer: str, constraint: Spec) -> None:
    from sgdsl.backends.example import byte_engine

    matcher = byte_engine().compile(constraint).matcher()
    kind = type(constraint).__name__
    for place, byte in enumerate(answer.encode()):
        if not matcher.accept(byte):
            raise ValueError(f"the script's answer {answer!r} breaks its {kind} constraint at byte {place}")
    if not matcher.is_complete():
        raise ValueError(f"the script's answer {answer!r} is not complete under its {kind} constraint")
