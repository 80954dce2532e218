"""Compiles specs meant to do harm, one after another, and writes what became of each as a line of JSON.

A program of its own, run by `test_hostile.py`, so that its memory can be limited and measured.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from grammars import Choice, GrammarCompiler, GrammarError, JsonSchema, Regex, unpack
from grammars.sample import byte_vocabulary
from grammars.spec import Gbnf, Lark, Spec

MEMORY = 4 * 2**30
TOKENS = 60
ALARM = 20
"""Seconds after which an item is stopped, so that those behind it get their turn."""


def schema(value: Any, **policies: Any) -> Callable[[], Spec]:
    return lambda: JsonSchema.of(value, **policies)


def nested(depth: int, keyword: str) -> Any:
    """`depth` schemas within each other, as text: no encoder would go as deep."""
    begin, end = {"not": ('{"not":', "}"), "items": ('{"items":', "}"), "anyOf": ('{"anyOf":[', "]}")}[keyword]
    return begin * depth + "{}" + end * depth


def doubling(keyword: str, depth: int) -> Any:
    """2^depth branches, if references are followed blindly."""
    definitions: dict[str, Any] = {
        f"d{at}": {keyword: [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}]} for at in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": definitions | {f"d{depth}": {"type": "integer"}}}


def crossing(count: int) -> Any:
    """2^count conjunctions, if alternatives are multiplied out."""
    pairs = [{"anyOf": [{"required": [f"a{at}"]}, {"required": [f"b{at}"]}]} for at in range(count)]
    return {"type": "object", "allOf": pairs}


def optional_properties(count: int) -> Any:
    return {"properties": {f"property_{at}": {"type": "string", "maxLength": at} for at in range(count)}}


def chain(count: int) -> str:
    """Rules of which each names the next one twice."""
    rules = [f'r{at}: r{at + 1} | "x" r{at + 1}' for at in range(count)]
    return "\n".join(["start: r0", *rules, f'r{count}: "y"'])


BIG = 10**9
BRANCHES = [{"properties": {"kind": {"const": f"k{at}"}, f"p{at}": {"type": "integer"}}} for at in range(10_000)]
ITEMS: dict[str, Callable[[], Spec]] = {
    "regex (x+x+)+y": lambda: Regex("(x+x+)+y"),
    "regex (a|b)*a(a|b){30}": lambda: Regex("(a|b)*a(a|b){30}"),
    "regex (a?){5000}a{5000}": lambda: Regex("(a?){5000}a{5000}"),
    "regex of nested counts": lambda: Regex("((a{1,100}){1,100}){1,100}"),
    "regex .{1,100000}": lambda: Regex(".{1,100000}"),
    "regex of many stars": lambda: Regex(".*".join("abcdefghijklmnop")),
    "regex of 100,000 characters": lambda: Regex("ab" * 50_000),
    "regex of 5,000 parentheses": lambda: Regex("(" * 5_000 + "a" + ")" * 5_000),
    "choice of 10,000": lambda: Choice(tuple(f"option {at}" for at in range(10_000))),
    "choice of a megabyte": lambda: Choice(("x" * 2**20,)),
    "maxLength 10**9": schema({"type": "string", "maxLength": BIG}),
    "minLength 10**9": schema({"type": "string", "minLength": BIG}),
    "lengths around a pattern": schema({"pattern": "^(ab|a)*$", "minLength": BIG, "maxLength": 2 * BIG}),
    "pattern .{900,1990}": schema({"type": "string", "pattern": "^.{900,1990}$"}),
    "items 10**9": schema({"type": "array", "minItems": BIG, "maxItems": BIG + 1}),
    "properties 10**9": schema({"type": "object", "minProperties": BIG, "maxProperties": 2 * BIG}),
    "contains 10**9": schema({"contains": {"type": "integer"}, "minContains": BIG, "maxContains": 2 * BIG}),
    "bound of 400 digits": schema({"minimum": -(10**400), "maximum": 10**400}),
    "multipleOf 999999999989": schema({"multipleOf": 999999999989}),
    "multipleOf 1e-300": schema({"multipleOf": 1e-300}),
    "enum of 10,000": schema({"enum": [f"value {at}" for at in range(10_000)]}),
    "enum of objects": schema({"enum": [{"a": at, "b": [at]} for at in range(2_000)]}, key_order="any"),
    "anyOf of 10,000": schema({"anyOf": [{"const": at} for at in range(10_000)]}),
    "anyOf of 10,000 objects": schema({"type": "object", "anyOf": BRANCHES}),
    "oneOf of 100 that overlap": schema({"oneOf": [{"minimum": at, "maximum": at + 50} for at in range(100)]}),
    "allOf doubling": schema(doubling("allOf", 40)),
    "oneOf doubling": schema(doubling("oneOf", 40)),
    "alternatives multiplied": schema(crossing(24), key_order="any"),
    "not, 2,000 deep": schema(nested(2_000, "not")),
    "items, 100,000 deep": schema(nested(100_000, "items")),
    "anyOf, 900 deep": schema(nested(900, "anyOf")),
    "1 MB of properties, any order": schema(optional_properties(18_000), key_order="any"),
    "300 required, any order": schema({"required": [f"r{at}" for at in range(300)]}, key_order="any"),
    "60 overlapping patterns": schema({"patternProperties": {f"[a-z].{{{at}}}$": {"minimum": at} for at in range(60)}}),
    "unevaluated over 12 conditions": schema(
        {"type": "object", "unevaluatedProperties": False,
         "allOf": [{"if": {"required": [f"k{at}"]}, "then": {"properties": {f"v{at}": {}}}} for at in range(12)]}
    ),
    "uniqueItems of anything": schema({"type": "array", "uniqueItems": True}),
    "$ref without progress": schema({"$ref": "#"}),
    "$ref in a ring": schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "not of itself": schema({"not": {"$ref": "#"}}),
    "needs itself": schema({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
    "unsatisfiable": schema({"type": "integer", "minimum": 3, "maximum": 2}),
    "unsatisfiable below": schema(
        {"required": ["a"], "type": "object", "properties": {"a": {"allOf": [{"const": 1}, {"type": "string"}]}}}
    ),
    "lark, left recursive and ambiguous": lambda: Lark('start: start start | "a" | start "b" start |'),
    "lark, repeated 100,000 times": lambda: Lark('start: x~1..100000\nx: "a" | "b" x'),
    "lark, 3,000 parentheses": lambda: Lark(f'start: {"(" * 3_000}"a"{")" * 3_000}'),
    "lark, 3,000 rules": lambda: Lark(chain(3_000)),
    "gbnf, repeated 10**9 times": lambda: Gbnf('root ::= ("a" | "b" root){1,1000000000}'),
    "gbnf without progress": lambda: Gbnf("root ::= root"),
}  # fmt: skip


def follow(compiler: GrammarCompiler, spec: Spec) -> float:
    """Compiles, draws some tokens, and returns the seconds of the slowest mask."""
    matcher, rng, slowest = compiler.compile(spec).matcher(), random.Random(1), 0.0
    row = np.zeros(compiler.vocabulary.mask_words, np.int32)
    for _ in range(TOKENS):
        begin = time.perf_counter()
        matcher.mask_into(row)
        slowest = max(slowest, time.perf_counter() - begin)
        allowed = np.flatnonzero(unpack(row[None], len(compiler.vocabulary))[0]).tolist()
        allowed = [token for token in allowed if token not in compiler.vocabulary.end_tokens]
        if not allowed:
            break
        matcher.accept(rng.choice(allowed))
    return slowest


def outcome(compiler: GrammarCompiler, make: Callable[[], Spec]) -> dict[str, Any]:
    slowest, error, message = 0.0, "", ""
    signal.alarm(ALARM)
    memory, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        slowest = follow(compiler, make())
    except GrammarError as raised:
        error, message = type(raised).__name__, str(raised)
    except Exception as raised:  # whatever it is, it is the test's to judge
        error, message = type(raised).__name__, repr(raised)
    signal.alarm(0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    return {
        "seconds": time.perf_counter() - begin, "mask": slowest, "megabytes": grown / 1024,
        "error": error, "message": message[:400],
    }  # fmt: skip


def interrupt(*_: object) -> None:
    raise TimeoutError(f"took more than {ALARM} s")


def main() -> None:
    signal.signal(signal.SIGALRM, interrupt)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    compiler = GrammarCompiler(byte_vocabulary())
    follow(compiler, JsonSchema.of({"type": "object", "properties": {"a": {"type": "integer"}}}))  # what is loaded once
    for name in sys.argv[1:] or ITEMS:
        print(json.dumps({"name": name, **outcome(compiler, ITEMS[name])}), flush=True)


if __name__ == "__main__":
    main()
