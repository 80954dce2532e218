from __future__ import annotations

import re

import sgdsl as sg
from sgdsl.ir import Const, Graph, Items, Join, RoleBegin, ScopeBegin, SetVar, Text, Tokens, VarRef
from sgdsl.ir.text import describe, shortened, value_text

PRINTED = """\
everything(topic, tone="kind", n is 2)
   0 [0] <system>  # line +0
   1 [0] "Be "  # line +0
   2 [0] $tone  # line +0
   3 [0] "."  # line +0
   4 [0] </system>  # line +0
   5 [0] <user>  # line +1
   6 [0] question begins  # line +1
   7 [0] "What of "  # line +2
   8 [0] $topic  # line +2
   9 [0] "?"  # line +2
  10 [0] question ends  # line +1
  11 [0] </user>  # line +1
  12 [0] <assistant>  # line +3
  13 [0] answer = gen(n=2, seed=1, Regex "[^\\"\\\\\\\\]{3}", reasoning before it)  # line +3
  14 [0] </assistant>  # line +3
  15 [0] fork [1] [2]  # line +4
  16     [1] <user>  # line +5
  17     [1] "Mark 0?"  # line +5
  18     [1] </user>  # line +5
  19     [1] <assistant>  # line +5
  20     [1] mark = gen(JsonSchema "{\\"type\\": \\"integer\\"}")  # line +5
  21     [1] </assistant>  # line +5
  22     [2] <user>  # line +5
  23     [2] "Mark 1?"  # line +5
  24     [2] </user>  # line +5
  25     [2] <assistant>  # line +5
  26     [2] mark = gen(JsonSchema "{\\"type\\": \\"integer\\"}")  # line +5
  27     [2] </assistant>  # line +5
  28 [0] join [1] [2]: mark, errors as values  # line +6
  29 [0] fork [3]  # line +7
  30     [3] team = select("a, b", joint_likelihood, temperature=0.5)  # line +8
  31 [0] join [3]: team  # line +7
  32 [0] checkpoint 0  # line +9
  33 [0] "draft "  # line +10
  34 [0] draft = gen(logit_bias=((3, -1.5),), token_healing)  # line +10
  35 [0] rollback to 0  # line +11
  36 [0] call summary(text=@13.answer[0])  # line +12
  37 [0] @36  # line +12
  38 [0] @30.team  # line +12
  39 [0] kept is {'marks': [@28.mark[0], @28.mark[1]], 'tuple': (1, None, 2.5, True), 'text': "<" + @30.team + ">"}  # line +13
  40 [0] last = gen(Choice "yes, no")  # line +14"""  # noqa: E501


def test_a_graph_is_printed_a_line_an_instruction(graph: Graph) -> None:
    first = graph.instructions[0].source
    assert first is not None
    whole = re.sub(r"# line (\d+)", lambda line: f"# line +{int(line[1]) - first.line}", str(graph))
    printed = whole.splitlines()
    assert "\n".join(printed[:-1]) == PRINTED
    assert printed[-1].strip().startswith("return ({'marks': [@28.mark[0], @28.mark[1]]")


def test_a_partial_graph_says_why_it_ends() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a") + sg.gen()
        print(s["a"])

    printed = str(program.trace(partial=True)).splitlines()
    assert printed[2].endswith("_ = gen()  # line " + printed[1].rpartition(" ")[2])
    assert printed[3].startswith("     … test_text.py:")


def test_long_values_are_shortened() -> None:
    assert shortened("a" * 10, 10) == '"aaaaaaaaaa"'
    assert shortened("b" * 50 + "c" * 50, 21) == '"bbbbbbbbb … ccccccccc"'
    for node in (SetVar("a", Const("x" * 10_000)), Text("y" * 10_000), SetVar("a", Const(10**400))):
        assert len(describe(node)) < 100
    graph = sg.function(lambda s, text: None).trace(text="x" * 10_000)
    assert len(str(graph)) < 200


def test_an_instruction_is_one_line_whatever_it_is_called() -> None:
    for node in (ScopeBegin("a\nb"), RoleBegin("a\r\x1b"), Join((1, 2, 3), ("é\n\u2028",)), Text("\n\x1b")):
        assert describe(node).isprintable()
    assert describe(Join((1, 2, 3), ())) == "join [1–3]: nothing"
    assert describe(Tokens()) == "tokens"
    assert value_text(Items((Const("a"),), is_tuple=True)) == '("a",)'
    assert value_text(VarRef(3, "a", ("k", 0), "meta")) == "@3.a['k'][0].meta"
