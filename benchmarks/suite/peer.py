"""Peer: a server of the OpenAI API, whoever made it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import sgdsl as sg
from benchmarks.suite.processor import listeners, seconds_of
from sgdsl.backends.base import Backend
from sgdsl.backends.openai_fields import Extra

__all__ = ["PeerSide", "PeerUnusable", "peers_of"]

MAKERS: dict[str, Extra] = {"llamacpp": "llamacpp", "vllm": "vllm", "sglang": "sglang", "sgdsl": "sglang"}
"""By what a server says it is (`owned_by` of its model): whose fields it takes beyond the API's."""
ANSWER_SECONDS = 10.0


class PeerUnusable(Exception):
    """A peer that cannot be measured; the message says why."""


class PeerSide:
    """A server, asked by our OpenAI backend: with plain prompts, or with messages where the workload has some.

    The client asks again, as it does by itself, where a connection breaks: some servers close one after a number of
    requests without a word (llama.cpp's does), and what was just sent on it is lost.

    Args:
        name: its column in the report.
        url: with or without `/v1`.
        api_key: what it asks for; a server of one's own may need none.
        timeout: seconds in which something must come of a request.

    Raises:
        PeerUnusable: it cannot be reached, or tells no model.
    """

    is_ours = False

    def __init__(self, name: str, url: str, *, api_key: str | None = None, timeout: float = 600.0) -> None:
        self.name = name
        base = url.rstrip("/").removesuffix("/v1") + "/v1"
        model, maker = _model(name, base, api_key)
        extra = MAKERS.get(maker)
        settings: dict[str, Any] = {"api_key": api_key} if api_key else {}
        self._backends = {
            is_chat: sg.OpenAI(model, base_url=base, is_chat_model=is_chat, extra=extra, timeout=timeout, **settings)
            for is_chat in (False, True)
        }
        self._pids = listeners(base)
        fields = f"fields of {extra}" if extra else "the API's fields alone: lengths are not fixed"
        self.about = f"{model} of {maker or 'an unknown maker'} at {base}, {fields}"

    def backend(self, *, is_chat: bool) -> Backend:
        """The server's chat interface, or its completion interface."""
        return self._backends[is_chat]

    def cpu_seconds(self) -> float | None:
        """Of the server's processes, if they are on this machine."""
        return seconds_of(self._pids)

    def computed_tokens(self) -> int | None:
        """Its answers tell what was cached."""
        return None

    def close(self) -> None:
        """Closes the clients; the server is nobody's to stop here."""
        for backend in self._backends.values():
            backend.close()


def peers_of(text: str) -> list[tuple[str, str]]:
    """Names and URLs out of `name=url name=url …`.

    Raises:
        PeerUnusable: it is not of that form, or a name comes twice or is one of ours.
    """
    found: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, equals, url = word.partition("=")
        if not equals or not name or not url.startswith(("http://", "https://")):
            raise PeerUnusable(f"{word!r} is not allowed: name=http://host:port")
        if name in found or name in ("engine", "server"):
            raise PeerUnusable(f"{word!r} is not allowed: the name {name} is taken")
        found[name] = url
    return list(found.items())


def _model(name: str, base: str, api_key: str | None) -> tuple[str, str]:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        request = urllib.request.Request(f"{base}/models", headers=headers)
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            model = json.load(response)["data"][0]
            return str(model["id"]), str(model.get("owned_by") or "")
    except (urllib.error.URLError, OSError) as error:
        raise PeerUnusable(f"{name}: {base}/models: {error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise PeerUnusable(f"{name}: {base}/models tells no model: {error!r}") from error
