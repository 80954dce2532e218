"""The workloads, as programs."""

from __future__ import annotations

import json

import sgdsl as sg
from benchmarks.prompts import PERSON


@sg.function
def complete(s, prompt: str, max_tokens: int):
    s += prompt
    s += sg.gen("text", max_tokens=max_tokens, temperature=0, ignore_eos=True)


@sg.function
def shared_prefix(s, prefix: str, question: str):
    s += prefix + question
    s += sg.gen("text", max_tokens=16, temperature=0, ignore_eos=True)


@sg.function
def fan_out(s, prefix: str, questions: list[str]):
    s += prefix
    branches = s.fork(len(questions))
    for branch, question in zip(branches, questions, strict=True):
        branch += question
        branch += sg.gen("text", max_tokens=16, temperature=0, ignore_eos=True)
    branches.join()


@sg.function
def person_as_json(s, sentence: str):
    s += sg.user(sentence)
    s += sg.assistant(sg.gen("person", max_tokens=128, temperature=0, json_schema=json.dumps(PERSON)))
