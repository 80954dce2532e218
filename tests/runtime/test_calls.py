"""Generate calls as other makers' hosts use them: by name, aborted, left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import EngineClosed, InvalidParameter

LONG: dict[str, Any] = {"max_new_tokens": 400, "ignore_eos": True, "temperature": 0}


@pytest.mark.parametrize(
    ("prompt", "rid", "names"),
    [("the", "mine", ["mine"]), (["a", "b"], "mine", ["mine_0", "mine_1"]), (["a", "b"], ["x", "y"], ["x", "y"])],
)
def test_answers_bear_the_names_that_were_given(engine: Engine, prompt: Any, rid: Any, names: list[str]) -> None:
    found = engine.generate(prompt, {"max_new_tokens": 1}, rid=rid)
    answers = found if isinstance(found, list) else [found]
    assert [answer["meta_info"]["id"] for answer in answers] == names


@pytest.mark.parametrize("rid", [["x"], ["x", 5]])
def test_names_that_do_not_fit_are_refused(engine: Engine, rid: Any) -> None:
    with pytest.raises(InvalidParameter, match="rid"):
        engine.generate(["a", "b"], rid=rid)


async def test_a_host_streams_cumulative_answers_and_aborts_by_name(
    engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    whole = await engine.async_generate(prompt="the", sampling_params={**LONG, "max_new_tokens": 20}, stream=False)
    parts = []
    async for part in await engine.async_generate(prompt="the", sampling_params=LONG, stream=True, rid="mine"):
        parts.append(part)
        if len(parts) == 3:
            assert engine.abort_request("nobody") == 0
            assert engine.abort_request(rid="mine") == 1
    assert all(later["text"].startswith(part["text"]) for part, later in pairwise(parts))
    last = parts[-1]
    assert last["meta_info"]["finish_reason"]["type"] == "abort"
    assert 3 <= last["meta_info"]["completion_tokens"] < 400
    assert (last["text"] + whole["text"]).startswith(last["text"])
    assert last["output_ids"][:3] == whole["output_ids"][:3]
    assert engine.abort_request("mine") == 0
    assert_nothing_held(engine)


async def test_all_are_aborted_and_everybody_gets_what_there_is(
    engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    tasks = [asyncio.create_task(engine.async_generate(f"the {n}", LONG)) for n in range(3)]
    blocked: list[Any] = []
    thread = threading.Thread(target=lambda: blocked.append(engine.generate("then", {**LONG, "n": 2})))
    thread.start()
    async with asyncio.timeout(60):
        while engine.stats()["running"] < 5:
            await asyncio.sleep(0.001)
    assert engine.abort_request(abort_all=True) == 5
    answers = [*await asyncio.gather(*tasks), *(await asyncio.to_thread(thread.join) or blocked[0])]
    assert [answer["meta_info"]["finish_reason"]["type"] for answer in answers] == ["abort"] * 5
    assert_nothing_held(engine)


async def test_who_leaves_a_stream_or_is_cancelled_leaves_nothing(
    engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    stream = await engine.async_generate("the", LONG, stream=True)
    await anext(stream)
    await stream.aclose()
    task = asyncio.create_task(engine.async_generate("the", LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_held(engine)


async def test_health_is_asked_for_as_hosts_do(engine: Engine) -> None:
    await engine.check_health()
    engine.shutdown()
    with pytest.raises(EngineClosed):
        await engine.check_health()


def test_the_tokenizer_is_where_hosts_look_for_it(make_engine: Callable[..., Engine]) -> None:
    template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    engine = make_engine()
    engine.tokenizer.chat_template, before = template, engine.tokenizer.chat_template
    try:
        tokenizer = engine.tokenizer_manager.tokenizer
        messages = [{"role": "user", "content": "the theatre"}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert text == "user: the theatre\n>"
        assert tokenizer.encode(text) == engine.tokenizer.encode(text)
        assert tokenizer.decode(engine.tokenizer.encode(text)) == text
        assert engine.tokenizer_manager.tokenizer is tokenizer
    finally:
        engine.tokenizer.chat_template = before
