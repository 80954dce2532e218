"""ServerQuestion: what is asked of a server now and then, by plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from sgdsl.errors import EndpointError

__all__ = ["ask_server"]

MOST_BYTES = 16 << 20


def ask_server(url: str, path: str, api_key: str | None, *, seconds: float = 10.0, method: str = "GET") -> Any:
    """The answer of a server of ours, as JSON.

    Args:
        url: the server's. path: of the question.

    Raises:
        EndpointError: it cannot be reached, refuses, or answers something else.
    """
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    request = urllib.request.Request(url.rstrip("/") + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return json.loads(response.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            hint = ": api_key is missing or wrong" if error.code == 401 else ""
        raise EndpointError(f"{url}{path}: the server refuses (HTTP {error.code}){hint}") from None
    except (OSError, ValueError) as error:
        raise EndpointError(f"{url}{path}: no answer: {getattr(error, 'reason', error)}") from error
