"""Operation: what the document says of one route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

__all__ = ["Operation", "Query", "Trouble"]


class Trouble(Enum):
    """What can keep a route from succeeding, as statuses."""

    BAD = (400,)
    BODY = (400, 408, 413)
    ABSENT = (404,)
    WORK = (408, 429, 499, 503)
    ENGINE = (503,)
    BUSY = (429,)
    LACKING = (501,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parameter in the URL's query; `schema` is its JSON schema."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        path: as the application's router names it.
        tag: the group it is shown in.
        summary: what it does.
        answer: the model of its JSON answer; None where it has no such.
        status: of success.
        is_list: the answer may be a list of such models too.
        body: the model of the request's body.
        query: parameters.
        streams: with `stream` in the body, the answer is server-sent events.
        troubles: what else may happen.
        media_type: of the answer, where it is no JSON.
        is_open: nobody needs a key for it.
    """

    method: str
    path: str
    tag: str
    summary: str
    answer: type[BaseModel] | None = None
    status: int = 200
    is_list: bool = False
    body: type[BaseModel] | None = None
    query: tuple[Query, ...] = ()
    streams: bool = False
    troubles: tuple[Trouble, ...] = ()
    media_type: str = "application/json"
    is_open: bool = False

    @property
    def statuses(self) -> list[int]:
        """Statuses of failures, a missing key left out."""
        return sorted({status for trouble in self.troubles for status in trouble.value})
