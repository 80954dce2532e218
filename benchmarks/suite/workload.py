"""Workload: a program and what it is run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source

__all__ = ["Items", "Workload"]

Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One row of the suite.

    Attributes:
        name: as on the command line and in the report.
        about: what it is, in a line.
        program: gets every item's fields as arguments. The run says temperature and `ignore_eos` where it does not.
        items: of a source, in a size. Every prompt begins with the salt, so that no cache holds anything of it.
        is_chat: other servers are asked with messages, otherwise with a plain prompt.
        has_fixed_length: every gen writes all of its tokens; where a grammar or a choice ends it, how many there are
            depends on the server.
        remark: what else there is to say of the results, in a few words.
    """

    name: str
    about: str
    program: sg.Program
    items: Callable[[Source, Size, str], Items]
    is_chat: bool = False
    has_fixed_length: bool = True
    remark: Callable[[Sequence[Any]], str] = lambda states: ""
