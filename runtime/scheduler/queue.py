"""WaitingQueue: the requests that wait for a place, in the order of their arrival."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from runtime.request import Request

__all__ = ["WaitingQueue"]


class WaitingQueue:
    """Whatever is asked of it for one request costs the same however many wait; a request's priority is not changed."""

    def __init__(self) -> None:
        self._requests: OrderedDict[Request, None] = OrderedDict()
        self._priorities: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def __contains__(self, request: object) -> bool:
        return request in self._requests

    @property
    def highest_priority(self) -> int | None:
        """Of all that wait; None where nobody does."""
        return max(self._priorities, default=None)

    @property
    def has_priorities(self) -> bool:
        """Whether those who wait differ in priority."""
        return len(self._priorities) > 1

    def add(self, request: Request) -> None:
        """A request comes, behind all others."""
        self._requests[request] = None
        self._priorities[request.priority] += 1

    def put_back(self, request: Request) -> None:
        """A request that had a place waits again, before all others."""
        self.add(request)
        self._requests.move_to_end(request, last=False)

    def remove(self, request: Request) -> None:
        """A request waits no longer."""
        del self._requests[request]
        self._priorities[request.priority] -= 1
        if not self._priorities[request.priority]:
            del self._priorities[request.priority]
