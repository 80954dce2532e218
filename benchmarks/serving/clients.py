"""Clients of the soak of the server: each makes one request of a kind, and may hang up at any moment."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import jsonschema

import sgdsl as sg

__all__ = ["KINDS", "Clients"]

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}
BAD_GRAMMARS: tuple[dict[str, Any], ...] = (
    {"regex": "(unclosed"},
    {"json_schema": '{"type": 7}'},
    {"ebnf": "root ::= missing"},
    {"regex": "(?<=a)b{2}(?P=none)"},
)
PREFIX = "Once upon a time there was a theatre in which every seat had a number. "


@sg.function
def story(s: sg.ProgramState, hero: str) -> Any:
    s += PREFIX + hero + sg.gen("first", 12, ignore_eos=True)
    forks = s.fork(3)
    forks += " and" + sg.gen("more", 6, regex="[a-c]{3,6}")
    forks.join()
    s += sg.select("end", [" well", " badly"])
    return {"end": s["end"]}


class Clients:
    """Draws requests and counts what became of them.

    Args:
        http: a session whose base URL is the server's.
        model: its model's name.
        rng: draws everything.
        longest: seconds that nothing may take.

    Attributes:
        counts: how many of each kind, and of each outcome.
        wrong: what should not have happened.
    """

    def __init__(self, http: aiohttp.ClientSession, model: str, rng: random.Random, longest: float = 60.0) -> None:
        self.http = http
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._model = model
        self._rng = rng
        self._longest = longest
        self._graph = json.loads(story.trace().to_json())

    async def one(self) -> None:
        """One request of a random kind, half of them left in the middle."""
        name = self._rng.choice(sorted(KINDS))
        begun = asyncio.get_running_loop().time()
        self.counts["requests"] += 1
        try:
            # A session that hangs up before it knows its own name could not be ended: it says itself when it leaves.
            async with asyncio.timeout_at(None if name == "session" else self._leaves_at()):
                await KINDS[name](self)
        except TimeoutError:
            if asyncio.get_running_loop().time() - begun >= self._longest:
                self.wrong.append(f"{name}: no answer within {self._longest:g} s")
            self.counts["disconnected"] += 1
        except aiohttp.ClientError as error:
            self.wrong.append(f"{name}: {type(error).__name__}: {error}")

    def _leaves_at(self) -> float:
        """When a client hangs up: half of them soon."""
        seconds = self._rng.expovariate(8.0) if self._rng.random() < 0.5 else self._longest
        return asyncio.get_running_loop().time() + seconds

    def _text(self) -> str:
        return PREFIX * self._rng.randint(0, 2) + f"{self._rng.randint(0, 40)}: "

    async def _post(self, path: str, body: dict[str, Any], expected: tuple[int, ...] = (200,)) -> Any:
        async with self.http.post(path, json=body) as answer:
            content = await answer.read()
            self.counts[f"status_{answer.status}"] += 1
            if answer.status not in (*expected, 429):
                self.wrong.append(f"{path}: {answer.status}: {content[:200]!r}")
            return json.loads(content) if answer.status == 200 and content.startswith(b"{") else None

    async def chat(self) -> None:
        """A chat, streamed or not."""
        messages = [{"role": "user", "content": self._text()}]
        stream = self._rng.random() < 0.5
        await self._post(
            "/v1/chat/completions",
            {"model": self._model, "messages": messages, "max_tokens": self._rng.randint(1, 60), "stream": stream},
        )

    async def completion(self) -> None:
        """Two prompts with two samples each, and one more field."""
        body = {"model": self._model, "prompt": [self._text(), self._text()], "max_tokens": 20, "n": 2}
        extra: dict[str, Any] = self._rng.choice([{}, {"stop": ["e", "th"]}, {"logprobs": 2}, {"echo": True}])
        await self._post("/v1/completions", body | extra)

    async def constrained(self) -> None:
        """An object under a schema, which is checked."""
        body = {"model": self._model, "prompt": self._text(), "max_tokens": 200, "json_schema": json.dumps(SCHEMA)}
        answer = await self._post("/v1/completions", body)
        choice = answer["choices"][0] if answer else {"finish_reason": None}
        is_whole = choice["finish_reason"] == "stop"
        if is_whole and not jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(choice["text"])):
            self.wrong.append(f"the schema was not kept: {choice['text']!r}")

    async def bad_grammar(self) -> None:
        """A constraint that must be refused."""
        body = {"model": self._model, "prompt": self._text(), "max_tokens": 20}
        await self._post("/v1/completions", body | self._rng.choice(BAD_GRAMMARS), (400,))

    async def generate(self) -> None:
        """SGLang's endpoint."""
        params = {"max_new_tokens": self._rng.randint(1, 40), "temperature": self._rng.choice([0, 1])}
        body = {"text": self._text(), "sampling_params": params, "stream": self._rng.random() < 0.7}
        await self._post("/generate", body)

    async def session(self) -> None:
        """A session over plain HTTP and its forks: who hangs up in the middle of a generate still ends them by name."""
        names: list[str] = []
        try:
            async with asyncio.timeout(None) as patience:
                opened = await self._post("/sessions", {"text": self._text()})
                names += [opened["id"]] if opened else []
                forked = await self._post(f"/sessions/{names[0]}/fork", {"n": 2}) if names else None
                names += forked["ids"] if forked else []
                patience.reschedule(self._leaves_at())
                for name in names:
                    await self._post(f"/sessions/{name}/generate", {"sampling_params": {"max_new_tokens": 10}})
        finally:
            for name in names:
                async with self.http.delete(f"/sessions/{name}") as answer:
                    await answer.read()

    async def program(self) -> None:
        """A graph that the server runs."""
        stream = self._rng.random() < 0.5
        body = {"graph": self._graph, "arguments": {"hero": str(self._rng.randint(0, 9))}, "stream": stream}
        await self._post("/programs", body)


KINDS: dict[str, Callable[[Clients], Awaitable[None]]] = {
    "bad_grammar": Clients.bad_grammar,
    "chat": Clients.chat,
    "completion": Clients.completion,
    "constrained": Clients.constrained,
    "generate": Clients.generate,
    "program": Clients.program,
    "session": Clients.session,
}
