from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

CHAT = """
    @sg.function
    def main(s, question: str = "Why?"):
        s += sg.user(question)
        s += sg.assistant(sg.gen("answer", max_tokens=8) + "; " + sg.select("mood", ["good", "bad"]))
        return s["mood"]
"""
BOTH = "dtype and regex are given together: at most one constraint is allowed"
ERROR_LINE = "sgdsl: program.py:{line} in {function}: {reason}\n"


def test_the_text_goes_to_stdout_and_the_rest_to_stderr(write: Any, sgdsl: Any) -> None:
    code, out, err = sgdsl("run", write(CHAT))
    assert code == 0
    assert out == "[user]\nWhy?\n\n[assistant]\nmock; good\n\n=> good\n"
    first, last = err.splitlines()
    assert first == "sgdsl: mock: a dry run without a model"
    assert last.startswith("sgdsl: 1 gen, 1 select · ")
    assert re.search(r" · \d+ prompt tokens \(\d+ cached\) · \d+ generated · \d\.\d s$", last)


def test_quiet_leaves_stderr_empty(write: Any, sgdsl: Any) -> None:
    assert sgdsl("run", write(CHAT), "-q")[2] == ""


def test_json_is_one_object_on_stdout_even_when_the_program_prints(write: Any, sgdsl: Any) -> None:
    path = write("""
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: int
        @sg.function
        def main(s):
            print("by the way")
            s += sg.user("Where?")
            s += sg.assistant("At " + sg.gen("x", regex="[0-9]"))
            s["point"] = Point(int(s["x"]))
            return {s["point"].x: float("nan")}
    """)
    code, out, err = sgdsl("run", path, "--json")
    entry = json.loads(out)
    assert code == 0
    assert "by the way" in err
    assert entry["value"] == {"0": "nan"}
    assert entry["variables"] == {"x": "0", "point": {"x": 0}}
    assert entry["messages"] == [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "At 0"}]
    assert entry["text"].count("At 0") == 1
    assert entry["usage"]["gens"] == 1
    assert "error" not in entry


def test_events_are_json_lines_in_text_order(write: Any, sgdsl: Any) -> None:
    code, out, _ = sgdsl("run", write(CHAT), "--events", "--", "Who?")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["event"] for event in events] == [
        "role_begin", "text", "role_end", "role_begin", "generated", "generated_end", "text", "generated",
        "generated_end", "role_end", "end",
    ]  # fmt: skip
    assert events[1]["text"] == "Who?"
    assert events[4] == {"event": "generated", "text": "mock", "name": "answer"}
    assert events[-1] == {"event": "end", "value": "good"}


def test_usage_counts_forks_nested_programs_and_batches(write: Any, sgdsl: Any) -> None:
    path = write("""
        @sg.function
        def one(s, n):
            s += f"{n}" + sg.gen("x", max_tokens=1)
        @sg.function
        def main(s):
            s += "begin"
            forks = s.fork(3)
            forks += sg.gen("y", max_tokens=1)
            forks.join()
            one(1)
            one.run_batch([(i,) for i in range(4)])
    """)
    code, _, err = sgdsl("run", path)
    assert code == 0
    assert "sgdsl: 8 gens · " in err


def test_async_programs_run(write: Any, sgdsl: Any) -> None:
    path = write("""
        @sg.function
        async def main(s, n: int):
            s += "one" + sg.gen("x", max_tokens=1)
            return (await s.get("x")) * n
    """)
    assert sgdsl("run", path, "--", "2")[:2] == (0, "onemock\n\n=> mockmock\n")


def test_a_script_runs_with_the_default_backend_and_keeps_its_exit_code(write: Any, sgdsl: Any) -> None:
    path = write("""
        import sys
        @sg.function
        def a(s): s += sg.gen("x", max_tokens=1)
        @sg.function
        def b(s): pass
        if __name__ == "__main__":
            print(sys.argv[1:], a.run()["x"])
            sys.exit(3)
    """)
    code, out, err = sgdsl("run", path, "--", "one", "--two")
    assert (code, out) == (3, "['one', '--two'] mock\n")
    assert "sgdsl: 1 gen · " in err
    code, _, err = sgdsl("run", path, "--json")
    assert code == 2
    assert "program.py is run as a script" in err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('s += sg.gen("a") + sg.gen("a")', "name 'a' is used twice within one expression"),
        ('s += sg.gen("a", regex="x", dtype=int)', BOTH),
        ('s += sg.gen("a", max_tokens=-1)', "max_tokens=-1 is not allowed: an integer of at least 0"),
        ('s += sg.gen("a", temperature=float("nan"))', "temperature=nan is not allowed: a finite number of at least 0"),
        ('s["nothing"]', "no variable 'nothing' in this state; there are: none"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ('__import__("json").loads("x")', "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ],
)  # fmt: skip
def test_a_programs_error_is_one_line_with_its_place(line: str, reason: str, write: Any, sgdsl: Any) -> None:
    code, _, err = sgdsl("run", write(f"@sg.function\ndef main(s):\n    {line}\n"), "-q")
    assert code == 1
    assert err == ERROR_LINE.format(line=4, function="main", reason=reason)


def test_an_error_inside_a_fork_names_its_line_and_keeps_what_there_is(write: Any, sgdsl: Any) -> None:
    path = write("""
        @sg.function
        def main(s):
            s += "a" + sg.gen("first", max_tokens=1)
            s["first"]
            for fork in s.fork(3):
                fork += sg.gen("x", max_tokens=1)
                raise RuntimeError("in a fork")
    """)
    code, out, err = sgdsl("run", path, "-q", "--json")
    entry = json.loads(out)
    assert code == 1
    assert err == ERROR_LINE.format(line=9, function="main", reason="RuntimeError: in a fork")
    assert entry["variables"] == {"first": "mock"}
    assert entry["text"] == "amock"
    assert entry["error"].endswith("RuntimeError: in a fork")


def test_verbose_shows_the_traceback(write: Any, sgdsl: Any) -> None:
    path = write("@sg.function\ndef main(s):\n    1 / 0\n")
    assert "Traceback" in sgdsl("run", path, "-v")[2]
    assert "Traceback" not in sgdsl("run", path)[2]


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("def f(:", 1, "program.py:2: invalid syntax"),
        ("x = 1", 2, 'program.py has no @function, and no `if __name__ == "__main__"` block'),
        ("import nothing_of_that_name", 1, "program.py:2 in <module>: ModuleNotFoundError: No module named"),
        ("@sg.function\ndef a(s): pass\n@sg.function\ndef b(s): pass", 2, "program.py has several functions (a, b)"),
        ("@sg.function\ndef a(s, b: 'nonsense'): pass", 2, "the annotations of a cannot be read"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_line(source: str, code: int, message: str, write: Any, sgdsl: Any) -> None:
    found, out, err = sgdsl("run", write(source))
    assert (found, out) == (code, "")
    assert err.startswith(f"sgdsl: {message}")
    assert err.count("\n") == 1


def test_the_only_function_runs_and_imported_ones_do_not_count(write: Any, sgdsl: Any) -> None:
    write('@sg.function\ndef helper(s): s += "no"\n@sg.function\ndef other(s): s += "no"\n', "lib.py")
    path = write('from lib import helper, other\n@sg.function\ndef own(s): s += "yes"\n')
    assert sgdsl("run", path)[1] == "yes\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.py"], "no file nothing.py"),
        (["."], ". cannot be read: Is a directory"),
        (["program.py", "--set", "page_size"], "--set page_size: key=value is needed, such as page_size=1"),
        (["program.py", "--set", "page_size=x"], "--set page_size: 'x' is not allowed: an integer"),
        (["program.py", "--set", "page_size=0"], "--set: page_size=0 is not allowed: an integer of at least 1"),
        (["program.py", "--set", "policy=best"], "--set policy: 'best' is not allowed: one of fcfs, lpm"),
        (["program.py", "--set", "nonsense=1"], "--set nonsense=1: no setting 'nonsense'; there are attention, "),
        (["program.py", "--model", "a", "--set", "model=b"], "--set model=b: model is given twice"),
        (["program.py", "--ticket", "x"], "unrecognized arguments: --ticket x; a program's own arguments come after"),
        (["program.py", "--", "--ticket", "x"], "the program has no argument --ticket; it has --question"),
        ([], "the following arguments are required: PROGRAM"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_one_line_and_exit_code_two(
    words: list[str], message: str, write: Any, sgdsl: Any
) -> None:  # fmt: skip
    write(CHAT)
    code, out, err = sgdsl("run", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"sgdsl: {message}")
    assert err.count("\n") == 1


def test_an_unknown_model_is_one_line(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from sgdsl.cli import main

    assert main(["run", str(write(CHAT)), "--model", "nosuch"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sgdsl: no model 'nosuch': not built in (smollm2)")
    assert captured.err.count("\n") == 1


def test_help_after_the_dashes_is_the_programs_own(write: Any, sgdsl: Any) -> None:
    code, out, _ = sgdsl("run", write(CHAT), "--", "--help")
    assert code == 0
    assert out.startswith("usage: sgdsl run program.py -- [--question QUESTION]")
    assert "text (default: Why?)" in out


SLOW = """
import sys, time
import sgdsl as sg
@sg.function
def main(s):
    s += "begin" + sg.gen("first", max_tokens=1)
    s["first"]
    print("ready", file=sys.stderr, flush=True)
    for _ in range(600):  # a signal just before a sleep does not shorten that one
        time.sleep(0.1)
"""


def test_interrupting_prints_what_there_is_and_exits_with_130(tmp_path: Path) -> None:
    program = tmp_path / "slow.py"
    program.write_text(SLOW)
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(program), "--backend", "mock", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "ready" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    entry = json.loads(out)
    assert process.returncode == 130
    assert entry["variables"] == {"first": "mock"}
    assert entry["text"] == "beginmock"
    assert entry["error"] == "interrupted"
    assert "sgdsl: interrupted" in err
    assert "Traceback" not in err


def test_an_async_program_is_interrupted_too(tmp_path: Path) -> None:
    program = tmp_path / "slow.py"
    program.write_text(
        SLOW.replace("def main", "async def main")
        .replace('s["first"]', 'await s.get("first")')
        .replace("time.sleep(0.1)", "await __import__('asyncio').sleep(0.1)")
    )
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(program), "--backend", "mock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "ready" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "beginmock\n")
    assert "Traceback" not in err


def test_files_called_like_our_packages_are_not_in_the_way(tmp_path: Path) -> None:
    for name in ("runtime.py", "grammars.py"):
        (tmp_path / name).write_text("raise RuntimeError('imported')")
    program = tmp_path / "sgdsl_program.py"
    program.write_text('import sgdsl as sg\n@sg.function\ndef main(s):\n    s += sg.gen("x", regex="[0-9]")\n')
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(program), "--backend", "mock", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_characters_the_output_lacks_are_replaced(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text('import sgdsl as sg\n@sg.function\ndef main(s):\n    s += "na\\u00efve"\n', encoding="utf-8")
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(program), "--backend", "mock", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "na?ve\n")


def test_a_reader_that_leaves_ends_the_run_quietly(tmp_path: Path) -> None:
    program = tmp_path / "much.py"
    program.write_text(
        "import sgdsl as sg\n@sg.function\ndef main(s):\n    for _ in range(20000):\n        s += 'text ' * 99\n"
    )
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(program), "--backend", "mock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(timeout=20) == 1


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, sgdsl.cli\n"
        "assert sgdsl.cli.main(['--help']) == 0\n"
        "print([name for name in ('torch', 'numpy', 'pydantic', 'rich') if name in sys.modules])"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}
    )
    seconds = time.perf_counter() - begun
    assert done.stdout.endswith("[]\n"), done.stderr
    assert seconds < 3  # 0.15 s on a quiet machine


def test_version_and_info(sgdsl: Any) -> None:
    code, out, _ = sgdsl("--version")
    assert (code, out.split()[0]) == (0, "sgdsl")
    code, out, _ = sgdsl("info", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["versions"]["torch"]
    assert facts["cores"] >= 1
    assert isinstance(facts["default_model_present"], bool)
    code, out, _ = sgdsl("info")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} == set(facts)


def test_spans_are_made_where_they_are_asked_for(write: Any, sgdsl: Any, exporter: Any) -> None:
    path = write("""
        @sg.function
        def main(s):
            s += "a" + sg.gen("answer", max_tokens=2)
    """)
    assert sgdsl("run", path)[0] == 0
    assert exporter.get_finished_spans() == ()
    assert sgdsl("run", "--otel", path)[0] == 0
    assert {span.name for span in exporter.get_finished_spans()} == {"program main", "gen answer"}
    code, _, err = sgdsl("run", "--otel", "--record", "record.jsonl", path)
    assert code == 2
    assert "--record and --otel are given together" in err
