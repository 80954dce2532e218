"""What can go wrong in `grammars`.

GrammarError
├── InvalidSpec            the spec itself is wrong: a regex that does not parse, an empty choice (also a ValueError)
├── UnsupportedConstraint  a valid spec that this engine cannot hold to; names keyword and path
├── GrammarLimit           compiling would exceed a limit on states or bytes
│   └── GrammarTimeout     or on seconds: another time it might not
└── GrammarCancelled       compiling was stopped because nobody waited for it any more
"""

from __future__ import annotations

__all__ = ["GrammarCancelled", "GrammarError", "GrammarLimit", "GrammarTimeout", "InvalidSpec", "UnsupportedConstraint"]


class GrammarError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidSpec(GrammarError, ValueError):
    """The spec cannot mean anything: a regex that does not parse, a schema that is no schema."""


class UnsupportedConstraint(GrammarError):
    """A valid spec uses something the engine cannot enforce, and refuses to ignore.

    Args:
        keyword: the schema keyword or regex construct.
        path: where it stands, as a JSON pointer or a character position.
        reason: one clause saying why.
    """

    def __init__(self, keyword: str, path: str, reason: str = "not supported") -> None:
        super().__init__(f"{keyword} at {path or '/'}: {reason}")
        self.keyword = keyword
        self.path = path


class GrammarLimit(GrammarError):
    """Compiling was stopped because it would exceed a configured limit."""


class GrammarTimeout(GrammarLimit):
    """The limit was one on time."""


class GrammarCancelled(GrammarError):
    """Compiling was stopped because nobody waited for the grammar any more."""
