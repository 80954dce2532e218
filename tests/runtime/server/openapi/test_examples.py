"""Examples that are made from the document, valid and not: nothing is a server error, and answers are as it says."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.model.loader import random_model, tiny_config
from runtime.server.local_engine import LocalEngine
from runtime.server.openapi.document import Guarded, document
from runtime.server.openapi.operations import operations
from runtime.server.sessions.limits import SessionLimits
from runtime.startup import assemble
from runtime.tokenizer import Tokenizer
from sgdsl.served.runner import GraphRunner

schemathesis = pytest.importorskip("schemathesis")

CONTEXT = 48
MOST_EXAMPLES = 6
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@pytest.fixture(scope="module")
def short_engine(tiny_tokenizer: Tokenizer) -> Iterator[Engine]:
    """One whose sequences are short, so that no example takes long."""
    shape = tiny_config(vocab_size=tiny_tokenizer.vocab_size, max_position_embeddings=CONTEXT)
    model = random_model(shape, seed=3, weight_format="float32")
    config = EngineConfig.of({"max_total_tokens": 2048, "attention": "torch", "chat_template": "chatml"})
    assembled = assemble(config, model, shape, tiny_tokenizer, free_bytes=1 << 30, name="tiny", weights="tiny")
    with Engine.of(config, assembled) as engine:
        yield engine


@pytest.fixture(scope="module")
def url(
    short_engine: Engine, assert_nothing_held: Callable[[Engine], None], serving: Callable[..., Any]
) -> Iterator[str]:
    """A server that leaves nothing behind, whatever it was asked."""
    local = LocalEngine(short_engine)
    with serving(local, GraphRunner(local), max_samples=4, sessions=SessionLimits(idle_seconds=5.0)) as url:
        yield url
    assert_nothing_held(short_engine)


def _cases() -> list[Any]:
    """Every operation, with valid examples, and with wrong ones where anything can be wrong."""
    schema = schemathesis.openapi.from_dict(document(operations(), Guarded()))
    found = [one.ok() for one in schema.get_all_operations()]
    modes = schemathesis.GenerationMode
    return [
        pytest.param(one, mode, id=f"{one.label} {mode.value}")
        for one in found
        for mode in (modes.POSITIVE, modes.NEGATIVE)
        if mode is modes.POSITIVE or one.body or one.query
    ]


def _session(url: str) -> str:
    ask = urllib.request.Request(f"{url}/sessions", data=b'{"text": "the"}', method="POST")
    with urllib.request.urlopen(ask, timeout=30) as response:
        name: str = json.load(response)["id"]
    return name


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), _cases())
def test_answers_are_as_described(url: str, operation: Any, mode: Any) -> None:
    checks = [check for check in schemathesis.checks.CHECKS.get_all() if check.__name__ in CHECKS]
    assert len(checks) == len(CHECKS)

    @seed(0)
    @settings(max_examples=MOST_EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if "/sessions/{id}" in operation.path:
            case.path_parameters["id"] = _session(url)
        response = case.call(base_url=url, timeout=60)
        case.validate_response(response, checks=checks)

    check()
