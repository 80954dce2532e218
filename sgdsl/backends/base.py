"""Backend: the border between the language and whatever computes tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runtime.handle import Generation, Handle, Scores
from runtime.hint import Hint
from sgdsl.chat import ChatTemplate
from sgdsl.sampling import Sampling

if TYPE_CHECKING:
    from grammars.spec import Spec
    from runtime.sampling.params import SamplingParams

__all__ = [
    "GEN_OPTIONS",
    "Backend",
    "BackendSession",
    "Capabilities",
    "Choose",
    "ConcatSession",
    "GrammarBackend",
    "HintedSession",
    "ImageSession",
    "LabelledSession",
    "RoleSession",
    "ScoringSession",
    "SpeculativeSession",
    "TokenizingBackend",
]

Choose = Callable[[Sequence[Sequence[float]]], int]
"""Token log probabilities of every choice → the index of the one to take. Quick and pure: it runs in the backend."""

_EVERY_SPEC = frozenset(
    (
        *("Regex", "Choice", "JsonSchema", "JsonObject", "Lark", "Gbnf", "StructuralTag"),
        *("FreeText", "SpecialToken", "Stop", "Suffix", "Sequence", "AnyOf", "Repeat"),
    )
)

GEN_OPTIONS = Sampling.names() | {"token_healing", "separate_reasoning", "skip_special_tokens"}
"""What a gen can ask for besides its constraint; `separate_reasoning` stands for a constraint behind reasoning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        constraints: names of the spec classes its gens can be held to.
        gen_options: names out of `GEN_OPTIONS` that its gens honour.
        score: it has token log probabilities of given texts. Without them a select is made by a gen held to a `Choice`.
        unconditional: also without the prompt; its sessions are `ScoringSession`s.
        tokens: it has token ids.
        checkpoints: its sessions can be marked and truncated.
        priority: its requests have priorities; its sessions are `ScoringSession`s.
        labels: its sessions are `LabelledSession`s.
        images: its sessions are `ImageSession`s.
        concat: its sessions are `ConcatSession`s.
        hints: its sessions are `HintedSession`s.
        tokenizes: it is a `TokenizingBackend`.
        compiles_ahead: it is a `GrammarBackend`.
        roles: its sessions are `RoleSession`s, and the model writes nothing but assistant messages.
        prefill: the model can go on with an assistant message that has begun already.
        speculation: its sessions are `SpeculativeSession`s.
        concurrency: requests it serves at once; more wait.
        context_length: tokens of the longest sequence; None where that is not known.
    """

    constraints: frozenset[str] = _EVERY_SPEC
    gen_options: frozenset[str] = GEN_OPTIONS
    score: bool = True
    unconditional: bool = False
    tokens: bool = True
    checkpoints: bool = True
    priority: bool = False
    labels: bool = False
    images: bool = False
    concat: bool = False
    hints: bool = False
    tokenizes: bool = False
    compiles_ahead: bool = False
    roles: bool = False
    prefill: bool = True
    speculation: bool = False
    concurrency: int = 64
    context_length: int | None = None


class BackendSession(Protocol):
    """One growing token sequence. Calls record a script and never block; `flush` hands it over."""

    def append(self, content: str | Sequence[int]) -> None:
        """More text, tokenized as one unit, or token ids."""

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """Lets the model write; the session goes on with what it wrote."""

    def score(self, choices: Sequence[str], choose: Choose) -> Handle[Scores]:
        """Scores texts as continuations; the session goes on with the chosen one."""

    def fork(self, n: int) -> list[BackendSession]:
        """Sessions that begin with everything this one holds at this point of the script."""

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """Token ids with their origin: "prompt", "generated" or "forced"."""

    def mark(self) -> Handle[int]:
        """Number of tokens at this point of the script."""

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens."""

    def flush(self) -> None:
        """Hands over what was recorded."""

    def cancel(self) -> None:
        """Ends everything unfinished; only `close` may follow."""

    def close(self) -> None:
        """Gives up the session."""


class LabelledSession(BackendSession, Protocol):
    """A session that wants to know the variable a call is for."""

    def label(self, name: str | None) -> None:
        """The next generate or score is for the variable `name`."""


class ScoringSession(BackendSession, Protocol):
    """A session whose scores can be asked for in more ways."""

    def score(
        self, choices: Sequence[str], choose: Choose, *, unconditional: bool = False, priority: int = 0
    ) -> Handle[Scores]:
        """As `BackendSession.score`.

        Args:
            unconditional: what `choose` gets is the log probability of each token less that without the prompt.
            priority: higher runs first.
        """


class ImageSession(BackendSession, Protocol):
    """A session that takes pictures."""

    def append_image(self, source: str) -> None:
        """A picture, as an http(s) URL or a `data:` URL in base64."""


class ConcatSession(BackendSession, Protocol):
    """A session that takes over what its forks have come to."""

    def concat(self, sessions: Sequence[BackendSession]) -> Handle[int]:
        """Appends what each of `sessions`, forks of this one, holds beyond the fork; gives the tokens appended."""


class HintedSession(BackendSession, Protocol):
    """A session whose backend can use what is known of the program's future."""

    def hint(self, hint: Hint) -> None:
        """What is known at this point of the script."""


class RoleSession(BackendSession, Protocol):
    """A session of chat messages instead of one text: it is told where they begin and end, not how that is written."""

    def begin_role(self, role: str) -> None:
        """A message of this role begins."""

    def end_role(self, role: str) -> None:
        """It ends."""


class SpeculativeSession(BackendSession, Protocol):
    """A session that can take several gens out of one call."""

    def speculate(self, num_tokens: int) -> None:
        """From here on, calls write at least so many tokens, and what they write too much is kept for later gens."""


class Backend(Protocol):
    """Something that computes tokens."""

    name: str
    capabilities: Capabilities
    chat_template: ChatTemplate | None

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session."""

    def token_text(self, token: int) -> str:
        """The text of one token."""

    def close(self) -> None:
        """Gives up the backend."""


class TokenizingBackend(Backend, Protocol):
    """A backend whose tokens are at hand without asking its model."""

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text as a session appends it behind other text."""

    def count_tokens(self, text: str) -> int:
        """How many those are."""

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many programs append, so that each is tokenized once."""


class GrammarBackend(Backend, Protocol):
    """A backend that compiles grammars itself, and can do so before they are needed."""

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile; does not wait, and what fails fails when it is used."""
