"""EngineBackend: the runtime's engine, in this process. Importing it is light; starting it loads torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.chat import ChatTemplate, chat_template_of

if TYPE_CHECKING:
    from grammars.spec import Spec

__all__ = ["EngineBackend"]

MOST_THREADS = 64
"""A batch of programs that fork fills the engine with fewer threads than it runs requests."""

PROBE = "The quick brown fox jumps over the lazy dog; 7 * 8 = 56, été, 日本."


class EngineBackend:
    """Runs instructions on a `runtime.engine.Engine`; its sessions are the runtime's own.

    Args:
        engine: a started engine. Whoever started it shuts it down.
        chat_template: in place of the engine's: a name, a file or Jinja text as for `sgdsl.chat.chat_template`, or an
            object that renders messages.
    """

    name = "engine"

    def __init__(self, engine: Any, *, chat_template: ChatTemplate | str | None = None) -> None:
        self.engine = engine
        self.capabilities = Capabilities(
            concurrency=min(MOST_THREADS, engine.config.scheduler.max_running_requests),
            context_length=engine.context_length,
            tokenizes=True,
            compiles_ahead=True,
            unconditional=True,
            priority=True,
            hints=True,
            concat=True,
        )
        own = cast("ChatTemplate | None", engine.chat_template)
        self.chat_template = chat_template_of(chat_template) or own

    @cached_property
    def fingerprint(self) -> str:
        """Differs where the model, its weights or its tokenizer do: it goes by what the model makes of a short text."""
        from runtime.sampling.params import SamplingParams

        described = self.engine.describe()
        session = self.engine.open(namespace="fingerprint")
        session.append(PROBE)
        params = SamplingParams(max_new_tokens=8, temperature=0.0, ignore_eos=True)
        found = session.generate(params, top_logprobs=8, logprob_start=0).result()
        session.close()
        likeliest = [[token for _, token in one.top] for one in (*found.prompt_logprobs, *found.logprobs)]
        told = [described["model"], described["weight_format"], likeliest]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.engine.describe()["model"])

    @classmethod
    def of(cls, engine: Any) -> EngineBackend:
        """The backend of a started engine."""
        return cls(engine)

    @classmethod
    def start(cls) -> EngineBackend:
        """The backend of a new engine on the default model."""
        from runtime.engine import Engine

        return cls(Engine())

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session."""
        return cast(BackendSession, self.engine.open(namespace=namespace, program=program))

    def token_text(self, token: int) -> str:
        """The text of one token."""
        return cast(str, self.engine.tokenizer.decode([token], skip_special_tokens=False))

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text that is appended to a session holding some already: none begins it."""
        return cast("list[int]", self.engine.tokenizer.encode(text))

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` makes of a text."""
        return len(self.tokenize(text))

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many programs append, so that each is tokenized once."""
        self.engine.remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile; does not wait."""
        self.engine.compile_ahead(constraints)

    def flush_cache(self) -> None:
        """Empties the prefix cache, what is in use aside."""
        self.engine.flush_cache()

    def get_server_info(self) -> dict[str, Any]:
        """What was started, and what it has done since."""
        return {**self.engine.describe(), **self.engine.stats()}

    def close(self) -> None:
        """Shuts the engine down."""
        self.engine.shutdown()
