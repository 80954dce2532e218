"""Answers: the shapes of what the endpoints send, as far as clients may rely on them. More fields may come.

They describe; nothing is validated with them when an answer is sent.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Aborted",
    "CacheContents",
    "ChatCompletion",
    "Count",
    "Error",
    "Flushed",
    "Generated",
    "Health",
    "ModelCard",
    "ModelInfo",
    "ModelList",
    "ProgramResult",
    "Response",
    "ResponseDeleted",
    "ScoreResult",
    "ServerInfo",
    "Session",
    "SessionForks",
    "SessionName",
    "SessionOpened",
    "Success",
    "TextCompletion",
    "TextResult",
    "TokenResult",
]


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class ErrorDetails(_Answer):
    """What went wrong: `param` is the path of the field that is wrong, `code` a word for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(_Answer):
    """The body of every answer that is no success."""

    error: ErrorDetails


class Health(_Answer):
    """Whether requests are taken."""

    status: Literal["ok", "stopping"]


class ModelCard(_Answer):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int


class ModelList(_Answer):
    """The models that can be asked."""

    object: Literal["list"]
    data: list[ModelCard]


class CachedTokens(_Answer):
    """How much of the prompt needed no work."""

    cached_tokens: int


class Usage(_Answer):
    """What a request has cost, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens | None


class _Choice(_Answer):
    index: int
    finish_reason: Literal["stop", "length", "tool_calls"]
    matched_stop: str | int | None
    logprobs: dict[str, Any] | None


class CalledFunction(_Answer):
    """A function's name, and its arguments as JSON text."""

    name: str
    arguments: str


class AnswerCall(_Answer):
    """A call that the model wants to be made."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(_Answer):
    """What the model says."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[AnswerCall] = []


class ChatChoice(_Choice):
    """One answer of a chat."""

    message: AnswerMessage


class TextChoice(_Choice):
    """One continuation."""

    text: str


class _Completion(_Answer):
    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: Usage


class ChatCompletion(_Completion):
    """Answers to a conversation."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class TextCompletion(_Completion):
    """Continuations of prompts."""

    object: Literal["text_completion"]
    choices: list[TextChoice]


class Response(_Answer):
    """An answer as a list of items: reasoning, messages, calls."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "failed", "in_progress"]
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    model: str
    output: list[dict[str, Any]]
    previous_response_id: str | None
    usage: dict[str, Any] | None


class ResponseDeleted(_Answer):
    """A response that was forgotten."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class Generated(_Answer):
    """A text, its tokens, and how it came about."""

    text: str
    output_ids: list[int]
    meta_info: dict[str, Any]


class TokenResult(_Answer):
    """Token ids of a text, or of each of several; `max_model_len` is how many a sequence may have."""

    tokens: list[int] | list[list[int]]
    count: int | list[int]
    max_model_len: int


class TextResult(_Answer):
    """The text of token ids, or of each of several lists."""

    text: str | list[str]


class Flushed(_Answer):
    """How many tokens the cache has forgotten."""

    success: Literal[True]
    flushed_tokens: int


class Aborted(_Answer):
    """How many requests were cancelled."""

    success: Literal[True]
    aborted: int


class Success(_Answer):
    """It was done."""

    success: Literal[True]


class Ledger(_Answer):
    """KV slots by owner, in tokens."""

    free: int
    tree: int
    request: int
    session: int
    in_transfer: int
    total: int


class ServerInfo(_Answer):
    """What runs, every setting as asked, became and why, and counters since the start."""

    served_model_name: str
    model: str
    pid: int
    uptime_seconds: float
    requests_in_work: int
    connections: int
    sessions: int
    ledger: Ledger | None
    settings: dict[str, dict[str, Any]]
    stats: dict[str, Any]


class ModelInfo(_Answer):
    """The model, and how long its sequences can be."""

    model_path: str
    served_model_name: str
    is_generation: bool
    context_length: int
    vocab_size: int
    bos_token_id: int | None
    eos_token_ids: list[int]
    has_chat_template: bool


class CacheNode(_Answer):
    """A run of tokens in the prefix tree: its place in the sequence, who needs it, and how its text begins.

    `id` and `parent` hold for this answer only; a node at the top has no parent.
    """

    id: int
    parent: int | None
    namespace: str
    start: int
    num_tokens: int
    locks: int
    pinned: bool
    hits: int
    is_leaf: bool
    text: str


class CacheContents(_Answer):
    """What is in the prefix cache, the last used first, and who holds what."""

    ledger: Ledger
    num_nodes: int
    namespaces: dict[str, int]
    pins: list[dict[str, Any]]
    holders: list[dict[str, Any]]
    nodes: list[CacheNode]


class SessionOpened(_Answer):
    """A new session; `id` is its name."""

    id: str
    object: Literal["session"]
    context_length: int


class SessionName(_Answer):
    """The session that was changed."""

    id: str


class Session(_Answer):
    """What a session holds; `origins` says where each token came from."""

    id: str
    object: Literal["session"]
    origin: str | None
    num_tokens: int
    token_ids: list[int]
    origins: list[str]


class ScoreResult(_Answer):
    """The chosen text, and the log probabilities of all, null where one is impossible."""

    index: int
    choice: str
    logprobs: list[list[float | None]]
    token_ids: list[list[int]]
    unconditional_logprobs: list[list[float | None]] | None


class SessionForks(_Answer):
    """The names of the new sessions."""

    ids: list[str]


class Count(_Answer):
    """How many tokens the session has now."""

    num_tokens: int


class ProgramResult(_Answer):
    """What came of a program."""

    id: str
    object: Literal["program.run"]
    name: str
    value: Any = None
    variables: dict[str, Any]
    text: str
    usage: dict[str, Any]
