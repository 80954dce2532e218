from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Sgdsl = Callable[..., tuple[int, str, str]]

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 18}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FILES = {
    "person.json": json.dumps(SCHEMA),
    "numbers.lark": 'start: "a" NUM ("," NUM)*\nNUM: /[0-9]+/\n',
    "numbers.gbnf": 'root ::= "a" [0-9]+\n',
    "address.regex": "[a-z]{2,5}@x\n",
    "old.json": '{"type": "integer", "divisibleBy": 2}',
    "wrong.json": '{"type": "foo"}',
    "lines.txt": "a\\nb[0-9]c",
    "accents.txt": "(na|né)é(xyz|à|è)",
    "what.yaml": "a: b",
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["person.json", "numbers.lark", "numbers.gbnf", "address.regex", "lines.txt"])
def test_samples_are_accepted_by_the_grammar_itself(name: str, sgdsl: Sgdsl) -> None:
    code, out, _ = sgdsl("grammars", "check", name, "--sample", 4, "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["samples"]) == 4
    for sample in found["samples"]:
        assert sgdsl("grammars", "check", name, "--explain", sample)[0] == 0


def test_what_is_found_is_written_for_people(sgdsl: Sgdsl) -> None:
    code, out, err = sgdsl("grammars", "check", "person.json", "--sample", 2, "--explain", '{"name": "Ann", "age": 20}')
    first, *samples, last = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("person.json: JsonSchema, compiled by sgdsl in ")
    assert all(json.loads(sample.removeprefix("sample: "))["age"] >= 18 for sample in samples)
    assert last == "accepted: all 26 bytes"


def test_seeds_draw_different_samples_and_the_same_again(sgdsl: Sgdsl) -> None:
    drawn = [sgdsl("grammars", "check", "address.regex", "--sample", 1, "--seed", seed)[1] for seed in (1, 1, 2)]
    first, again, other = (line.splitlines()[-1] for line in drawn)
    assert first == again != other


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "person.json",
            '{"name": "Ann", "age": 17}',
            [
                "not allowed at line 1, column 26 (byte 25):",
                '  {"name": "Ann", "age": 17}',
                " " * 27 + "^",
                "allowed: 0 to 9",
            ],
        ),
        (
            "person.json",
            '{"name": "é"',
            [
                "ends too early at line 1, column 13 (byte 13):",
                '  {"name": "é"',
                " " * 14 + "^",
                "allowed: only ', \"age\": '",
            ],
        ),
        ("lines.txt", "a\nbxc", ["not allowed at line 2, column 2 (byte 3):", "  bxc", "   ^", "allowed: 0 to 9"]),
        ("address.regex", "abé", ["not allowed at line 1, column 3 (byte 2):", "  abé", "    ^", "allowed: @, a to z"]),
        (
            "address.regex",
            "ab@x,",
            ["not allowed at line 1, column 5 (byte 4):", "  ab@x,", "      ^", "allowed: the end"],
        ),
    ],
)  # fmt: skip
def test_an_explanation_points_at_the_place(name: str, text: str, lines: list[str], sgdsl: Sgdsl) -> None:
    code, out, _ = sgdsl("grammars", "check", name, "--explain", text)
    assert code == 1
    assert out.splitlines()[1:] == lines


def test_everything_is_there_as_json(sgdsl: Sgdsl) -> None:
    code, out, _ = sgdsl("grammars", "check", "person.json", "--explain", "{", "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["kind"], found["engine"], found["samples"]) == ("JsonSchema", "sgdsl", [])
    assert found["num_bytes"] > 0
    assert found["explanation"]["byte"] == 1
    assert found["explanation"]["allowed"] == ['only \'"name": "\'']


def test_policies_reach_the_schema(sgdsl: Sgdsl) -> None:
    other = '{"age":20,"name":"x"}'
    assert sgdsl("grammars", "check", "person.json", "--explain", other)[0] == 1
    assert sgdsl("grammars", "check", "person.json", "--whitespace", "compact", "--explain", other)[0] == 1
    options = ("--whitespace", "compact", "--key-order", "any", "--explain", other)
    assert sgdsl("grammars", "check", "person.json", *options)[0] == 0


def test_warnings_are_shown(sgdsl: Sgdsl) -> None:
    _, out, _ = sgdsl("grammars", "check", "old.json")
    assert "warning: divisibleBy at /" in out


def test_another_engine_may_compile(sgdsl: Sgdsl) -> None:
    code, out, _ = sgdsl("grammars", "check", "address.regex", "--engine", "outlines", "--sample", 1)
    assert code == 0
    assert "compiled by outlines" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["wrong.json"], 1, "wrong.json: type at /"),
        (["absent.json"], 1, "absent.json: No such file"),
        (["what.yaml"], 2, "what.yaml: its name ends in none of .json"),
        (["numbers.lark", "--whitespace", "compact"], 2, "--whitespace: only a JSON schema has it, not numbers.lark"),
        (["person.json", "--engine", "magic"], 2, "--engine: 'magic' is not one of sgdsl"),
        (["person.json", "--sample", "-1"], 2, "--sample: -1 is not >= 0"),
        (["person.json", "--whitespace", "none"], 2, "--whitespace"),
        ([], 2, "FILE"),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], code: int, message: str, sgdsl: Sgdsl) -> None:
    found, out, err = sgdsl("grammars", "check", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_help_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'numba', 'grammars')"
    code = "import sys; from sgdsl.cli.parser import build_parser; build_parser()"
    shown = f"print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", f"{code}; {shown}"], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("naü", "only 'é'"),  # the first byte of a wrong character is that of the right one
        ("naéü", "x, characters beyond ASCII"),
        ("nü", "a, characters beyond ASCII"),
        ("", "n"),
        ("naéx", "only 'yz'"),
    ],
)
def test_what_was_allowed_is_told_in_whole_characters(text: str, allowed: str, sgdsl: Sgdsl) -> None:
    _, out, _ = sgdsl("grammars", "check", "accents.txt", "--explain", text)
    assert out.splitlines()[-1] == f"allowed: {allowed}"


def test_a_text_that_is_forced_up_to_within_a_character_ends_before_it(sgdsl: Sgdsl, tmp_path: Path) -> None:
    (tmp_path / "forced.txt").write_text("abc(à|è)", encoding="utf-8")
    _, out, _ = sgdsl("grammars", "check", "forced.txt", "--explain", "x")
    assert out.splitlines()[-1] == "allowed: only 'abc'"
