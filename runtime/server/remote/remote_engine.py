"""RemoteEngine: an engine in a process of its own, as the server sees it."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from runtime.chat_formats import configured_template
from runtime.config import EngineConfig
from runtime.constant_texts import ConstantTexts
from runtime.errors import EngineClosed
from runtime.handle import Handle
from runtime.model.config import ModelConfig
from runtime.model.hub import resolve
from runtime.server.remote import messages as link
from runtime.server.remote.supervisor import Patience, Supervisor
from runtime.session import Session
from runtime.session_state import SessionState, check_namespace
from runtime.tokenizer import Tokenizer
from runtime.wire import messages as wire
from runtime.wire.params import write_spec

if TYPE_CHECKING:
    from grammars import Spec
    from runtime.chat_template import ChatTemplate

__all__ = ["RemoteEngine"]


class RemoteEngine:
    """Implements `ServedEngine`. Texts become tokens in this process; everything else happens in the engine's.

    The engine's process is started anew when it ends or hangs. What was asked of it then fails with EngineClosed, and
    so does everything until the next one serves; `failure` says why meanwhile.

    Use it as a context manager, or call `shutdown`.

    Args:
        model: as of `runtime.engine.Engine`; only its tokenizer and chat template are loaded here.
        patience: how long what may take.
        settings: as of `Engine`.

    Raises:
        ConfigError, ModelLoadError: as the engine raises them.
        EngineError: its process ended or said nothing.
    """

    def __init__(self, model: str = "smollm2", *, patience: Patience | None = None, **settings: Any) -> None:
        given = {name: fspath(one) if isinstance(one, PathLike) else one for name, one in settings.items()}
        config = EngineConfig.of({"model": model, **given})
        files = resolve(config.model.model)
        self.tokenizer = Tokenizer.load(files, vocab_size=ModelConfig.load(files).vocab_size)
        self.chat_template: ChatTemplate | None = configured_template(config.model, self.tokenizer)
        self._constants = ConstantTexts(self.tokenizer)
        self._supervisor = Supervisor({"model": model, **given}, self._constants, patience or Patience())
        self._at_exit = partial(_shut_down, weakref.ref(self))
        atexit.register(self._at_exit)
        weakref.finalize(self, self._supervisor.halt).atexit = False
        try:
            self._started = self._supervisor.started.result()
        except BaseException:
            self.shutdown()
            raise

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        return self._started.model

    @property
    def context_length(self) -> int:
        """Tokens of the longest sequence."""
        return self._started.context_length

    @property
    def failure(self) -> BaseException | None:
        """Why the engine serves nobody now; None while it does."""
        return self._supervisor.failure

    @property
    def engine_pid(self) -> int | None:
        """The engine's process; None while there is none."""
        return self._supervisor.pid

    def budget_lines(self) -> list[str]:
        """The table of what every setting became and why, and what limits concurrency."""
        return list(self._started.lines)

    def open(self, *, namespace: str = "", program: str = "") -> Session:
        """Opens an empty session.

        Raises:
            EngineClosed: the engine serves nobody now.
            InvalidParameter: `namespace` is no text, or holds half of a surrogate pair.
        """
        check_namespace(namespace)
        core = self._supervisor.core
        state = SessionState(namespace, program)
        core.open(state)
        return Session(core, self.tokenizer, state)

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many sessions are going to append."""
        self._constants.remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile grammars that will be needed; does not wait.

        Raises:
            EngineClosed: the engine serves nobody now.
        """
        self._supervisor.core.tell(wire.CompileAhead(tuple(write_spec(spec) for spec in constraints)))

    def stats(self) -> Handle[dict[str, Any]]:
        """Counters, as `Engine.stats`."""
        return self._ask(lambda call: link.Ask(call, "stats"))

    def server_info(self) -> Handle[dict[str, Any]]:
        """What runs, and why, as `Engine.server_info`; `engine_pid` and `engine_restarts` too."""
        restarts = self._supervisor.num_restarts
        return self._ask(
            lambda call: link.Ask(call, "server_info"), lambda info: {**info, "engine_restarts": restarts}
        )  # fmt: skip

    def flush_cache(self) -> Handle[int]:
        """Forgets every prefix that nothing running needs; the tokens forgotten."""
        return self._ask(lambda call: link.Ask(call, "flush_cache"))

    def cache(self, limit: int, namespace: str | None = None) -> Handle[dict[str, Any]]:
        """What is in the prefix cache, and who holds what, as `Engine.cache`."""
        return self._ask(lambda call: link.Cache(call, limit, namespace))

    def unpin(self, pin: str) -> Handle[bool]:
        """Ends a pin; False where there is no such one."""
        return self._ask(lambda call: link.Unpin(call, pin))

    def _ask(self, make: Callable[[int], Any], read: Callable[[Any], Any] | None = None) -> Handle[Any]:
        try:
            return self._supervisor.core.ask(make, read)
        except EngineClosed as error:
            handle: Handle[Any] = Handle()
            handle.fail(error)
            return handle

    def shutdown(self) -> None:
        """Ends the engine and its process; whatever still runs fails with EngineClosed. Safe to call twice."""
        atexit.unregister(self._at_exit)
        self._supervisor.halt()
        self._supervisor.join()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def _shut_down(engine: weakref.ref[RemoteEngine]) -> None:
    alive = engine()
    if alive is not None:
        alive.shutdown()
