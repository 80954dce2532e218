from __future__ import annotations

import contextlib
import copy
import json
import random
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sgdsl as sg
from grammars import spec
from sgdsl.choices import ChoicesMethod
from sgdsl.compiled import CompiledProgram
from sgdsl.errors import InvalidArgument, NotSupported
from sgdsl.ir import (
    Arg,
    Call,
    Checkpoint,
    Concat,
    Const,
    Entries,
    Fork,
    Gen,
    Graph,
    Image,
    Instruction,
    Items,
    Join,
    Joined,
    Node,
    Parameter,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    Select,
    SetVar,
    Text,
    Tokens,
    VarRef,
)
from sgdsl.reasoning import Reasoning
from sgdsl.sampling import Sampling
from sgdsl.source import Source

NAMES = st.text(min_size=1, max_size=6)
VALUES = st.recursive(
    st.one_of(
        st.builds(Const, st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), NAMES)),
        st.just(Arg("topic")),
        st.builds(VarRef, st.just(0), st.just("a"), st.lists(st.one_of(st.integers(0, 3), NAMES)).map(tuple)),
    ),
    lambda inner: st.one_of(
        st.builds(Items, st.lists(inner, max_size=3).map(tuple), st.booleans()),
        st.builds(Joined, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Entries, st.dictionaries(NAMES, inner, max_size=3).map(lambda found: tuple(found.items()))),
    ),
    max_leaves=6,
)
SPECS = st.sampled_from(
    [
        None,
        spec.Regex("a[^b]"),
        spec.Choice(("a", "\n")),
        spec.JsonSchema.of({"type": "object", "default": [1, {"kind": "Text"}]}),
        spec.JsonObject(),
        spec.Lark("start: /a/"),
        spec.Sequence((spec.Regex("a"), "b")),
        spec.Stop(("x",), spec.FreeText()),
        spec.Suffix(spec.Regex("a"), "b"),
        spec.Repeat(spec.Regex("a"), 1, None),
        spec.AnyOf((spec.Regex("a"), spec.Regex("b"))),
        spec.StructuralTag((spec.Tag("<a>", spec.JsonObject(), ("</a>",)),), ("<a",)),
    ]
)
SAMPLINGS = st.builds(
    Sampling,
    max_tokens=st.one_of(st.none(), st.integers(0, 9)),
    temperature=st.sampled_from([None, 0, 0.0, 0.5]),
    stop=st.sampled_from([None, ("a", "</script>")]),
    logit_bias=st.sampled_from([None, ((1, -0.5), (2, 3.0))]),
    ignore_eos=st.sampled_from([None, True, False]),
)
GENS = st.builds(
    Gen, name=st.one_of(st.none(), NAMES), sampling=SAMPLINGS, constraint=SPECS, token_healing=st.booleans(),
    reasoning=st.sampled_from([None, Reasoning(), Reasoning(begin="<", is_exact=True)]),
    timeout=st.sampled_from([None, 1, 1.5]), priority=st.sampled_from([None, 0, -3]),
)  # fmt: skip
METHODS = st.sampled_from([sg.joint_likelihood, sg.token_length_normalized, sg.constrained_greedy])
SELECTS = st.builds(
    Select, name=NAMES, choices=st.lists(NAMES, min_size=1, unique=True).map(tuple), method=METHODS,
    temperature=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Text, st.text()),
    st.just(Arg("topic")),
    st.just(VarRef(0, "a", (), "text")),
    GENS,
    SELECTS,
    st.builds(ScopeBegin, NAMES),
    st.builds(ScopeEnd, NAMES),
    st.builds(Image, NAMES),
    st.builds(SetVar, NAMES, VALUES),
    st.just(Tokens()),
    st.builds(lambda value, sampling: Call(Graph(name="inner"), (("a", value),), sampling), VALUES, SAMPLINGS),
    st.just(Join((1, 2), ("a", "é"), return_exceptions=True)),
    st.just(Concat((1,))),
    st.just(Rollback(0)),
)
SOURCES = st.one_of(st.none(), st.builds(Source, NAMES, st.integers(1, 99), NAMES))
GRAPHS = st.builds(
    lambda instructions, result, default: Graph(
        name="p",
        parameters=(Parameter(name="topic", default=default),),
        instructions=(
            Instruction(0, Gen(name="a")),
            Instruction(0, Fork((1, 2))),
            Instruction(0, Checkpoint(0)),
            *(Instruction(0, node, source) for node, source in instructions),
        ),
        result=result,
    ),
    st.lists(st.tuples(NODES, SOURCES), max_size=6),
    VALUES,
    st.sampled_from([None, 0, False, "", [1, {"kind": "Text"}], {"a": [None]}, 1.5]),
)


@settings(max_examples=300, deadline=None)
@given(GRAPHS)
def test_a_graph_is_the_same_after_json(graph: Graph) -> None:
    read = Graph.from_json(graph.to_json())
    assert read == graph
    assert repr(read) == repr(graph)
    assert Graph.from_json(graph.to_json(indent=2)) == graph


def test_a_program_is_the_same_but_for_its_types(graph: Graph) -> None:
    read = Graph.from_json(graph.to_json())
    last = graph.instructions[-1]
    assert isinstance(last.node, Gen)
    assert last.node.typed is not None
    untyped = replace(last, node=replace(last.node, typed=None))
    assert read == replace(graph, instructions=(*graph.instructions[:-1], untyped))


def test_json_is_readable_and_says_its_version(graph: Graph) -> None:
    read = json.loads(graph.to_json())
    assert read["sgdsl_graph"] == 1
    assert read["parameters"][2] == {"kind": "Parameter", "name": "n", "default": 2, "is_fixed": True}
    assert read["instructions"][1]["node"] == {"kind": "Text", "text": "Be "}


def test_what_is_pythons_alone_is_refused() -> None:
    @sg.function
    def program(s: sg.ProgramState, data: Any) -> None:
        s += sg.select("a", ["x", "y"], choices_method=ChoicesMethod("mine", lambda rows: [0.0] * len(rows)))

    with pytest.raises(NotSupported, match="choices_method 'mine' is a function of Python"):
        program.trace(data=1).to_json()
    for data in (object(), (1, 2), {1: 2}, float("nan"), b"a"):
        with pytest.raises(NotSupported, match=r"the default .* of a parameter"):
            sg.function(lambda s, data: None).trace(data=data).to_json()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda read: read.pop("sgdsl_graph"), '"sgdsl_graph": 1 is needed'),
        (lambda read: read.update(sgdsl_graph=2), '"sgdsl_graph": 1 is needed'),
        (lambda read: read.update(kind="Text"), "no Text can be made"),
        (lambda read: read.update(kind="Node"), "kind='Node' is not allowed: one of Any"),
        (lambda read: read.update(name=5), r"graph\.name=5 is not allowed: str"),
        (lambda read: read.update(instructions={}), r"graph\.instructions: kind=None"),
        (lambda read: read["instructions"].append(3), r"graph\.instructions=.* is not allowed: tuple"),
        (lambda read: read["instructions"][1].update(node=None), r"instructions\[1\]\.node=None is not allowed"),
        (lambda read: read["instructions"][1]["node"].update(text=5), r"\[1\]\.node\.text=5 is not allowed: str"),
        (lambda read: read["instructions"][1]["node"].update(more=5), "no Text can be made of"),
        (lambda read: read["instructions"][1].update(stream=7), "instruction 1: stream 7 has not begun"),
        (lambda read: read["instructions"][1].update(stream=0.5), r"stream=0\.5 is not allowed: int"),
        (lambda read: read["instructions"][1].update(stream=True), "stream=True is not allowed: int"),
        (lambda read: gen(read).update(sampling={"kind": "Sampling", "temperature": -1}), "temperature"),
        (lambda read: gen(read).update(sampling={"kind": "Sampling", "max_tokens": "9"}), r"max_tokens='9' is not"),
        (lambda read: gen(read).update(name=""), "name='' is not allowed: a non-empty string or None"),
        (lambda read: gen(read).update(timeout=-1), "timeout=-1 is not allowed"),
        (lambda read: select(read).update(choices=[]), r"choices=\(\) is not allowed"),
        (lambda read: select(read).update(temperature=-1), "temperature=-1 is not allowed"),
        (lambda read: gen(read).update(constraint={"kind": "Regex", "pattern": 3}), r"pattern=3 is not allowed"),
        (lambda read: gen(read).update(constraint={"kind": "Text", "text": ""}), r"constraint=.* is not allowed"),
        (lambda read: read.update(result={"kind": "VarRef", "origin": 99, "name": "a"}), "read before it is written"),
        (lambda read: read.update(result={"kind": "VarRef", "origin": 1, "name": "a"}), "does not bind 'a'"),
        (lambda read: read.update(result={"kind": "Arg", "name": "no"}), "no parameter 'no'"),
        (
            lambda read: read.update(result={"kind": "VarRef", "origin": 1, "name": "a", "form": "x"}),
            r"form='x' is not allowed: .*Literal",
        ),
    ],
)
def test_other_texts_are_refused_with_the_place(graph: Graph, change: Any, match: str) -> None:
    read = json.loads(graph.to_json())
    change(read)
    with pytest.raises(InvalidArgument, match=match):
        Graph.from_json(json.dumps(read))


def gen(read: Any, kind: str = "Gen") -> Any:
    return next(one["node"] for one in read["instructions"] if one["node"]["kind"] == kind)


def select(read: Any) -> Any:
    return gen(read, "Select")


@pytest.mark.parametrize("text", ["", "[", "null", "[]", '"a"', "{}", "[" * 100_000, '{"sgdsl_graph": 1}'])
def test_texts_that_are_no_graph(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"not a graph|kind="):
        Graph.from_json(text)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_damaged_text_is_refused_or_runs_to_an_end(seed: int) -> None:
    @sg.function
    def program(s: sg.ProgramState, topic: str) -> Any:
        s += sg.user(topic) + sg.gen("a", stop="\n")
        with s.fork(2) as group:
            group += s["a"] + sg.select("b", ["x", "y"])
        point = s.checkpoint()
        s += sg.gen("c")
        s.rollback(point)
        return s["b"], s["a"]

    random_ = random.Random(seed)
    read = json.loads(program.trace().to_json())
    for _ in range(random_.randint(1, 3)):
        damage(read, random_)
    mock = sg.Mock()
    started = time.monotonic()
    with contextlib.suppress(sg.SgdslError):
        CompiledProgram(Graph.from_json(json.dumps(read))).run("cats", backend=mock, timeout=20)
    assert time.monotonic() - started < 15
    assert mock.num_open == 0


def damage(read: Any, random_: random.Random) -> None:
    """Changes one value somewhere in it, drops it, or puts another part there."""
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, one in inside:
            places.append((value, key))
            collect(one)

    collect(read)
    holder, key = random_.choice(places)
    other_holder, other_key = random_.choice(places)
    choice = random_.randrange(4)
    if choice == 0:
        holder[key] = random_.choice([None, 0, 1, -1, 2.5, "", "a", [], {}, True])
    elif choice == 1:
        holder[key] = copy.deepcopy(other_holder[other_key])
    elif choice == 2:
        del holder[key]
    elif isinstance(holder[key], int):
        holder[key] += random_.choice([-1, 1])
