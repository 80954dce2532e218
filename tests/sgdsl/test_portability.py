"""Programs as people write them for SGLang's frontend: only the import line is another one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain

import pytest

import sgdsl as sgl

# 1. a conversation of two turns


@sgl.function
def multi_turn_question(s, question_1, question_2):
    s += sgl.system("You are a helpful assistant.")
    s += sgl.user(question_1)
    s += sgl.assistant(sgl.gen("answer_1", max_tokens=16))
    s += sgl.user(question_2)
    s += sgl.assistant(sgl.gen("answer_2", max_tokens=16))


def test_multi_turn_chat() -> None:
    sgl.set_default_backend(sgl.Mock({"answer_1": "Paris.", "answer_2": "The Louvre."}))
    state = multi_turn_question.run(question_1="Capital of France?", question_2="A sight there?", temperature=0)
    assert (state["answer_1"], state["answer_2"]) == ("Paris.", "The Louvre.")
    assert [message["role"] for message in state.messages()] == ["system", "user", "assistant", "user", "assistant"]
    assert state.messages()[-1]["content"] == "The Louvre."
    assert state.error() is None


# 2. few-shot questions with stops, alone and in batches


@sgl.function
def few_shot_qa(s, question):
    s += "Q: What is the capital of Italy?\nA: Rome\n\nQ: Who wrote Faust?\nA: Goethe\n\n"
    s += "Q: " + question + "\n"
    s += "A:" + sgl.gen("answer", stop=["\n", "."], temperature=0)


def test_few_shot_runs_alone_and_in_batches() -> None:
    mock = sgl.Mock(lambda prompt, params: " Oslo.\n" if "Norway" in prompt else " Bern\nQ: and")
    sgl.set_default_backend(mock)
    assert few_shot_qa.run(question="Norway?")["answer"] == " Oslo"
    questions = ["Norway?", "Switzerland?"]
    by_name = few_shot_qa.run_batch([{"question": one} for one in questions], max_new_tokens=8, progress_bar=False)
    by_position = few_shot_qa.run_batch([(one,) for one in questions], num_threads=2, progress_bar=True)
    one_by_one = few_shot_qa.run_batch([{"question": one} for one in questions], generator_style=True)
    assert isinstance(one_by_one, Iterator)
    for states in (by_name, by_position, one_by_one):
        assert [state["answer"] for state in states] == [" Oslo", " Bern"]
    assert few_shot_qa.bind(question="Norway?").run()["answer"] == " Oslo"
    with pytest.raises(TypeError, match=r"batch\[0\]: few_shot_qa: too many positional arguments"):
        few_shot_qa.run_batch([("a", "b")])


# 3. forks that are read by their parent


@sgl.function
def tip_suggestion(s, topic):
    s += f"Here are two tips about {topic}: 1. Sleep enough. 2. Eat well.\n\n"
    forks = s.fork(2)
    for i, f in enumerate(forks):
        f += f"Tip {i + 1} as a paragraph:\n"
        f += sgl.gen("detailed_tip", max_tokens=32, stop=["\n\n"])
    s += "Tip 1:" + forks[0]["detailed_tip"] + "\n"
    s += "Tip 2:" + forks[1]["detailed_tip"] + "\n"
    s += "In summary," + sgl.gen("summary")


def test_forks_are_read_by_their_parent() -> None:
    answers = {"Tip 1 as": " Go to bed early.\n\nMore", "Tip 2 as": " Cook yourself.", "In summary": " rest and eat."}

    def script(prompt: str, params: object) -> str:
        return next(answer for part, answer in reversed(answers.items()) if part in prompt)

    state = tip_suggestion.run("health", backend=sgl.Mock(script))
    assert state.text().endswith("Tip 1: Go to bed early.\nTip 2: Cook yourself.\nIn summary, rest and eat.")


# 4. a tree of thought: forks of forks, joined, and a reduction over them


def propose_plan(s, question, num_branches):
    s += sgl.user(f"Plan how to answer: {question}")
    forks = s.fork(num_branches)
    forks += sgl.assistant(sgl.gen("plan", max_tokens=16, temperature=0.7))
    return forks


def execute_plan(s, num_branches):
    s += sgl.user("Follow the plan.")
    forks = s.fork(num_branches)
    forks += sgl.assistant(sgl.gen("answer", max_tokens=16, temperature=0.7))
    return forks


@sgl.function
def tree_search(s, question, num_branches):
    plans = propose_plan(s, question, num_branches)
    solutions = []
    for plan in plans:
        forks = execute_plan(plan, num_branches)
        solutions.append([fork["answer"] for fork in forks])
        forks.join()
    plans.join()
    s["solutions"] = solutions


def test_tree_of_thought() -> None:
    mock = sgl.Mock({"plan": ["a plan", "another"], "answer": ["1", "2", "3", "4"]})
    state = tree_search.run("2 + 2?", num_branches=2, backend=mock)
    assert sorted(state["plan"]) == ["a plan", "another"]
    assert sorted(chain(*state["solutions"])) == ["1", "2", "3", "4"]
    assert sorted(chain(*state["answer"])) == ["1", "2", "3", "4"]


# 5. a tool is selected, and Python branches over it


@sgl.function
def tool_use(s, question):
    s += "Question: " + question + "\nTool: "
    s += sgl.select("tool", ["calculator", "search"], 0.0, sgl.greedy_token_selection)
    if s["tool"] == "calculator":
        s += "\nExpression:" + sgl.gen("expression", stop="\n")
    elif s["tool"] == "search":
        s += "\nKey word:" + sgl.gen("word", choices=["cat", "dog"], choices_method=sgl.token_length_normalized)


def test_tools_are_selected() -> None:
    counted = tool_use.run("1 + 1?", backend=sgl.Mock({"tool": "calculator", "expression": " 1 + 1\n= 2"}))
    assert counted["expression"] == " 1 + 1"
    assert "word" not in counted
    found = tool_use.run("Miaow?", backend=sgl.Mock({"tool": "search", "word": [[-0.5], [-2.0]]}))
    assert (found["tool"], found["word"]) == ("search", "cat")
    assert found.get_meta_info("word")["normalized_prompt_logprobs"] == [-0.5, -2.0]


# 6. regular expressions and dtypes

IP_ADDRESS = r"((25[0-5]|2[0-4]\d|[01]?\d\d?).){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"
DATE = r"(19|20)\d{2}-(0[1-9]|1[0-2])-([0-2]\d|3[01])"


@sgl.function
def constrained(s):
    s += "The address of the server is " + sgl.gen("ip", temperature=0, regex=IP_ADDRESS)
    s += "\nIt was born on " + sgl.gen("date", regex=DATE)
    s += "\nIt has " + sgl.gen("cores", dtype=int, stop="\n") + " cores, "
    s += sgl.gen_int("disks", max_tokens=4) + " disks, weighs " + sgl.gen("weight", dtype="float")
    s += " kg. Is it on? " + sgl.gen("on", dtype=bool) + " Its name is " + sgl.gen_string("label")


def test_regexes_and_dtypes_constrain_and_values_stay_text() -> None:
    state = constrained.run(backend=sgl.Mock())
    assert re.fullmatch(IP_ADDRESS, state["ip"])
    assert re.fullmatch(DATE, state["date"])
    assert isinstance(state["cores"], str)
    assert int(state["cores"]) + int(state["disks"]) + float(state["weight"]) >= 0
    assert state["on"] in ("True", "False")
    assert re.fullmatch('".*"', state["label"])


# 7. one JSON object whose fields are written side by side


@sgl.function
def parallel_json(s, name):
    s += f"Describe {name} in JSON.\n"
    fields = s.fork(3)
    fields[0] += '"name": "' + sgl.gen("value", max_tokens=8, stop='"') + '"'
    fields[1] += '"age": ' + sgl.gen("value", regex=r"[1-9]\d")
    fields[2] += '"house": "' + sgl.select("value", ["north", "south"]) + '"'
    with s.var_scope("json_output"):
        s += '{"name": "' + fields[0]["value"] + '", "age": ' + fields[1]["value"]
        s += ', "house": "' + fields[2]["value"] + '"}'


def test_parallel_json_decoding() -> None:
    mock = sgl.Mock({"value": ["Ann", "42", "south"]})
    state = parallel_json.run("Ann", backend=mock)
    assert json.loads(state["json_output"]) == {"name": "Ann", "age": 42, "house": "south"}
    assert mock.num_open == 0


# 8. streaming, from threads and from an event loop


def test_streaming_a_variable_and_everything() -> None:
    mock = sgl.Mock({"answer_1": "one two", "answer_2": "three four"})
    sgl.set_default_backend(mock)
    state = multi_turn_question.run("a", "b", stream=True)
    assert list(state.text_iter("answer_2")) == ["three", " four"]
    assert "".join(state.text_iter()) == state.text()
    assert "".join(state.text_iter(var_name="answer_1")) == "one two"


async def test_streaming_from_an_event_loop() -> None:
    sgl.set_default_backend(sgl.Mock({"answer_1": "one two", "answer_2": "three four"}, latency=0.01))
    state = multi_turn_question.run(question_1="a", question_2="b", stream=True)
    assert [out async for out in state.text_async_iter(var_name="answer_2")] == ["three", " four"]
    pairs = [pair async for pair in state.text_async_iter("answer_1", return_meta_data=True)]
    assert "".join(out for out, _ in pairs) == "one two"
    assert all(meta["token_ids"] for _, meta in pairs)


# 9. an expert is found on a copy, and answers; roles in all their forms


@sgl.function
def expert_answer(s, question):
    with s.copy() as tmp:
        tmp += f"Who should answer this: {question}\nThe name is " + sgl.gen("expert", stop=".")
    s.system(f"You are {s['expert']}.")
    with s.user():
        s += question
    s += sgl.assistant_begin() + sgl.gen("answer", stop=["."]) + sgl.assistant_end()
    s.user("Are you " + "sure?")
    with s.assistant(), s.var_scope("sure"):
        s += sgl.gen(max_tokens=4) + "!"


def test_expert_answer() -> None:
    mock = sgl.Mock(["Darwin. And", "They vary.", "Yes"])
    state = expert_answer.run(question="Why so many finches?", backend=mock)
    assert (state["expert"], state["answer"], state["sure"]) == ("Darwin", "They vary", "Yes!")
    assert state.messages() == [
        {"role": "system", "content": "You are Darwin."},
        {"role": "user", "content": "Why so many finches?"},
        {"role": "assistant", "content": "They vary"},
        {"role": "user", "content": "Are you sure?"},
        {"role": "assistant", "content": "Yes!"},
    ]
    assert "Who should answer" not in state.text()


# 10. log probabilities, options of a run, and programs that call programs


@sgl.function
def judge(s, essay):
    s += "Essay: " + essay + "\nGrade: " + sgl.gen("grade", choices=["A", "B"])


@sgl.function(num_api_spec_tokens=64)
def report(s, essay):
    graded = judge.run(essay=essay)
    s += f"Grade {graded['grade']}. Name:" + sgl.gen("name", stop="\n") + "\nBirthday:" + sgl.gen("birthday", stop="\n")
    s += "\nJob:" + sgl.gen("job", stop_regex=[r"\d", r"\n"])
    return graded["grade"]


def test_options_of_a_run_and_programs_in_programs() -> None:
    mock = sgl.Mock({"grade": "B", "name": " Ann\nBirthday", "birthday": " 1 May\n", "job": " cook"})
    sgl.set_default_backend(mock)
    state = report.run(
        essay="Bees.", max_new_tokens=8, temperature=0.0, top_p=0.9, top_k=-1, min_p=0.0, frequency_penalty=0.0,
        presence_penalty=0.0, ignore_eos=False, return_logprob=True, logprob_start_len=-1, top_logprobs_num=2,
        return_text_in_logprobs=True, stop=[], stop_token_ids=[], backend=mock,
    )  # fmt: skip
    assert (state.ret_value, state["name"], state["birthday"], state["job"]) == ("B", " Ann", " 1 May", " cook")
    meta = state.get_meta_info("name")
    assert [text for _, _, text in meta["output_token_logprobs"]] == [" Ann"]
    assert len(meta["output_top_logprobs"][0]) == 2
    assert mock.calls[1].params.max_new_tokens == 8
    assert mock.calls[3].params.stop_regex == r"(?:\d)|(?:\n)"


# 11. programs are traced and compiled, forks and arguments included


def test_tracing_and_compiling() -> None:
    answers = {"answer_1": "Paris.", "answer_2": "The Louvre."}
    graph = multi_turn_question.trace()
    assert "answer_2 = gen(max_tokens=16)" in str(graph)
    compiled = multi_turn_question.compile()
    recorded = multi_turn_question.run("a?", "b?", backend=sgl.Mock(answers))
    replayed = compiled.run(question_1="a?", question_2="b?", backend=sgl.Mock(answers))
    assert replayed.messages() == recorded.messages()
    assert replayed["answer_2"] == "The Louvre."
    mock = sgl.Mock({"detailed_tip": [" one", " two"], "summary": " three"})
    state = tip_suggestion.compile(topic="health").run(backend=mock)
    assert state.text().endswith("Tip 1: one\nTip 2: two\nIn summary, three")


# 12. contexts are read side by side and appended with their KV


@sgl.function
def parallel_encoding(s, contexts, question):
    s += "USER: Please memorize these statements.\n"
    forks = s.fork(len(contexts))
    forks += lambda i: f"Statement {i}: " + contexts[i] + "\n"
    forks.join(mode="concate_and_append")
    s += "Question: " + question + "\nASSISTANT:" + sgl.gen("answer", max_tokens=8)


def test_parallel_encoding() -> None:
    mock = sgl.Mock({"answer": " b."})
    state = parallel_encoding.run(contexts=["a", "b"], question="Which?", backend=mock)
    assert state["answer"] == " b."
    assert mock.calls[0].prompt == (
        "USER: Please memorize these statements.\nStatement 0: a\nStatement 1: b\nQuestion: Which?\nASSISTANT:"
    )


@pytest.mark.model
def test_they_run_on_the_real_model() -> None:
    with pytest.raises(ValueError, match="model='a' and model_path='b' are given together"):
        sgl.Engine("a", model_path="b")
    runtime = sgl.Runtime(model_path="smollm2")
    try:
        sgl.set_default_backend(runtime)
        chat = multi_turn_question.run("What is the capital of France?", "And of Italy?", temperature=0)
        assert "Paris" in chat["answer_1"]
        assert "Rome" in chat["answer_2"]
        assert chat.get_meta_info("answer_2")["cached_tokens"] > 20
        described = parallel_json.run("Ann, aged 31", temperature=0)
        assert set(json.loads(described["json_output"])) == {"name", "age", "house"}
        state = constrained.run(temperature=0, max_new_tokens=24)
        assert re.fullmatch(IP_ADDRESS, state["ip"])
        assert re.fullmatch(DATE, state["date"])
        assert report.run("Bees fly.", temperature=0, max_new_tokens=4).ret_value in ("A", "B")
        info = sgl.get_server_info()
        assert info is not None
        assert info["prompt_tokens"] > 0
        assert sgl.flush_cache() is True
    finally:
        runtime.shutdown()
