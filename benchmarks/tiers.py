"""What a restart gains from the disk tier: seconds to the first token of a long prompt, computed and read from disk.

python -m benchmarks.tiers [--tokens N] [--repeat N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.prompts import words
from runtime.engine import Engine

ONE = {"temperature": 0, "max_new_tokens": 1, "ignore_eos": True}
AT_LEAST = 5.0


def first_token(model: str, num_tokens: int, folder: Path | None) -> tuple[float, int, list[int], float]:
    """Of a fresh engine: seconds of the request, tokens it found, its output, and seconds of the shutdown."""
    settings = {"max_total_tokens": num_tokens + 256, "disk_cache_dir": folder}
    with Engine(model, **settings) as engine:
        ids = engine.tokenizer.encode(words(engine.tokenizer, num_tokens, "tiers"))[:num_tokens]
        engine.generate(input_ids=ids[:8], sampling_params=ONE)
        start = time.perf_counter()
        answer = engine.generate(input_ids=[ids[0], *ids[2:], ids[1]], sampling_params=ONE)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
    return seconds, answer["meta_info"]["cached_tokens"], answer["output_ids"], time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiers", description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        computed, _, output, writing = first_token(options.model, options.tokens, Path(name))
        runs = [first_token(options.model, options.tokens, Path(name)) for _ in range(options.repeat)]
        size = sum(path.stat().st_size for path in Path(name).iterdir())
    seconds = statistics.median(run[0] for run in runs)
    row = {
        "tokens": options.tokens,
        "computed_seconds": round(computed, 3),
        "from_disk_seconds": round(seconds, 3),
        "ratio": round(computed / seconds, 1),
        "cached_tokens": runs[0][1],
        "same_output": all(run[2] == output for run in runs),
        "file_megabytes": round(size / 1e6, 1),
        "shutdown_seconds": round(writing, 3),
        "goal": f">= {AT_LEAST}x",
        "met": computed / seconds >= AT_LEAST,
    }
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
