import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from grammars.cfg.rules import Terminal
from grammars.cfg.specs import rules_of
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.language import Languages
from grammars.spec import Gbnf, Spec

Accepts = Callable[[Spec], Callable[[str], bool]]

ARITHMETIC = r"""
# from the guide to the notation
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""
JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
CASES = {
    ARITHMETIC: (["a=1\n", "a +1=2\n", "(a) = 3\n\nb=c\n"], ["", "a=1", "a+(b=1\n", "1a=2\n", "=\n"]),
    JSON: (["{}", '{"a": [1, 2.5e3, {"b": null}]}', '{"\\u00e9\\n": "é"}\n  '], ["[]", "{", '{"a": 01}', '{"a":\x01}']),
    'root ::= "a"{2} "b"{1,} "c"{,2}? "d"{0,1}'.replace("{,2}", "{0,2}"): (
        ["aab", "aabbb", "aabccd", "aabd"],
        ["ab", "aaab", "aabccc", "aabdd"],
    ),
    "root ::= [^a-c]+ | [a-] [\\]^]": (["xyz", "-", "a]", "-^"], ["a", "xa", "^a"]),
    r'root ::= "\x41\u00e9\U0001F600" | "\t\r\\\"[" | [\x41-\u00ff]': (
        ["Aé\U0001f600", '\t\r\\"[', "B", "ÿ"],
        ["A\u00e9", "Ā"],
    ),
    "root ::= . .": (["ab", "\n\n", "é\U0001f600"], ["a", "abc"]),
    'root ::= "" | "a" root': (["", "aaa"], ["b"]),
    'root ::= root "a" | root-2\nroot-2 ::= "b" | ("c")* "d"': (["b", "baa", "ccd", "da"], ["a", "ab", "c"]),
    'root ::= a a\na ::= b | "x"\nb ::= a | "y"': (["xy", "yy"], ["x", "xyx"]),
    'root ::= ("ab")* "a"': (["a", "aba"], ["ab", ""]),
    "root ::= <|call|> [a-z]+ <end>": (["<|call|>ab<end>"], ["<|call|><end>", "ab"]),
    'root ::= "a" |\n  "b" #c\n  | "c"\n\n': (["a", "b", "c"], ["", "ab"]),
}


@pytest.mark.parametrize("grammar", CASES)
def test_texts(grammar: str, accepts: Accepts):
    accepted = accepts(Gbnf(grammar))
    right, wrong = CASES[grammar]
    assert [text for text in right if not accepted(text)] == []
    assert [text for text in wrong if accepted(text)] == []


def test_another_root(accepts: Accepts):
    assert accepts(Gbnf('a ::= "x"\nb ::= a a', "b"))("xx")


def test_what_is_regular_becomes_one_terminal(languages: Languages):
    rules = rules_of(Gbnf('root ::= word ("," word)*\nword ::= [a-z]{1,100000} | "\\"" [^"]* "\\""'), languages)
    (production,) = rules.productions[rules.start]
    assert len(rules.productions) == 1
    assert [type(symbol) for symbol in production] == [Terminal]


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("", "not a non-empty string"),
        ("root", "line 1, column 5: expected define, found the end"),
        ('root ::= "a', "line 1, column 10: cannot be read"),
        ('root ::= ("a"', "expected close, found the end"),
        ('root ::= "a")', "expected end"),
        ('root ::= "a"\nroot ::= "b"', "line 2, column 1: the rule is defined already"),
        ("root ::= x", "no rule .*x"),
        ('x ::= "a"', "there is no rule root"),
        ('root ::= "a" root', "no text can be derived"),
        ('root ::= "a"{3,2}', "greater count comes first"),
        ("root ::= [z-a]", "wrong way round"),
        (r'root ::= "\q"', r"\\q is no escape"),
        (r'root ::= "\U00110000"', "is no character"),
        ('root ::= * "a"', "found '\\*'"),
        ('root ::= (a ::= "b")', "a group is not closed"),
    ],
)
def test_wrong_grammars_are_refused_where_they_are_wrong(grammar: str, message: str, accepts: Accepts):
    with pytest.raises(InvalidSpec, match=message):
        accepts(Gbnf(grammar))


@pytest.mark.parametrize(
    "grammar",
    ['root ::= TagDispatch(("<a>", b))', 'root ::= "a" (= "b")', "root ::= <[100]>", "root ::= !<think> [a]"],
)
def test_what_cannot_be_held_to_is_refused(grammar: str, accepts: Accepts):
    with pytest.raises(UnsupportedConstraint, match="line 1, column"):
        accepts(Gbnf(grammar))


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000,
        'root ::= "a"{9999999999}',
        'root ::= "' + "a" * 1_000_001 + '"',
    ],
)
def test_hostile_grammars_end_in_a_limit(grammar: str, accepts: Accepts):
    with pytest.raises(GrammarLimit):
        accepts(Gbnf(grammar))


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= (([a-z]{0,100000}){0,100000} "." root?){0,100000}',
        'root ::= ("(" root ")"){1,1000000000} | "a"',
        "\n".join(["root ::= r0", *(f"r{n} ::= r{n + 1} r{n + 1}" for n in range(60)), 'r60 ::= "a"?']),
        "\n".join(["root ::= r0", *(f"r{n} ::= r{n + 1} | r{(n * 7) % 200} [a]" for n in range(200)), 'r200 ::= "b"']),
    ],
)
def test_hostile_grammars_take_no_time(grammar: str, accepts: Accepts):
    begun = time.monotonic()
    with suppress(GrammarLimit):
        accepts(Gbnf(grammar))
    assert time.monotonic() - begun < 10
