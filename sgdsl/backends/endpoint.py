"""RuntimeEndpoint: our own server as a backend: token-level sessions over one websocket."""

from __future__ import annotations

import atexit
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runtime.handle import Handle
from runtime.wire import messages as wire
from sgdsl.backends.api_key import check_api_key
from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.backends.endpoint_connection import Address, Call, EndpointConnection
from sgdsl.backends.endpoint_op import size_of
from sgdsl.backends.endpoint_session import EndpointSession
from sgdsl.backends.server_question import ask_server
from sgdsl.errors import EndpointError, InvalidArgument
from sgdsl.process import network
from sgdsl.tracing import trace_headers

if TYPE_CHECKING:
    from grammars.spec import Spec
    from sgdsl.chat import ChatTemplate

__all__ = ["RuntimeEndpoint"]

TEXTS_AT_ONCE = 4096
MOST_TEXTS_CACHED = 256


class RuntimeEndpoint:
    """Runs instructions on a server (`sgdsl serve`), with everything that an engine in this process can do.

    All sessions share one connection. When it ends, by whichever side, everything unfinished on it fails with an
    `EndpointError`; the next session connects anew.

    Args:
        url: the server's, such as `http://127.0.0.1:30000`.
        api_key: the key it asks for.
        connect_timeout: seconds for connecting, and for single questions (tokens of a text, texts of tokens).
        heartbeat: seconds of silence before the server is asked for a sign of life. One that gives none for half as
            long is taken for dead.

    Raises:
        InvalidArgument: an argument is not allowed.
        EndpointError: the server cannot be reached, refuses the key, or speaks another protocol.
    """

    name = "endpoint"

    def __init__(
        self, url: str, api_key: str | None = None, *, connect_timeout: float = 10.0, heartbeat: float = 20.0
    ) -> None:
        _check_url(url)
        check_api_key(api_key)
        for field, value in (("connect_timeout", connect_timeout), ("heartbeat", heartbeat)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InvalidArgument(f"{field}={value!r} is not allowed: a number of seconds above 0")
        self.url = url
        self._address = Address(url=url, api_key=api_key, connect_timeout=connect_timeout, heartbeat=heartbeat)
        self._lock = threading.Lock()
        self._closed = False
        self._loop = network().enter()
        self._connection = EndpointConnection(self._loop, self._address)
        self._holder = [self._connection]
        self._at_exit = partial(_close, weakref.ref(self))
        atexit.register(self._at_exit)
        self._finalizer = weakref.finalize(self, _let_go, self._holder, self._at_exit)
        self._finalizer.atexit = False
        try:
            self._connection.hello.result()
            self._greeted(self._connection)
        except BaseException:
            self.close()
            raise

    def _greeted(self, connection: EndpointConnection) -> None:
        """Another server may answer now than before: what was known of the last one is forgotten."""
        hello = connection.hello.result()
        self._greeter = connection
        self._texts: dict[int, tuple[str, ...]] = {}
        self._tokens: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self.model = hello.model
        self.fingerprint = hello.fingerprint or f"{self.url} {hello.model}"
        self.capabilities = Capabilities(
            constraints=frozenset(hello.constraints), score=hello.score, unconditional=hello.unconditional,
            tokens=hello.tokens, priority=hello.priority, labels=hello.labels,
            concat=hello.concat, hints=hello.hints, tokenizes=hello.tokenizes, compiles_ahead=hello.compiles_ahead,
            concurrency=hello.concurrency, context_length=hello.context_length,
        )  # fmt: skip
        self.chat_template = _template(hello.chat_template)

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session; where the connection has ended, on a new one.

        Raises:
            EndpointError: the endpoint was closed.
        """
        return EndpointSession(
            self, self._connected(), wire.Open(namespace, program, trace_headers().get("traceparent", ""))
        )

    def _connected(self) -> EndpointConnection:
        with self._lock:
            if self._closed:
                raise EndpointError(f"{self.url}: the endpoint was closed")
            if self._connection.error is not None:
                self._connection = self._holder[0] = EndpointConnection(self._loop, self._address)
            elif self._connection is not self._greeter and self._connection.hello.done():
                self._greeted(self._connection)
            return self._connection

    def token_text(self, token: int) -> str:
        """The text of one token. Texts are fetched thousands at a time, and kept.

        Raises:
            EndpointError: no such token, no answer in time, or the connection ended.
        """
        if not isinstance(token, int) or token < 0:
            raise EndpointError(f"{self.url}: the model has no token {token!r}")
        first = token - token % TEXTS_AT_ONCE
        known = self._texts  # of this server: another may answer meanwhile
        texts = known.get(first)
        if texts is None:
            connection = self._connected()
            question = partial(wire.Texts, first=first, count=TEXTS_AT_ONCE)
            texts = self._ask(connection, question, wire.TokenTexts, lambda message: message.texts)
            known[first] = texts
        if not 0 <= token - first < len(texts):
            raise EndpointError(f"{self.url}: the model has no token {token}")
        return texts[token - first]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text by itself. The latest texts are kept.

        Raises:
            EndpointError: no answer in time, or the connection ended.
        """
        return list(self._tokenized([text])[text])

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` makes of a text."""
        return len(self._tokenized([text])[text])

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many programs append, in one round trip; the server need not do it again."""
        self._tokenized(list(dict.fromkeys(texts)))

    def _tokenized(self, texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
        with self._lock:
            known = self._tokens
            found = {text: known[text] for text in texts if text in known}
            for text in found:
                known.move_to_end(text)
        missing = tuple(text for text in texts if text not in found)
        if not missing:
            return found
        connection = self._connected()
        question = partial(wire.Tokenize, texts=missing)
        tokens = self._ask(connection, question, wire.Tokenized, lambda message: message.tokens)
        if len(tokens) != len(missing):
            raise EndpointError(f"{self.url}: tokens of {len(tokens)} texts where {len(missing)} were asked for")
        fresh = dict(zip(missing, tokens, strict=True))
        with self._lock:
            known.update(fresh)
            while len(known) > MOST_TEXTS_CACHED:
                known.popitem(last=False)
        return found | fresh

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Has the server begin to compile; does not wait."""
        from runtime.wire.params import write_spec

        message = wire.CompileAhead(tuple(write_spec(spec) for spec in constraints))
        size_of(message)
        self._connected().send([message])

    def _ask(
        self,
        connection: EndpointConnection,
        question: Callable[[int], wire.FromClient],
        answer: type,
        read: Callable[[Any], Any],
    ) -> Any:
        handle: Handle[Any] = Handle()
        call = Call(connection.number(), None, handle, answer, read)
        message = question(call.number)
        size_of(message)
        connection.send([message], [call])
        try:
            return handle.result(self._address.connect_timeout)
        except TimeoutError:
            connection.forget(call)
            raise EndpointError(f"{self.url}: no answer within {self._address.connect_timeout:g} s") from None

    def flush_cache(self) -> None:
        """Empties the server's prefix cache, what is in use aside.

        Raises:
            EndpointError: the server cannot be reached, or refuses.
        """
        address = self._address
        ask_server(self.url, "/flush_cache", address.api_key, seconds=address.connect_timeout, method="POST")

    def get_server_info(self) -> dict[str, Any]:
        """What the server runs, and what it has done since it began.

        Raises:
            EndpointError: the server cannot be reached, or refuses.
        """
        address = self._address
        found: dict[str, Any] = ask_server(self.url, "/server_info", address.api_key, seconds=address.connect_timeout)
        return {**found, **found.get("stats", {})}

    def close(self) -> None:
        """Ends the connection; what is unfinished on it fails. Safe to call twice."""
        with self._lock:
            self._closed = True
            connection = self._connection
        if self._finalizer.detach() is not None:
            _let_go(self._holder, self._at_exit)
            connection.ended.wait(self._address.connect_timeout)

    def __enter__(self) -> RuntimeEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_url(url: object) -> None:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        is_good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port, or an address of version 6, that is none
        parts, is_good = None, False
    if parts is not None and "@" in parts.netloc:
        raise InvalidArgument("url (which is not shown) is not allowed: a name or password in it; give api_key=…")
    if not is_good or parts is None or parts.query or parts.fragment:
        raise InvalidArgument(f"url={url!r} is not allowed: an http or https URL, without a query")


def _template(template: wire.Template | None) -> ChatTemplate | None:
    if template is None:
        return None
    from runtime.chat_template import ChatTemplate

    return ChatTemplate(template.source, template.special_tokens)


def _let_go(holder: list[EndpointConnection], at_exit: Callable[[], None]) -> None:
    """The backend is gone: its connection ends, and then its share of the network's thread."""
    atexit.unregister(at_exit)
    connection = holder[0]
    connection.end(EndpointError("the endpoint was closed"), then=network().leave)


def _close(endpoint: weakref.ref[RuntimeEndpoint]) -> None:
    alive = endpoint()
    if alive is not None:
        alive.close()
