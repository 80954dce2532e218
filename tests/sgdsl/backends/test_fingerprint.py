from __future__ import annotations

from collections.abc import Callable

import sgdsl as sg
from sgdsl.backends.fingerprint import fingerprint_of


def test_what_tells_backends_from_one_another(openai: Callable[..., sg.OpenAI]) -> None:
    one, other, elsewhere = openai("m"), openai("n"), openai("m", base_url="http://127.0.0.1:9/v1")
    told = [fingerprint_of(backend) for backend in (one, other, elsewhere, sg.Mock(), sg.Router([one, sg.Mock()]))]
    assert len(set(told)) == 5
    assert fingerprint_of(openai("m")) == told[0]


def test_a_fingerprint_of_its_own_is_taken() -> None:
    mock = sg.Mock()
    assert fingerprint_of(mock) == mock.fingerprint
    assert fingerprint_of(sg.Mock()) != mock.fingerprint
