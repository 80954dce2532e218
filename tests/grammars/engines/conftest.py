from __future__ import annotations

from importlib.util import find_spec

import pytest

from grammars import Vocabulary
from grammars.engines.base import Engine
from grammars.engines.registry import engine_named

FOREIGN = ("outlines", "llguidance", "xgrammar")


@pytest.fixture(scope="session")
def foreign(vocabulary: Vocabulary) -> dict[str, Engine]:
    """The engines of other libraries by name. xgrammar is too large for the dev group, so it may be absent."""
    present = [name for name in FOREIGN if name != "xgrammar" or find_spec("xgrammar") is not None]
    return {name: engine_named(name)(vocabulary) for name in present}
