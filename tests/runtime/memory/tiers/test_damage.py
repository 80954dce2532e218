"""Any byte of any file may change: that page is computed again, once, and nothing else is different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine import Engine
from runtime.handle import Handle

PROMPTS = [[5 + i, *range(40, 65)] for i in range(3)]  # six pages of four each, and two tokens
ONE = {"temperature": 0, "max_new_tokens": 1, "ignore_eos": True}
Flips = st.tuples(st.integers(0, 17), st.integers(0, 1 << 30), st.integers(1, 255))


def asked(engine: Engine) -> tuple[list[list[int]], int]:
    """What is answered, and how many tokens were cached."""
    answers = [engine.generate(input_ids=prompt, sampling_params=ONE) for prompt in PROMPTS]
    return [answer["output_ids"] for answer in answers], sum(one["meta_info"]["cached_tokens"] for one in answers)


def emptied(engine: Engine) -> None:
    """Waits until everything is on disk, and then forgets it everywhere else."""
    tiers = engine._core.tiers
    assert tiers is not None
    assert tiers._disk is not None
    done: Handle[int] = Handle()
    engine._core.post(lambda: done.finish(tiers.drop_tree()))
    done.result(20)
    tiers._disk._writer.submit(int).result(30)


def test_a_flipped_byte_anywhere_is_a_miss_and_no_wrong_text(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = make_engine(page_size=4, disk_cache_dir=tmp_path)
    expected, _ = asked(engine)
    emptied(engine)
    assert asked(engine) == (expected, 3 * 24)
    emptied(engine)
    paths = sorted(tmp_path.glob("*.kv"))
    assert len(paths) == 18

    @settings(max_examples=50, deadline=None)
    @given(Flips)
    def damaged(flip: tuple[int, int, int]) -> None:
        place, offset, bits = flip
        before = engine.stats()["tier_misses_damaged"]
        content = bytearray(paths[place].read_bytes())
        content[offset % len(content)] ^= bits
        paths[place].write_bytes(content)
        answers, cached = asked(engine)
        assert answers == expected
        assert cached in range(3 * 24 - 24, 3 * 24, 4)
        emptied(engine)
        assert engine.stats()["tier_misses_damaged"] == before + 1
        assert sorted(tmp_path.glob("*.kv")) == paths  # what was damaged is written anew
        assert asked(engine) == (expected, 3 * 24)
        emptied(engine)

    damaged()
