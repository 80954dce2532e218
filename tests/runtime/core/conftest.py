"""The inside of an engine, stepped by hand, without its thread, and with a runner that checks what it is given.

The runner stands in for the model. In the place of KV it keeps what says of which tokens that was computed, in what
order, and where it stands; a sequence that reads what is not its own fails the step.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from grammars.compiler import GrammarCompiler
from runtime.config import EngineConfig
from runtime.core import EngineCore
from runtime.memory.budget import derive
from runtime.tokenizer import Tokenizer

POOL_TOKENS = 64


def digest(before: int, token: int) -> int:
    """What the KV of a token is, by the KV before it."""
    return hash((before, token)) & 0x7FFFFFFFFFFFFFFF


def following(before: int) -> int:
    """The token the model says after that KV."""
    return 5 + before % 3


class CheckedRunner:
    """Keeps a digest in the place of a token's KV, and refuses a batch whose sequences read what is not their own."""

    def __init__(self, num_slots: int, page_size: int, vocab_size: int) -> None:
        self.page_size = page_size
        self.page_bytes = 8 * page_size
        self.kv = array.array("q", bytes(8 * num_slots))
        self.before: dict[int, int | None] = {0: None}  # digest → the one before it; None for one that was grafted
        self.fails = False
        self.pool = self
        self._vocab_size = vocab_size

    def run(self, batch: Any) -> torch.Tensor:
        if self.fails:
            self.fails = False
            raise RuntimeError("out of luck")
        starts, positions = batch.query_starts.tolist(), batch.positions.tolist()
        tokens, slots = batch.token_ids.tolist(), batch.out_slots.tolist()
        said: list[int] = []
        for place, table in enumerate(batch.page_table.tolist()):
            rows = range(starts[place], starts[place + 1])
            held = self._read(table, positions[rows.start])
            for row in rows:
                assert positions[row] == len(held)
                own = digest(held[-1] if held else 0, tokens[row])
                own = self._written(own, held[-1] if held else 0, slots[row], self._slot(table, len(held)))
                held.append(own)
                said.append(own)
        logits = torch.zeros(len(batch.logit_rows), self._vocab_size)
        for place, row in enumerate(batch.logit_rows.tolist()):
            logits[place, following(said[row])] = 1.0
        return logits

    def _slot(self, table: Sequence[int], position: int) -> int:
        return table[position // self.page_size] * self.page_size + position % self.page_size

    def _read(self, table: Sequence[int], count: int) -> list[int]:
        """The KV of the first tokens, each of which must be of the one before it."""
        held: list[int] = []
        for position in range(count):
            own = self.kv[self._slot(table, position)]
            before = self.before[own]
            assert before is None or before == (held[-1] if held else 0), f"position {position} is another sequence's"
            held.append(own)
        return held

    def _written(self, own: int, before: int, slot: int, place: int) -> int:
        """Writes; or, where the KV stands already, sees that it is this."""
        if slot == 0:
            stands = self.kv[place]
            assert stands == own or self.before[stands] is None
            return stands
        assert slot == place
        self.before[own] = before
        self.kv[slot] = own
        return own

    def copy_slots(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, target in pairs:
            self.kv[target] = self.kv[source]

    def take_kv(self, slots: Sequence[int], start: int, moved_to: int) -> object:
        taken = [digest(self.kv[slot], -1 - moved_to - place) for place, slot in enumerate(slots)]
        self.before.update(dict.fromkeys(taken, None))
        return taken

    def put_kv(self, slots: Sequence[int], kv: Any, first: int) -> None:
        for slot, own in zip(slots, kv[first:], strict=False):
            self.kv[slot] = own

    def read_page(self, page: int) -> bytes:
        return self.kv[page * self.page_size : (page + 1) * self.page_size].tobytes()

    def write_page(self, page: int, payload: bytes) -> None:
        self.kv[page * self.page_size : (page + 1) * self.page_size] = array.array("q", payload)


@pytest.fixture
def make_core(tiny_tokenizer: Tokenizer) -> Callable[..., EngineCore]:
    """Makes the inside of an engine, with a pool of 64 slots and a runner that checks what it is given."""
    compiler = GrammarCompiler(tiny_tokenizer.vocabulary)

    def make(**given: Any) -> EngineCore:
        config = EngineConfig.of({"max_total_tokens": POOL_TOKENS, **given})
        budget = derive(
            config.memory, config.scheduler, model_context=POOL_TOKENS, bytes_per_token=8, free_bytes=1 << 30,
            weight_bytes=0, given=config.given,
        )  # fmt: skip
        runner = CheckedRunner(POOL_TOKENS + budget.page_size, budget.page_size, tiny_tokenizer.vocab_size)
        return EngineCore(config, budget, runner, tiny_tokenizer, compiler)  # type: ignore[arg-type]

    return make
