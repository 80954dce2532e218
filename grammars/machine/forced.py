"""Forced bytes as tokens: only those that the canonical tokenization of the whole text is sure to have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["certain_tokens"]


def certain_tokens(
    before: bytes,
    forced: bytes,
    reached_over: Sequence[int],
    encode: Callable[[str], list[int]],
    tokens: Sequence[bytes | None],
) -> list[int]:
    """The first tokens of a forced text that every allowed continuation leaves as they are.

    The canonical tokenization of a longer text can differ from that of the forced text alone only where one token
    reaches over the forced text's end; up to where that token begins, the text is tokenized as if it ended there.

    Args:
        before: the text before it, back to a boundary between tokens.
        forced: the forced text.
        reached_over: the offsets in `forced` at which some token begins that reaches over its end and is allowed.
        encode: the canonical tokenizer.
        tokens: the bytes of every token.

    Returns:
        The tokens; none where the tokenizer would not put a boundary between `before` and `forced`.
    """
    certain = _tokens_behind(before, forced, encode, tokens)
    for offset in reached_over:
        if not certain:
            break
        shorter = _tokens_behind(before, forced[:offset], encode, tokens)
        common = 0
        while common < min(len(certain), len(shorter)) and certain[common] == shorter[common]:
            common += 1
        del certain[common:]
    return certain


def _tokens_behind(
    before: bytes, text: bytes, encode: Callable[[str], list[int]], tokens: Sequence[bytes | None]
) -> list[int]:
    """The tokens of `text` behind `before`, without a character that is cut off at its end."""
    whole = (before + text).decode("utf-8", "ignore")
    position, behind = 0, []
    for token in encode(whole):
        if position >= len(before):
            behind.append(token)
        position += len(tokens[token] or b"")
        if position > len(before) and not behind:
            return []
    return behind if position <= len(before) + len(text) else []
