import random
from collections.abc import Callable

import pytest
from lark import Lark as RealLark
from lark.exceptions import LarkError

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.spec import Lark, Spec

Accepts = Callable[[Spec], Callable[[str], bool]]


def parses(grammar: RealLark, text: str) -> bool:
    try:
        grammar.parse(text)
    except LarkError:
        return False
    return True


def real(text: str) -> RealLark:
    return RealLark(text, parser="earley", lexer="dynamic")


EQUAL = {
    "ignored before, between and behind": 'start: "a" "b"\n%ignore " "',
    "ignored where the text is empty": 'start: ["a"]\n%ignore " "',
    "two kinds ignored": 'start: "a"+\n%ignore " "\n%ignore "-"+',
    "ignored and wanted": 'start: "a" " " "b"\n%ignore " "',
    "ignored more than one at once": 'start: "a" " " "b"\n%ignore / +/',
    "keyword or name": 'start: "a" NAME | NAME NAME\nNAME: /[ab]+/\n%ignore " "',
    "longest takes all": 'start: A "a" | A "b"\nA: "a"+',
    "lazy": "start: A B\nA: /a.*?b/\nB: /[ab]*c|b/",
    "ordered alternatives": "start: A B\nA: /a|ab/\nB: /b|c/",
    "sorted alternatives": 'start: A B\nA: "a" | "ab"\nB: /b|c/',
    "joined without brackets": "start: A\nA: B /c/\nB: /a|b/",
    "range": 'start: ("a".."b")+ "c"',
    "flags": 'start: "a"i | /a b/x | /c/i+ "A"',
    "counts": 'start: "a"~2..3 | ("b" "c")~1 [A]\nA: "a"~1..2',
    "left recursion": 'start: start "a" | start "b" start | "c"',
    "hidden left recursion": 'start: [B] start "a" | "b"\nB: "c"',
    "cycle": 'start: x\nx: y | "a"\ny: x | "b" x',
    "empty rule": 'start: e "a" e\ne:',
    "aliases and modifiers": '!?start: "a" -> x | _b -> y\n_b.2: "b"\nT.3: "c"',
    "templates": 'start: sep{"a", B} | pair{pair{"c", "c"}, "b"}\nB: "b"\nsep{x, y}: x (y x)*\npair{x, y}: x y | y',
    "templates of templates": 'start: twice{opt, "a"}\ntwice{t, x}: t{x} t{x}\nopt{x}: [x] "b"',
    "imports": "start: INT A NEWLINE?\n%import common.INT\n%import common.LETTER -> A\n%import common (NEWLINE, WS)",
    "override and extend": '%import common.DIGIT\nstart: A DIGIT\n%override DIGIT: "b"\nA: "a"\n%extend A: "c"',
    "continued lines": 'start: "a"\n  // a comment\n  | "b"\n\n  | \\\n  "c"\n# another\n',
    "escapes": 'start: "\\"" | "\\\\" "\\n"? | "\\x61" /\\x62?\\//',
    "comments ignored": 'start: "a"*\n%ignore /#[^\\n]*/\n%ignore /\\s/',
    "strings": "start: ESCAPED_STRING*\n%import common.ESCAPED_STRING",
}


@pytest.mark.parametrize("grammar", EQUAL.values(), ids=EQUAL.keys())
def test_lark_and_the_rules_accept_the_same(grammar: str, accepts: Accepts):
    rng = random.Random(7)
    theirs, ours = real(grammar), accepts(Lark(grammar))
    alphabet = 'aaabbbcc"\\ -\n1#/A'
    texts = {"".join(rng.choices(alphabet, k=rng.randrange(7))) for _ in range(600)}
    texts |= {"".join(rng.choices("abc ", k=rng.randrange(5))) for _ in range(300)}
    accepted = {text for text in texts if ours(text)}
    assert accepted == {text for text in texts if parses(theirs, text)}
    assert accepted


def random_grammar(rng: random.Random) -> str:
    terminals = ['"a"', '"b"', '"ab"', "/a+/", "/b*a/", "/a|ab/", "/a+?b?/", "X", '"b"i', '"a".."b"']

    def expression(depth: int) -> str:
        kind = rng.randrange(7 if depth else 2)
        if kind == 0:
            return rng.choice(["start", "x", "y"])
        if kind <= 2:
            return rng.choice(terminals)
        if kind == 3:
            return f"({expression(depth - 1)} | {expression(depth - 1)})"
        if kind == 4:
            return f"({expression(depth - 1)}){rng.choice(['?', '*', '+', '~2', '~0..2'])}"
        return f"{expression(depth - 1)} {expression(depth - 1)}"

    lines = [f"start: {expression(2)} | {expression(1)} | {rng.choice(terminals)}", f"x: {expression(2)}"]
    lines += [f"y: {expression(2)} | {rng.choice(terminals)}", 'X: "a" | "ba" | "b" "a"*']
    return "\n".join([*lines, *rng.choice([[], ['%ignore " "'], ["%ignore /c+/"]])])


@pytest.mark.parametrize("seed", range(4))
def test_random_grammars_are_sound(seed: int, accepts: Accepts):
    """Whatever is accepted parses; nearly all that parses is accepted."""
    rng = random.Random(seed)
    num_accepted = num_missed = 0
    for _ in range(25):
        grammar = random_grammar(rng)
        try:
            theirs = real(grammar)
        except LarkError:
            continue  # a rule is written twice, which is an error to Lark
        ours = accepts(Lark(grammar))
        for _ in range(25):
            text = "".join(rng.choices("aaabbb c", k=rng.randrange(7)))
            accepted, parsed = ours(text), parses(theirs, text)
            assert parsed or not accepted, (grammar, text)
            num_accepted += accepted
            num_missed += parsed and not accepted
    assert num_accepted > 40
    assert num_missed < num_accepted / 10


def test_a_terminal_never_gives_back_what_may_continue_it(accepts: Accepts):
    # `re` reads "1." and goes back to "1"; here the point belongs to the number as soon as it may.
    grammar = 'start: NUMBER "."\nNUMBER: /[0-9]+(\\.[0-9]+)?/'
    assert parses(real(grammar), "1.")
    assert not accepts(Lark(grammar))("1.")
    assert accepts(Lark(grammar))("1.5.")


def test_embedded_schemas_and_special_tokens(accepts: Accepts):
    grammar = 'start: <|call|> NAME %json {"type": "object", "x": "}"} <|end|>\nNAME: /[a-z]+/\n%ignore " "'
    accepted = accepts(Lark(grammar))
    assert accepted("<|call|>go{}<|end|>")
    assert accepted(" <|call|> go {} <|end|> ")
    assert not accepted("<|call|>go{}")


REFUSED = {
    'start: "a': "line 1, column 8",
    'start: "a"\n\nx: ) "b"': "line 3, column 4: expected newline, found '\\)'",
    'x: "a"': "rule start is missing",
    "start: x": "rule x is missing",
    "start: X": "terminal X is missing",
    "start: X\nX: Y\nY: X": "terminal X is part of itself",
    "start: X\nX: x\nx: Y": "rule x is used in a terminal",
    "start: X\n%declare X": "declared only",
    'start: "a"\nstart: "b"': "start is defined twice",
    '%override start: "a"': "start is not there to be changed",
    "start: X\nX: /a*/": "terminal X .* matches the empty text",
    'start: ""': "an empty string is no terminal",
    "start: /(/": "regex",
    'start: "a"~3..2': "3..2 is no range",
    'start: "ab".."c"': "not one character",
    'start: t{"a"}\nt{x, y}: x y': "t takes 2 arguments, not 1",
    'start: t\nt{x}: x "a"': "t takes 1 arguments, not 0",
    "start: %json {": "a JSON schema must follow",
    "start: %json 3": "neither an object nor a boolean",
    'start: start "a"': "no text can be derived",
    "%import common.NOTHING\nstart: NOTHING": "common has no NOTHING",
    "": "lark: '' is not a non-empty string",
}


@pytest.mark.parametrize(("grammar", "message"), REFUSED.items())
def test_wrong_grammars_are_refused_where_they_are_wrong(grammar: str, message: str, accepts: Accepts):
    with pytest.raises(InvalidSpec, match=message) as caught:
        accepts(Lark(grammar))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("grammar", "construct"),
    [
        ("%import secrets.X\nstart: X", "%import at secrets"),
        ("%import .common.X\nstart: X", r"%import at \.common"),
        ("start: <[12]>", r"<\[12\]>"),
        ("start: /a(?=b)/", "lookahead"),
    ],
)
def test_what_cannot_be_held_to_is_refused(grammar: str, construct: str, accepts: Accepts):
    with pytest.raises(UnsupportedConstraint, match=construct):
        accepts(Lark(grammar))


@pytest.mark.parametrize(
    "grammar",
    [
        "start: " + "(" * 100_000 + '"a"' + ")" * 100_000,
        'start: t{"a"}\nt{x}: "b" | t{u{x}}\nu{x}: x "a"',
        'start: "a"~1..99999999999',
        'start: "' + "a" * 1_000_001 + '"',
        "start: A\n"
        + "".join(f"{'A' * n}: {'A' * (n + 1)} {'A' * (n + 1)}\n" for n in range(1, 30))
        + "A" * 30
        + ': "a"',
    ],
)
def test_hostile_grammars_end_in_a_limit(grammar: str, accepts: Accepts):
    with pytest.raises(GrammarLimit):
        accepts(Lark(grammar))


def test_great_counts_are_taken(accepts: Accepts):
    accepted = accepts(Lark('start: ("a" "b")~3..100000 "c"'))
    assert accepted("ababab" + "c")
    assert not accepted("abab" + "c")
