"""Free text, and text up to a stop, as languages; structural tags as rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from grammars.cfg.ebnf import EMPTY, Expression, chain, either
from grammars.cfg.rules import Call, Terminal

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages
    from grammars.spec import Spec, StructuralTag, Tag

__all__ = ["free_text", "tag_rules", "up_to"]


def free_text(languages: Languages, excludes: Iterable[str]) -> Language:
    """Any text in which none of some texts occurs."""
    texts = tuple(excludes)
    if not texts:
        return languages.everything
    anywhere = languages.concat(languages.everything, languages.literals(texts), languages.everything)
    return languages.complement(anywhere)


def up_to(languages: Languages, ends: Iterable[str], stops: Iterable[str], before: Language | None = None) -> Language:
    """Texts that end in one of `ends`, behind `before` if given, where none of `stops` is complete any earlier."""
    before = languages.everything if before is None else before
    texts = languages.concat(before, languages.literals(ends))
    some = languages.concat(languages.any_char, languages.everything)
    early = languages.concat(languages.everything, languages.literals(stops), some)
    return languages.intersect(texts, languages.complement(early))


def tag_rules(
    spec: StructuralTag, name: str, languages: Languages, body: Callable[[Spec], Expression]
) -> dict[str, Expression]:
    """The rules of a structural tag; the first is called `name`, the others begin with it.

    Args:
        spec: the tags.
        name: the name of the rule for the whole text.
        languages: where languages are made.
        body: makes the expression of a tag's body.
    """
    rules: dict[str, Expression] = {}
    texts: list[Expression] = [_terminal(free_text(languages, (*spec.triggers, *spec.excludes)))]
    rest = EMPTY if spec.stop_after_first else Call(f"{name}/text")
    stops = (*spec.triggers, *spec.excludes)
    for number, trigger in enumerate(spec.triggers):
        tags = [tag for tag in spec.tags if tag.begin.startswith(trigger)]
        rules[f"{name}/{number}"] = either(*(_tag(tag, len(trigger), languages, body) for tag in tags))
        lead = languages.intersect(up_to(languages, (trigger,), stops), free_text(languages, spec.excludes))
        texts.append(chain(_terminal(lead), Call(f"{name}/{number}"), rest))
    rules[f"{name}/text"] = either(*texts)
    first = either(*(_tag(tag, 0, languages, body) for tag in spec.tags))
    rules[name] = chain(first, rest) if spec.at_least_one else Call(f"{name}/text")
    return rules


def _tag(tag: Tag, num_read: int, languages: Languages, body: Callable[[Spec], Expression]) -> Expression:
    """A tag, of whose `begin` some characters were read already."""
    begin = _text(tag.begin[num_read:], languages)
    if tag.body is None:
        return chain(begin, _terminal(up_to(languages, tag.ends, tag.ends)))
    return chain(begin, body(tag.body), either(*(_text(end, languages) for end in tag.ends)))


def _text(text: str, languages: Languages) -> Expression:
    return _terminal(languages.literal(text)) if text else EMPTY


def _terminal(language: Language) -> Terminal:
    return Terminal(language, greedy=False)
