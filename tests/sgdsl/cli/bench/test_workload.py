from __future__ import annotations

from itertools import islice

import pytest

from sgdsl.cli.bench.workload import WORKLOADS, Shape, scripts

SHAPE = Shape(prompt_tokens=100, new_tokens=7)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_gives_the_same_load_and_another_gives_another(name):
    first, again = (list(islice(scripts(name, "m", SHAPE, 1), 5)) for _ in range(2))
    assert first == again
    assert first != list(islice(scripts(name, "m", SHAPE, 2), 5))
    assert len({script.turns for script in first}) == 5
    body = first[0].request([])
    assert (body["model"], body["max_tokens"], body["stream"]) == ("m", 7, True)
    assert body["stream_options"] == {"include_usage": True}


def test_prompts_are_about_as_long_as_asked():
    script = next(scripts("decode", "m", SHAPE, 0))
    assert len(script.request([])["prompt"].split()) == 100


def test_shared_prefixes_are_nine_tenths_of_a_prompt():
    prompts = [script.request([])["prompt"].split() for script in islice(scripts("shared-prefix", "m", SHAPE, 0), 4)]
    assert len({tuple(prompt[:90]) for prompt in prompts}) == 1
    assert len({tuple(prompt[90:]) for prompt in prompts}) == 4


def test_a_program_goes_on_from_its_answers():
    script = next(scripts("program", "m", SHAPE, 0))
    first = script.request([])["prompt"]
    second = script.request([" A."])["prompt"]
    assert second == f"{first} A.{script.turns[1]}"
    assert script.request([" A.", " B."])["prompt"] == f"{second} B.{script.turns[2]}"


def test_a_chat_repeats_what_was_said():
    script = next(scripts("chat", "m", SHAPE, 0))
    roles = [message["role"] for message in script.request(["Hello."])["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert script.request(["Hello."])["messages"][2]["content"] == "Hello."
    assert "ignore_eos" not in script.request([])
