"""What the two sides say to each other about one request."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Kind", "Message"]


class Kind(enum.Enum):
    """In the order of a transfer that goes well; the last three end one that does not.

    HELLO: decode has a request, of so many tokens. READY: prefill has queued it. PAGES: where its KV goes.
    DONE: it is there, from every rank. FAILED: prefill has given it up and writes nothing any more.
    ABORT: decode wants it no more. STOPPED: prefill's answer to that: nothing is written any more.
    """

    HELLO = "hello"
    READY = "ready"
    PAGES = "pages"
    DONE = "done"
    FAILED = "failed"
    ABORT = "abort"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Message:
    """One of them.

    Attributes:
        request: its number, never used twice.
        num_tokens: of its prompt, in HELLO.
        rank, pages: of the decode side, in PAGES.
    """

    kind: Kind
    request: int
    num_tokens: int = 0
    rank: int = 0
    pages: tuple[int, ...] = ()
