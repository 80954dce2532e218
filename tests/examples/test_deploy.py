"""What is under examples/deploy does what it says."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from runtime.server.metrics.families import EngineFamilies
from runtime.server.metrics.http import HttpMetrics
from sgdsl.cli.parser import build_parser

DEPLOY = Path(sg.__file__).parent.parent / "examples/deploy"
SHIM = DEPLOY / "sglang_shim.py"


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("sglang", SHIM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started: list[Any] = []
    monkeypatch.setattr(sg, "Runtime", lambda *args, **settings: started.append((args, settings)), raising=False)
    module.started = started
    return module


def test_xinference_starts_a_server_with_what_it_passes(shim: Any) -> None:
    shim.Runtime(
        model_path="m", tokenizer_path="m", port=31000, tp_size=1, mem_fraction_static=0.88, log_level="info",
        trust_remote_code=True, quantization=None, max_running_requests=12,
    )  # fmt: skip
    wanted = {"tokenizer_path": "m", "port": 31000, "mem_fraction_static": 0.88, "log_level": "info"}
    assert shim.started == [(("m",), {**wanted, "max_running_requests": 12})]


def test_what_would_need_more_reaches_the_engine_which_refuses_it(shim: Any) -> None:
    shim.Runtime(model_path="m", tp_size=4)
    assert shim.started == [(("m",), {"tp_size": 4})]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bsgdsl:\w+", target["expr"])
    }
    asked |= set(re.findall(r"\bsgdsl:\w+", json.dumps(board["templating"])))
    assert len(asked) >= 30
    assert asked - _exposed() == set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert target["expr"].count("(") == target["expr"].count(")")
            assert target["expr"].count("{") == target["expr"].count('{model_name=~"$model"}') > 0


def _exposed() -> set[str]:
    """Names of all samples of a server whose engine measures everything."""
    table = {"bounds": [1.0], "counts": [0, 0], "seconds": 0.0}
    stats: Any = defaultdict(int, ledger=defaultdict(int), limited_steps={"max_total_tokens": 1}, limited_by=None)
    stats |= {"timings": defaultdict(lambda: table), "cache_hit_rate_optimal": 1.0}
    http = HttpMetrics("sgdsl", "m")
    http.began()
    http.ended("/", 200, 0.1)
    families = [*EngineFamilies(stats, "sgdsl", "m", 0.0).collect(), *http.registry.collect()]
    return {sample.name for family in families for sample in family.samples}


def test_nginx_streams_and_keeps_the_host() -> None:
    lines = [line.split("#")[0].strip() for line in (DEPLOY / "nginx.conf").read_text(encoding="utf-8").splitlines()]
    assert "\n".join(lines).count("{") == "\n".join(lines).count("}")
    assert all(line.endswith((";", "{", "}")) for line in lines if line)
    for needed in ("proxy_buffering off;", "proxy_http_version 1.1;", "proxy_set_header Host $http_host;"):
        assert needed in lines


def test_the_unit_starts_a_command_that_there_is() -> None:
    text = (DEPLOY / "sgdsl.service").read_text(encoding="utf-8").replace("\\\n", "")
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(command.removeprefix("ExecStart="))
    assert words[0].endswith("/bin/sgdsl")
    options = build_parser().parse_args(words[1:])
    assert (options.name, options.api_keys, options.drain_seconds) == ("smollm2", "/etc/sgdsl/keys.json", 60.0)
    stop = re.search(r"TimeoutStopSec=(\d+)", text)
    assert stop is not None
    assert int(stop[1]) > options.drain_seconds
