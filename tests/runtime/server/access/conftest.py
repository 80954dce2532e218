"""A server with the keys of two tenants and of an admin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.server.access.key_file import add_key


@dataclass
class Guarded:
    client: Any
    keys: dict[str, str]

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[name]}"}


@pytest.fixture
async def guarded(make_client: Any, tmp_path: Path) -> Guarded:
    path = tmp_path / "keys.json"
    keys = {
        "alice": add_key(path, "alice", max_concurrent=1),
        "bob": add_key(path, "bob"),
        "shared": add_key(path, "shared", may_share=True),
        "root": add_key(path, "root", is_admin=True),
    }
    return Guarded(await make_client(api_key_file=str(path)), keys)
