"""Unit tests of a program, without a model.

`sg.Mock` answers from a script, in no time and always alike, so a test can say what the model writes and then look at
what the program makes of it: the branches it takes, the prompts it sends, what it returns, how it fails. Run it:

    pytest examples/unit_test.py
    sgdsl run examples/unit_test.py
"""

import pytest

import sgdsl as sg

TEAMS = ["billing", "delivery", "other"]


@sg.function
def main(s, ticket: str = "I paid twice for the same lamp, and nobody answers the phone!"):
    """Routes a support ticket, and has urgent ones summarized for the phone."""
    s += sg.user(f"Which team should handle this ticket?\n{ticket}")
    s += sg.assistant("The team is " + sg.select("team", TEAMS) + ".")
    s += sg.user("Is it urgent?")
    s += sg.assistant(sg.select("urgent", ["yes", "no"]))
    if s["urgent"] == "no":
        return {"team": s["team"]}
    s += sg.user("Say in a few words what it is about.")
    s += sg.assistant(sg.gen("summary", max_tokens=24, stop=["\n", "."], temperature=0))
    return {"team": s["team"], "call": s["summary"].strip()}


def test_a_ticket_that_can_wait_is_only_routed():
    mock = sg.Mock({"team": "delivery", "urgent": "no"})
    assert main.run("Where is my lamp?", backend=mock).ret_value == {"team": "delivery"}
    assert [call.name for call in mock.calls] == ["team", "urgent"]


def test_an_urgent_one_is_summarized():
    mock = sg.Mock({"team": "billing", "urgent": "yes", "summary": "Paid twice. And more."})
    assert main.run("I paid twice!", backend=mock).ret_value == {"team": "billing", "call": "Paid twice"}
    assert "The team is billing." in mock.calls[-1].prompt
    assert mock.calls[-1].params.max_new_tokens == 24


def test_the_likelier_team_is_taken():
    mock = sg.Mock({"team": [[-2.0], [-0.5], [-3.0]], "urgent": "no"})
    assert main.run("Where is my lamp?", backend=mock)["team"] == "delivery"


def test_a_backend_that_is_down_fails_the_run_and_names_the_gen():
    mock = sg.Mock({"urgent": ConnectionError("no route to host")})
    with pytest.raises(sg.ProgramError, match=r'select "urgent": no route to host'):
        main.run("Where is my lamp?", backend=mock)
    assert mock.num_open == 0


def test_many_tickets_keep_their_order():
    mock = sg.Mock(lambda prompt, params: "other" if "team is" in prompt.splitlines()[-1] else "no")
    states = main.run_batch([{"ticket": str(number)} for number in range(20)], backend=mock)
    assert [state.messages()[0]["content"].split("\n")[1] for state in states] == [str(n) for n in range(20)]
