from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from sgdsl.prefix import cache_graph_prefix


@sg.function
def program(s: sg.ProgramState, topic: str = "cats", n: int = 2) -> Any:
    s += sg.system("Be very kind.")
    with s.user():
        s += "Write of " + topic
    s += sg.gen("a")
    return s["a"].upper()


def test_everything_up_to_the_first_difference_is_computed(mock: sg.Mock) -> None:
    before = "<|im_start|>system\nBe very kind.<|im_end|>\n", "<|im_start|>user\nWrite of "
    assert program.cache(backend=mock) == sum(map(mock.count_tokens, before))
    assert mock.num_open == 0
    assert mock.calls == []


def test_arguments_of_a_graph_are_part_of_it_where_they_are_fixed(mock: sg.Mock) -> None:
    fixed = cache_graph_prefix(program.trace(topic="cats", partial=True), mock)
    assert fixed > program.cache(backend=mock)
    assert program.bind(topic="cats").cache(backend=mock) == fixed


@pytest.mark.parametrize(
    ("beginning", "num_tokens"),
    [
        (lambda s, topic: s.set_var("a", topic), 0),
        (lambda s, topic: s.fork(2), 0),
        (lambda s, topic: s.user(topic), len(["<|im_start|>user", "\n"])),
    ],
)
def test_programs_that_begin_with_little(mock: sg.Mock, beginning: Any, num_tokens: int) -> None:
    assert sg.function(beginning).cache(backend=mock) == num_tokens
    assert mock.num_open == 0


def test_on_an_engine_the_tokens_are_cached(tiny_engine: Any) -> None:
    num_tokens = program.cache(backend=tiny_engine)
    assert num_tokens > 10
    state = program.run("the thin thing", backend=tiny_engine, max_tokens=1)
    assert state.get_meta_info("a")["cached_tokens"] >= num_tokens - 16  # whole pages
