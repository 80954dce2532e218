from __future__ import annotations

import traceback
from typing import Any

import pytest

import sgdsl as sg
from runtime.errors import RequestError
from sgdsl.backends.api_key import check_api_key, veiled

KEY = "sk-very-secret"


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\u2019", f"{KEY}\x00", KEY.encode(), 7])
def test_keys_that_no_header_can_carry_are_refused_and_not_shown(key: Any) -> None:
    for make in (sg.OpenAI, sg.Anthropic):
        with pytest.raises(sg.InvalidArgument, match="api_key") as caught:
            make("model", api_key=key)
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", [None, "none", "", KEY, lambda: KEY])
def test_others_are_let_through(key: Any) -> None:
    check_api_key(key)


@pytest.mark.parametrize(("make", "name"), [(sg.OpenAI, "OPENAI_API_KEY"), (sg.Anthropic, "ANTHROPIC_API_KEY")])
def test_one_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, make: Any, name: str) -> None:
    monkeypatch.setenv(name, f"{KEY}\n")
    with pytest.raises(sg.InvalidArgument, match=name):
        make("model")


def test_an_error_that_shows_the_key_is_another_one_without_it() -> None:
    plain = ValueError("no")
    assert veiled(plain, KEY) is plain
    assert veiled(ValueError("none"), "none").args == ("none",)
    assert veiled(ValueError("a"), None).args == ("a",)
    for cause in (ValueError(f"the key {KEY} is wrong"), plain):
        try:
            raise KeyError(f"of {KEY}" if cause is plain else "no") from cause
        except KeyError as error:
            made = veiled(error, KEY)
            assert isinstance(made, RequestError)
            assert str(made).startswith("KeyError: ")
            assert KEY not in repr(made)
            assert made.__cause__ is None


@pytest.mark.parametrize("kind", ["OpenAI", "Anthropic"])
def test_a_server_that_answers_with_the_key_is_not_quoted(kind: str, server: Any, reply: Any) -> None:
    server.replies = [reply(status=401, message=f"Incorrect API key provided: {KEY}")]
    program = sg.function(lambda s: s.__iadd__(sg.user("x") + sg.assistant(sg.gen("a"))))
    url = f"{server.url}/v1" if kind == "OpenAI" else server.url
    with getattr(sg, kind)("m", base_url=url, api_key=KEY, max_retries=0) as backend:
        with pytest.raises(sg.ProgramError, match="Incorrect API key provided: …") as caught:
            program.run(backend=backend)
        assert KEY not in backend.fingerprint
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(caught.value.__cause__)


@pytest.mark.parametrize("make", [sg.OpenAI, sg.Anthropic])
def test_extra_fields_are_a_dict(make: Any) -> None:
    with pytest.raises(sg.InvalidArgument, match=r"extra_body=\['a'\] is not allowed: a dict"):
        make("m", api_key="k", extra_body=["a"])
