from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sgdsl.cli.load import _quantile

PROGRAM = """
    import asyncio, time
    @sg.function
    def main(s, word: str, *words: str, pause: float = 0.0):
        print("by the way")
        time.sleep(pause)
        s += word + sg.gen("x", max_tokens=4)
"""


def test_figures_of_many_runs_are_printed_and_nothing_else(write: Any, sgdsl: Any) -> None:
    code, out, err = sgdsl("run", write(PROGRAM), "--num-programs", 5, "--", "a b", "c", "--pause", "0.02")
    first, second, third = out.splitlines()
    assert code == 0
    assert re.fullmatch(r"5 programs in \d\.\d s: \d+\.\d\d programs/s, \d+ tokens/s generated", first)
    assert second == "10 prompt tokens, 0% of them cached"
    assert re.fullmatch(r"latency of a program: p50 0\.\d\d s, p90 0\.\d\d s", third)
    assert err.count("by the way") == 5


def test_the_figures_as_json(write: Any, sgdsl: Any) -> None:
    words = ("--num-programs", 3, "--json", "--", "--word", "a", "--pause", "0.05")
    code, out, _ = sgdsl("run", write(PROGRAM), *words)
    figures = json.loads(out)
    assert code == 0
    assert (figures["programs"], figures["failed"], figures["usage"]["gens"]) == (3, 0, 3)
    assert 0.05 <= figures["latency_seconds"]["p50"] <= figures["latency_seconds"]["p90"] < 5
    assert figures["programs_per_second"] > 0.5
    assert figures["generated_tokens_per_second"] > 0


def test_async_programs_and_what_they_have_not_read(write: Any, sgdsl: Any) -> None:
    path = write("""
        @sg.function
        async def main(s):
            s += "a" + sg.gen("x")
            forks = s.fork(2)
            forks += sg.gen("y")
            forks.join()
    """)
    figures = json.loads(sgdsl("run", path, "--num-programs", 4, "--json")[1])
    assert (figures["failed"], figures["usage"]["gens"]) == (0, 12)


def test_failures_are_counted_and_the_first_is_told(write: Any, sgdsl: Any) -> None:
    path = write("""
        seen = []
        @sg.function
        def main(s):
            seen.append(1)
            if len(seen) > 3:
                raise LookupError("enough")
    """)
    code, out, err = sgdsl("run", path, "--num-programs", 5, "--json", "-q")
    assert code == 1
    assert json.loads(out)["failed"] == 2
    assert err == "sgdsl: 2 failed, the first: program.py:8 in main: LookupError: enough\n"
    code, out, _ = sgdsl("run", write("@sg.function\ndef main(s): raise OSError\n"), "--num-programs", 2, "-q")
    assert (code, out.splitlines()[-1]) == (1, "0 prompt tokens, 0% of them cached")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--num-programs", "0"), "--num-programs 0: a number of at least 1 is needed"),
        (("--num-programs", "2", "--events"), "--num-programs prints figures: neither --events nor --dry-run"),
        (("--num-programs", "2", "--dry-run"), "--num-programs prints figures: neither --events nor --dry-run"),
    ],
)
def test_what_does_not_go_together(write: Any, sgdsl: Any, words: tuple[str, ...], reason: str) -> None:
    code, out, err = sgdsl("run", write(PROGRAM), *words, "--", "a")
    assert (code, out) == (2, "")
    assert reason in err


def test_quantiles_are_of_the_values_there_are() -> None:
    assert _quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert _quantile([3.0, 1.0, 2.0, 4.0], 0.9) == 4.0
    assert _quantile([7.0], 0.5) == 7.0
    assert _quantile([], 0.5) is None
