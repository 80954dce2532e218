"""`litellm` brings fifteen packages along, so a stand-in with the shape of its `acompletion` is asked here."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace as Namespace
from typing import Any

import pytest

import sgdsl as sg


class Stream:
    """As litellm's: an asynchronous iterator with `aclose`."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = iter(chunks)
        self.is_closed = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise StopAsyncIteration
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def aclose(self) -> None:
        self.is_closed = True


class LiteLLMModule:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.streams: list[Stream] = []
        self.answers: list[Any] = []

    async def acompletion(self, **fields: Any) -> Stream:
        self.calls.append(fields)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.streams.append(Stream(answer))
        return self.streams[-1]


def chunk(text: str | None, reason: str | None = None, **more: Any) -> Namespace:
    return Namespace(choices=[Namespace(delta=Namespace(content=text), finish_reason=reason)], **more)


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> LiteLLMModule:
    made = LiteLLMModule()
    monkeypatch.setitem(sys.modules, "litellm", made)  # type: ignore[arg-type]
    return made


@pytest.fixture
def backend(litellm: LiteLLMModule) -> Iterator[sg.LiteLLM]:
    with sg.LiteLLM("groq/llama", api_key="k", num_retries=2) as made:
        yield made


@sg.function
def ask(s: sg.ProgramState, expr: sg.Expr) -> None:
    s += sg.user("What?") + sg.assistant(expr)


def test_a_call(litellm: LiteLLMModule, backend: sg.LiteLLM) -> None:
    details = Namespace(cached_tokens=2)
    usage = Namespace(prompt_tokens=5, completion_tokens=1, prompt_tokens_details=details)
    litellm.answers = [[chunk("a"), chunk("b"), chunk(None, "stop"), Namespace(choices=[], usage=usage)]]
    state = ask.run(sg.gen("x", 4, stop="END", seed=3), backend=backend)
    assert state["x"] == "ab"
    assert litellm.calls == [
        {
            "model": "groq/llama", "messages": [{"role": "user", "content": "What?"}], "stream": True,
            "stream_options": {"include_usage": True}, "temperature": 1.0, "max_tokens": 4, "stop": ["END"], "seed": 3,
            "api_key": "k", "num_retries": 2,
        }
    ]  # fmt: skip
    assert litellm.streams[0].is_closed
    meta = state.get_meta_info("x")
    assert (meta["prompt_tokens"], meta["cached_tokens"]) == (5, 2)


def test_selects_refusals_and_failures(litellm: LiteLLMModule, backend: sg.LiteLLM) -> None:
    litellm.answers = [[chunk('{"answer": "b"}', "stop")], OSError("gone"), [chunk("a"), OSError("cut")], [chunk("a")]]
    assert ask.run(sg.select("x", ["a", "b"]), backend=backend)["x"] == "b"
    with pytest.raises(sg.BackendCapabilityError, match=r"top_k=3 .* LiteLLM backend"):
        ask.run(sg.gen("x", top_k=3), backend=backend)
    for reason in ("gone", "cut", "ended before its answer did"):
        with pytest.raises(sg.ProgramError, match=reason):
            ask.run(sg.gen("x"), backend=backend)
    assert all(stream.is_closed for stream in litellm.streams)


def test_what_tells_answers_apart_is_all_that_they_depend_on_and_no_secret(litellm: LiteLLMModule) -> None:
    def told(**settings: Any) -> str:
        with sg.LiteLLM("m", **settings) as backend:
            return backend.fingerprint

    assert told(api_key="one", num_retries=2) == told(api_key="two", timeout=3) == told()
    assert len({told(), told(reasoning_effort="low"), told(extra_body={"a": 1}), told(prefill=True)}) == 4
    with pytest.raises(sg.InvalidArgument, match="api_key"):
        told(api_key="one\n")


def test_no_message_shows_the_key(litellm: LiteLLMModule) -> None:
    litellm.answers = [OSError("no right: sk-very-secret")]
    with sg.LiteLLM("m", api_key="sk-very-secret") as backend, pytest.raises(sg.ProgramError, match="no right: …"):
        ask.run(sg.gen("x"), backend=backend)


def test_images_and_prefill(litellm: LiteLLMModule) -> None:
    litellm.answers = [[chunk("a", "stop")]]
    with sg.LiteLLM("m", prefill=True, max_tokens_field="max_completion_tokens") as backend:
        ask.run("b" + sg.gen("x"), backend=backend)
    assert litellm.calls[0]["messages"][-1] == {"role": "assistant", "content": "b"}
    assert litellm.calls[0]["max_completion_tokens"] == 128


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(sg.NotSupported, match=r"pip install 'sgdsl\[litellm\]'"):
        sg.LiteLLM("m")
    with pytest.raises(sg.InvalidArgument, match="model=7"):
        sg.LiteLLM(7)  # type: ignore[arg-type]
