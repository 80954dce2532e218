"""All that is asked through another backend reaches the one that answers, and all that it answers comes back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import sgdsl as sg
from grammars.spec import Regex
from runtime.engine import Engine
from runtime.handle import Chunk, Generation, Handle, Scores, TokenLogprob
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from runtime.wire.messages import Hello
from sgdsl.backends.base import BackendSession, Capabilities, ScoringSession
from sgdsl.backends.mock_session import MockSession

Pass = Callable[[Any], Any]
PARAMS = SamplingParams(
    max_new_tokens=None, min_new_tokens=3, temperature=0.5, top_k=5, top_p=0.5, min_p=0.25, frequency_penalty=-1.5,
    presence_penalty=2.0, repetition_penalty=1.25, logit_bias={3: -1e30, 4: 0.5}, stop=("\n", "é"), stop_token_ids=(1,),
    stop_regex="[0-9]+", ignore_eos=True, n=2, seed=2**63, constraint=Regex("a+"), constraint_after="</think>",
    token_healing=True, jump_forward=False, priority=7, timeout=2.5, skip_special_tokens=False,
)  # fmt: skip
LOGPROBS = (TokenLogprob(-0.5, 3, ((-0.5, 3), (float("-inf"), 4))),)
CHUNK = Chunk("aé", (3,), LOGPROBS)
GENERATION = Generation(
    text="aé", token_ids=(3,), finish_reason="stop", forced=(True,), matched_stop=2, num_generated=2, num_forced=1,
    prompt_tokens=9, cached_tokens=8, logprobs=LOGPROBS, prompt_logprobs=LOGPROBS, queue_seconds=0.5,
    first_token_seconds=1.5, total_seconds=2.5, written_ahead=True,
)  # fmt: skip
SCORES = Scores(
    index=1, logprobs=((-1.0, float("-inf")), (-2.0,)), token_ids=((3, 4), (5,)), prompt_tokens=9, cached_tokens=8,
    unconditional_logprobs=((-0.25, -0.5), (-1.0,)), total_seconds=2.5,
)  # fmt: skip
HINT = Hint(name="answer", gang=3, remaining_calls=4, remaining_tokens=5, extends_again=False)
WITHOUT = {"gen_options", "checkpoints", "images", "roles", "prefill", "speculation"}
"""What the server need not say: an engine honours every option and can go back, and has neither pictures nor roles."""


class Told(MockSession):
    """Keeps what it is asked, and answers everything that there is in an answer."""

    def generate(self, params: SamplingParams, **asked: Any) -> Handle[Generation]:
        self._mock.told.append(("gen", self._label, params, asked))  # type: ignore[attr-defined]
        handle: Handle[Generation] = Handle()
        handle.push(CHUNK)
        handle.finish(GENERATION)
        return handle

    def score(self, choices: Sequence[str], choose: Any, **asked: Any) -> Handle[Scores]:
        self._mock.told.append(("select", self._label, tuple(choices), asked))  # type: ignore[attr-defined]
        handle: Handle[Scores] = Handle()
        handle.finish(msgspec.structs.replace(SCORES, index=choose(SCORES.basis)))
        return handle

    def hint(self, hint: Hint) -> None:
        self._mock.told.append(("hint", hint))  # type: ignore[attr-defined]


class Telltale(sg.Mock):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.capabilities = replace(self.capabilities, priority=True, hints=True)

    def open(self, *, namespace: str = "", program: str = "") -> MockSession:
        self.told.append(("open", namespace, program))
        return Told(self)


@pytest.fixture(params=["endpoint", "router", "cached", "a cache of a router of an endpoint"])
def through(
    request: pytest.FixtureRequest, serve: Callable[..., Any], connect: Callable[..., Any], tmp_path: Path
) -> Iterator[Pass]:
    caches: list[sg.Cached] = []

    def made(backend: Any) -> Any:
        if "endpoint" in request.param:
            backend = connect(serve(backend))
        if "router" in request.param:
            backend = sg.Router([backend])
        if "cache" in request.param:
            caches.append(sg.Cached(backend, tmp_path / "answers.db", mode="all"))
            backend = caches[-1]
        return backend

    yield made
    for one in caches:
        one.close()


def defaults_of(value: Any) -> dict[str, Any]:
    """Fields with their defaults, of a dataclass or of a struct."""
    of = fields(value) if is_dataclass(value) else msgspec.structs.fields(value)
    none = (MISSING, msgspec.NODEFAULT)
    return {one.name: one.default if one.default_factory in none else one.default_factory() for one in of}


@pytest.mark.parametrize(
    "value", [PARAMS, LOGPROBS[0], CHUNK, GENERATION, SCORES, HINT], ids=lambda one: type(one).__name__
)
def test_the_values_here_leave_no_field_at_its_default(value: Any) -> None:
    assert [name for name, default in defaults_of(value).items() if getattr(value, name) == default] == []


def test_no_argument_of_a_call_is_left_out_here() -> None:
    told = inspect.signature(BackendSession.generate).parameters, inspect.signature(ScoringSession.score).parameters
    assert [list(one)[1:] for one in told] == [
        ["params", "top_logprobs", "logprob_start"],
        ["choices", "choose", "unconditional", "priority"],
    ]


def test_all_of_a_gen(through: Pass) -> None:
    telltale = Telltale()
    session = through(telltale).open(namespace="tenant", program="p")
    session.append("x")
    session.hint(HINT)
    session.label("name")
    handle = session.generate(PARAMS, top_logprobs=2, logprob_start=0)
    assert handle.result(10) == GENERATION
    assert handle.chunks == (CHUNK,)
    session.close()
    gen = ("gen", "name", PARAMS, {"top_logprobs": 2, "logprob_start": 0})
    assert telltale.told == [("open", "tenant", "p"), ("hint", HINT), gen]


@pytest.mark.parametrize(
    "asked", [{}, {"unconditional": True}, {"priority": 3}, {"unconditional": True, "priority": 3}]
)
def test_all_of_a_select(through: Pass, asked: dict[str, Any]) -> None:
    from runtime.choosing import Choosing

    telltale = Telltale()
    session = through(telltale).open()
    session.label("name")
    handle = session.score(("ab", "c"), Choosing("joint_likelihood", 0.0, None), **asked)
    best = Choosing("joint_likelihood", 0.0, None)(SCORES.basis)
    assert handle.result(10) == msgspec.structs.replace(SCORES, index=best)
    session.close()
    kind, name, choices, told = telltale.told[-1]
    assert (kind, name, choices) == ("select", "name", ("ab", "c"))
    assert {key: value for key, value in told.items() if value} == asked


def test_what_is_known_comes_back_with_everything_but_the_times(tmp_path: Path) -> None:
    with sg.Cached(Telltale(), tmp_path / "answers.db", mode="all") as cached:
        plain = replace(PARAMS, token_healing=False)
        for _ in range(2):
            session: Any = cached.open()
            made, chosen = session.generate(plain), session.score(("ab", "c"), lambda rows: 1, unconditional=True)
            found, scores = made.result(10), chosen.result(10)
            session.close()
        assert cached.hits == 2
    changed = {name for name in defaults_of(found) if getattr(found, name) != getattr(GENERATION, name)}
    assert changed == {"cached_tokens", "queue_seconds", "first_token_seconds", "total_seconds"}
    assert scores == msgspec.structs.replace(SCORES, cached_tokens=SCORES.prompt_tokens, total_seconds=0.0)


def test_the_server_says_all_that_a_backend_can_do() -> None:
    able = {field.name for field in fields(Capabilities)}
    assert able - set(Hello.__struct_fields__) == WITHOUT


def test_pictures_are_shown_or_refused(through: Pass) -> None:
    mock = sg.Mock({"a": "a cat"})
    backend = through(mock)

    @sg.function
    def program(s: sg.ProgramState) -> str:
        s += sg.user(sg.image(b"\x89PNG\r\n\x1a\n" + bytes(8)) + "What?") + sg.assistant(sg.gen("a", temperature=0))
        return str(s["a"])

    if backend.capabilities.images:
        assert program.run(backend=backend).ret_value == "a cat"
        assert [image[:22] for image in mock.calls[0].images] == ["data:image/png;base64,"]
    else:
        with pytest.raises(
            sg.BackendCapabilityError, match=f"image is not something the {backend.name} backend can do"
        ):
            program.run(backend=backend)


def test_parts_are_appended_or_refused(through: Pass) -> None:
    backend = through(sg.Mock({"a": ["1", "2"]}))

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(2)
        forks += sg.gen("a")
        forks.join("concat_and_append")

    if isinstance(backend, sg.RuntimeEndpoint):
        assert program.run(backend=backend).text() == "12"
    else:
        with pytest.raises(sg.BackendCapabilityError, match=rf"join\('concat_and_append'\).*{backend.name}"):
            program.run(backend=backend)


@sg.function
def particular(s: sg.ProgramState) -> Any:
    s += "the th" + sg.gen("a", 4, token_healing=True, return_logprob=True, top_logprobs_num=2, logprob_start_len=1)
    s += sg.separate_reasoning(sg.gen("b", 24, regex="[0-9]{2}", stop="</think>x"), "deepseek-r1")
    s += sg.select("c", ["one", "two"], choices_method=sg.unconditional_likelihood_normalized, priority=2)
    s += sg.gen("d", 4, priority=-1, n=2, seed=3, temperature=1.0, logit_bias={5: 3.0}, min_p=0.05)
    return [s[name] for name in "abcd"], s["b_reasoning_content"], s.text(), s.get_meta_info("a"), s.get_meta_info("c")


def test_an_engine_does_the_same_with_all_of_it(tiny_engine: Engine, through: Pass) -> None:
    backend = through(tiny_engine)
    direct, passed = (particular.run(backend=one, temperature=0).ret_value for one in (tiny_engine, backend))
    timed = {"cached_tokens", "e2e_latency", "ttft", "queue_time"}
    for one in (direct, passed):
        for meta in one[-2:]:
            for name in [name for name in meta if name in timed or "latency" in name or "seconds" in name]:
                del meta[name]
    assert passed == direct
