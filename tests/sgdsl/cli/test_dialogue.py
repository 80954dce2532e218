from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.cli.dialogue import Dialogue
from sgdsl.sampling import Sampling


def dialogue(mock: sg.Mock) -> Dialogue:
    return Dialogue(mock, Sampling.of({"max_tokens": 16}))


def quietly(piece: str) -> None:
    return None


def test_turns_extend_one_session_and_nothing_is_computed_again() -> None:
    mock = sg.Mock(["Paris is", "Rome it is"])
    talk = dialogue(mock)
    shown: list[str] = []
    first = talk.ask("France?", shown.append)
    second = talk.ask("Italy?", shown.append)
    assert shown == ["Paris", " is", "Rome", " it", " is"]
    assert mock.num_open == 1
    assert second["cached_tokens"] == first["prompt_tokens"] + first["completion_tokens"] - 1
    assert mock.calls[1].prompt.startswith(mock.calls[0].prompt + "Paris is")
    assert talk.messages == [
        {"role": "user", "content": "France?"}, {"role": "assistant", "content": "Paris is"},
        {"role": "user", "content": "Italy?"}, {"role": "assistant", "content": "Rome it is"},
    ]  # fmt: skip
    talk.close()
    assert mock.num_open == 0


@pytest.mark.parametrize("has_tokens", [True, False])
def test_undo_goes_back_question_by_question(has_tokens: bool) -> None:
    mock = sg.Mock(["a", "b", "c"])
    mock.capabilities = sg.Capabilities(tokens=has_tokens, labels=True)
    talk = dialogue(mock)
    talk.ask("1", quietly)
    talk.ask("2", quietly)
    assert talk.undo()
    assert [one["content"] for one in talk.messages] == ["1", "a"]
    talk.ask("3", quietly)
    assert mock.calls[2].prompt == mock.calls[1].prompt.replace("\n2<", "\n3<")
    assert [talk.undo(), talk.undo(), talk.undo()] == [True, True, False]
    assert talk.messages == []
    talk.close()
    assert mock.num_open == 0


def test_ctrl_c_keeps_what_there_is_of_the_answer() -> None:
    mock = sg.Mock(["one two three", "end"])
    talk = dialogue(mock)

    def interrupt(piece: str) -> None:
        if piece == " two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        talk.ask("Count.", interrupt)
    assert talk.messages[-1] == {"role": "assistant", "content": "one two"}
    talk.ask("And?", quietly)
    assert "assistant\none two<|im_end|>" in mock.calls[-1].prompt
    assert talk.undo()
    assert talk.undo()
    assert talk.messages == []


def test_an_answer_that_fails_was_never_asked_for() -> None:
    mock = sg.Mock(["a", ConnectionError("boom"), "c"])
    talk = dialogue(mock)
    talk.ask("1", quietly)
    with pytest.raises(sg.ProgramError, match="boom"):
        talk.ask("2", quietly)
    assert [one["content"] for one in talk.messages] == ["1", "a"]
    talk.ask("3", quietly)
    assert "\n2<" not in mock.calls[-1].prompt
    assert mock.num_open == 1


def test_an_order_the_template_refuses_leaves_everything_as_it_was() -> None:
    class Strict:
        def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False) -> str:
            if messages[0]["role"] == "assistant":
                raise ValueError("a user begins")
            return "".join(f"<{one['role']}>{one['content']}" for one in messages)

    mock = sg.Mock(chat_template=Strict())
    talk = dialogue(mock)
    talk.ask("1", quietly)
    before = list(talk.messages)
    with pytest.raises(sg.InvalidArgument, match="a user begins"):
        talk.replace([{"role": "assistant", "content": "hello"}])
    assert talk.messages == before
    talk.ask("2", quietly)
    assert mock.calls[-1].prompt.startswith("<user>1<assistant>mock<user>2")


def test_answers_are_held_to_a_schema() -> None:
    mock = sg.Mock()
    talk = dialogue(mock)
    talk.ask("1", quietly, {"type": "integer"})
    talk.ask("2", quietly)
    assert [call.params.constraint is None for call in mock.calls] == [False, True]
    assert int(talk.messages[1]["content"]) == 0
