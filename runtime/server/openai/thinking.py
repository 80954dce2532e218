"""Thinking: whether a model thinks before it answers, and a constraint on the answer alone."""

from __future__ import annotations

from grammars import Regex, Spec
from grammars.spec import AnyOf, Sequence, Stop, StructuralTag
from runtime.reasoning import Reasoning

__all__ = ["behind", "reasoning_in"]


def reasoning_in(template_source: str, prompt: str) -> Reasoning | None:
    """How the answer to this prompt marks reasoning, as the model's chat template shows it.

    Args:
        template_source: a template that writes `<think>` belongs to a model that thinks.
        prompt: it may open the reasoning itself, or close it at once where none is wanted.
    """
    marks = Reasoning()
    if marks.begin not in template_source and marks.end not in template_source:
        return None
    end = prompt.rstrip()
    if end.endswith(marks.end):
        return None
    return Reasoning(is_certain=end.endswith(marks.begin))


def behind(reasoning: Reasoning | None, spec: Spec) -> tuple[Spec, str | None]:
    """A constraint on what follows the reasoning, and the marker it begins behind where there is one for certain.

    Where a model may think or not, as it likes, both are allowed. Free text with calls in it holds thoughts as well.
    """
    if reasoning is None or (isinstance(spec, StructuralTag) and not reasoning.is_certain):
        return spec, None
    if reasoning.is_certain:
        return spec, reasoning.end
    thought = Sequence((reasoning.begin, Stop((reasoning.end,)), Regex("\\n{0,2}"), spec))
    return AnyOf((spec, thought)), None
