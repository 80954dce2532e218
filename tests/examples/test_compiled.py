"""Every example recorded and compiled: the same text, values and tokens, whichever way its instructions came."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg

ROOT = Path(sg.__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
BRANCHES_EARLY = ("batch", "streaming_server", "unit_test")
"""What runs others on its own, or waits for the network, is no graph from its first line on."""


def main_of(name: str) -> sg.Program:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    program = made.main
    assert isinstance(program, sg.Program)
    return program


def defaults(program: sg.Program) -> dict[str, Any]:
    """Arguments in f-strings are fixed, so that the graph reaches beyond them."""
    return {name: parameter.default for name, parameter in program.signature.parameters.items()}


def token_ids(state: sg.ProgramState) -> dict[str, Any]:
    """What was generated, name by name."""
    metas = {name: state.get_meta_info(name) for name in state._stream.variables}
    return {name: _ids(meta) for name, meta in metas.items()}


def _ids(meta: Any) -> Any:
    return [_ids(one) for one in meta] if isinstance(meta, list) else (meta or {}).get("token_ids")


def assert_same(name: str, backend: Any) -> None:
    program, again = main_of(name), main_of(name)  # some have tools that change the module's own data
    compiled = again.compile(partial=True, **defaults(again))
    recorded, replayed = program.run(backend=backend), compiled.run(backend=backend)
    assert replayed.text() == recorded.text()
    assert replayed.messages() == recorded.messages()
    assert repr(replayed.ret_value) == repr(recorded.ret_value)  # the two modules have classes of their own
    assert token_ids(replayed) == token_ids(recorded)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in (*BRANCHES_EARLY, "extraction")])
def test_on_the_mock(name: str) -> None:
    assert_same(name, sg.Mock())


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in BRANCHES_EARLY])
def test_something_of_it_is_a_graph(name: str) -> None:
    program = main_of(name)
    graph = program.trace(partial=True, **defaults(program))
    assert len(graph) > 0
    if not any(isinstance(parameter.default, Path) for parameter in graph.parameters):
        assert sg.Graph.from_json(graph.to_json()).to_json() == graph.to_json()


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with sg.Engine() as engine:
        yield engine


@pytest.mark.model
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in BRANCHES_EARLY])
def test_on_the_real_model(engine: Any, name: str) -> None:
    assert_same(name, engine)
