"""The catalogue of all workloads, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.suite.workload import Workload
from benchmarks.suite.workloads.characters import CHARACTERS
from benchmarks.suite.workloads.chat import CHAT
from benchmarks.suite.workloads.documents import DOCUMENTS
from benchmarks.suite.workloads.gsm8k import GSM8K
from benchmarks.suite.workloads.judge import JUDGE
from benchmarks.suite.workloads.react import REACT
from benchmarks.suite.workloads.scenes import SCENES
from benchmarks.suite.workloads.skeleton import SKELETON
from benchmarks.suite.workloads.tools import TOOLS
from benchmarks.suite.workloads.tree import TREE

__all__ = ["WORKLOADS"]

WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {one.name: one for one in (GSM8K, REACT, TREE, SKELETON, JUDGE, CHARACTERS, CHAT, SCENES, DOCUMENTS, TOOLS)}
)
