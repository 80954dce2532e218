from __future__ import annotations

import json
import logging

import pytest

from sgdsl.cli import logs


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_of_json(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    logs.set_up(verbose=False, quiet=True, as_json=as_json)
    logging.getLogger("sgdsl.access").info("%s", '{"id":"one"}')
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("sgdsl.server").exception("a request\nfailed")
    lines = capsys.readouterr().err.splitlines()
    if not as_json:
        assert lines[:2] == ["sgdsl.server: a request", "failed"]
        return
    first, second = map(json.loads, lines)
    assert first == {"id": "one"}
    assert (second["level"], second["logger"], second["message"]) == ("error", "sgdsl.server", "a request\nfailed")
    assert second["exception"].endswith("ValueError: wrong")
    logs.set_up(verbose=False, quiet=False)
