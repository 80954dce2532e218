"""Codec: graphs as JSON and back, exactly.

Every dataclass is an object with its class under "kind" and the fields that differ from their defaults; tuples are
arrays. A `type=` becomes its constraint: the text is held to it, and the value is the text.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sgdsl import choices
from sgdsl.choices import ChoicesMethod
from sgdsl.errors import InvalidArgument, NotSupported
from sgdsl.ir import nodes, values
from sgdsl.ir.graph import Graph, Instruction, Parameter
from sgdsl.reasoning import Reasoning
from sgdsl.sampling import Sampling
from sgdsl.source import Source

__all__ = ["graph_from_json", "graph_to_json"]

VERSION = 1
_PLAIN = (str, int, float, bool, type(None))


def graph_to_json(graph: Graph, *, indent: int | None = None) -> str:
    """The graph as JSON text.

    Raises:
        NotSupported: something in it is Python's alone.
    """
    return json.dumps({"sgdsl_graph": VERSION, **_encoded(graph)}, ensure_ascii=False, indent=indent)


def graph_from_json(text: str) -> Graph:
    """The graph of a JSON text.

    Raises:
        InvalidArgument: it is no such text.
    """
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"not a graph: {error}") from error
    if not isinstance(read, dict) or read.pop("sgdsl_graph", None) != VERSION:
        raise InvalidArgument(f'not a graph: a JSON object with "sgdsl_graph": {VERSION} is needed')
    graph = _decoded(read, "graph")
    if not isinstance(graph, Graph):
        raise InvalidArgument(f"not a graph: it is a {type(graph).__name__}")
    return graph


def _encoded(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple):
        return [_encoded(one) for one in value]
    if isinstance(value, ChoicesMethod):
        name: str = value.name
        if vars(choices).get(name) is not value:
            raise NotSupported(f"choices_method {name!r} is a function of Python: a graph's JSON cannot hold it")
        return {"kind": "ChoicesMethod", "name": name}
    if type(value).__name__ not in _kinds():
        raise NotSupported(f"{type(value).__name__} {value!r:.60}: a graph's JSON cannot hold it")
    entry: dict[str, Any] = {"kind": type(value).__name__}
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if field.name == "default":  # of a parameter: anything, and not always comparable
            if found is not None:
                entry[field.name] = _raw(found)
        elif field.name != "typed" and found != _default(field):
            entry[field.name] = _encoded(found)
    return entry


def _raw(value: Any) -> Any:
    """A default of a parameter: whatever JSON has, lists and dicts included."""
    try:
        if json.loads(json.dumps(value)) == value:
            return value
    except (TypeError, ValueError):
        pass
    raise NotSupported(f"the default {value!r:.60} of a parameter: a graph's JSON cannot hold it")


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@lru_cache(maxsize=1)
def _kinds() -> Mapping[str, type]:
    """The classes a graph is made of, by name."""
    from grammars import spec

    found: dict[str, type] = {one.__name__: one for one in (Graph, Instruction, Parameter, Sampling, Reasoning, Source)}
    for module in (nodes, values):
        found |= {name: getattr(module, name) for name in module.__all__ if isinstance(getattr(module, name), type)}
    return found | {
        name: one for name, one in vars(spec).items() if isinstance(one, type) and dataclasses.is_dataclass(one)
    }


def _decoded(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(one, f"{where}[{place}]") for place, one in enumerate(value))
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    kind = fields.pop("kind", None)
    if kind == "ChoicesMethod":
        return _method(fields.get("name"), where)
    made = _kinds().get(kind) if isinstance(kind, str) else None
    if made is None:
        raise InvalidArgument(f"{where}: kind={kind!r} is not allowed: one of {', '.join(sorted(_kinds()))}")
    found = {key: one if key == "default" else _decoded(one, f"{where}.{key}") for key, one in fields.items()}
    hints = _hints(made)
    for key, one in found.items():
        if key in hints and not _fits(one, hints[key]):
            raise InvalidArgument(f"{where}.{key}={one!r:.80} is not allowed: {_spoken(hints[key])}")
    try:
        whole = made(**found)
        _check(whole)
        return whole
    except InvalidArgument as error:
        raise InvalidArgument(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{where}: no {kind} can be made of {sorted(fields)}: {error}") from error


def _check(made: object) -> None:
    """What the language says of a node's values beyond their types.

    Raises:
        InvalidArgument: naming the field.
    """
    from sgdsl.primitives import check_call, check_choices

    if isinstance(made, nodes.Gen | nodes.Select):
        check_call(made.name, made.priority, made.timeout)
    if isinstance(made, nodes.Select):
        check_choices(made.choices)
        if not 0 <= made.temperature < math.inf:
            raise InvalidArgument(f"temperature={made.temperature!r} is not allowed: a finite number of at least 0")
    if isinstance(made, nodes.ScopeBegin | nodes.ScopeEnd | nodes.SetVar) and not made.name:
        raise InvalidArgument("name='' is not allowed: a non-empty string")
    if isinstance(made, Sampling):
        made.params(None)


@lru_cache(maxsize=64)
def _hints(made: type) -> Mapping[str, Any]:
    """The types of a class's fields."""
    from grammars.spec import Spec

    return get_type_hints(made, localns={"Spec": Spec, "Graph": Graph, "Source": Source})


def _fits(value: object, hint: Any) -> bool:
    """Whether a decoded value is of a field's type; a number without a fraction is a float too."""
    if hint is Any:
        return True
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is Literal:
        return isinstance(value, str) and value in inner
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        inner = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(inner) == len(value) and all(map(_fits, value, inner))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _spoken(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _method(name: object, where: str) -> ChoicesMethod:
    found = getattr(choices, name, None) if isinstance(name, str) else None
    if not isinstance(found, ChoicesMethod):
        raise InvalidArgument(f"{where}: choices_method={name!r} is not allowed: one of sgdsl.choices")
    return found
