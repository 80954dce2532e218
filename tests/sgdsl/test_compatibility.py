"""What SGLang's frontend exposes, name by name."""

from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg

TOP_LEVEL = (
    *("Anthropic", "Engine", "LiteLLM", "OpenAI", "Runtime", "RuntimeEndpoint", "flush_cache", "function"),
    *("gen", "gen_int", "gen_string", "get_server_info", "image", "select", "separate_reasoning", "video"),
    *("assistant", "assistant_begin", "assistant_end", "system", "system_begin", "system_end"),
    *("user", "user_begin", "user_end", "set_default_backend"),
    *("greedy_token_selection", "token_length_normalized", "unconditional_likelihood_normalized"),
)
OF_A_PROGRAM = ("run", "run_batch", "bind", "cache", "trace", "compile")
OF_A_STATE = (
    *("system", "user", "assistant", "var_scope", "fork", "copy", "text", "messages", "sync", "error", "text_iter"),
    *("text_async_iter", "get_var", "set_var", "get_meta_info", "__contains__", "__getitem__", "__setitem__"),
)


def test_every_name_is_there() -> None:
    assert [name for name in TOP_LEVEL if not hasattr(sg, name)] == []
    assert [name for name in OF_A_PROGRAM if not hasattr(sg.Program, name)] == []
    assert [name for name in OF_A_STATE if not hasattr(sg.ProgramState, name)] == []
    assert [name for name in ("join", "__getitem__", "__iadd__") if not hasattr(sg.ProgramStateGroup, name)] == []


def test_the_top_level_functions_that_ask_the_backend() -> None:
    assert sg.flush_cache() is False
    assert sg.get_server_info() is None

    class Caching(sg.Mock):
        flushed = 0

        def flush_cache(self) -> None:
            self.flushed += 1

        def get_server_info(self) -> dict[str, Any]:
            return {"flushed": self.flushed}

    mock = Caching()
    assert sg.flush_cache(mock) is True
    sg.set_default_backend(mock)
    assert sg.flush_cache() is True
    assert sg.get_server_info() == {"flushed": 2}
    sg.set_default_backend(sg.Mock())
    assert sg.flush_cache() is False
    assert sg.get_server_info() is None
    with pytest.raises(sg.NotSupported, match=r"cat\.mp4"):
        sg.video("cat.mp4", 4)


def test_arguments_that_are_not_allowed_say_so() -> None:
    with pytest.raises(ValueError, match=r"dtype='decimal' is not allowed: int, float, bool or str"):
        sg.gen("a", dtype="decimal")
    with pytest.raises(ValueError, match=r"stop_regex=\['a', 5\] is not allowed"):
        sg.gen("a", stop_regex=["a", 5])
    assert sg.gen("a", stop_regex=[]) == sg.gen("a")
