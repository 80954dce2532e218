from __future__ import annotations

import math
import struct
from pathlib import Path

from sgdsl.cli.tuning.picture import draw
from sgdsl.cli.tuning.rise import Level


def test_a_picture_is_drawn_also_where_something_was_not_measured(tmp_path: Path) -> None:
    levels = [
        Level(
            concurrency=count, seconds=1.0, requests=3, tokens_per_second=10.0 * count, cached_share=0.5,
            queue_seconds=(0.1, 0.2), first_token_seconds=(math.nan, math.nan), running=1.0, kv_tokens=9, kv_use=0.1,
            limited_by=None,
        )
        for count in (1, 2, 4)
    ]  # fmt: skip
    draw(levels, levels[1], ["sgdsl tune: a model", "a load"], 1000, tmp_path / "tune.png")
    content = (tmp_path / "tune.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width > height > 600
