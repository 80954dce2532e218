from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from runtime.server.access.door import Door
from runtime.server.access.key_file import add_key
from runtime.server.access.tenant import Tenant
from runtime.server.config import ServerConfig
from runtime.server.errors import ApiError


def _is_admin(door: Door, key: str) -> bool | None:
    tenant = door.tenant_of(f"Bearer {key}")
    return None if tenant is None else tenant.is_admin


def test_who_may_do_what(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    alice, root = add_key(path, "alice"), add_key(path, "root", is_admin=True)
    none, plain = Door(ServerConfig()), Door(ServerConfig(api_keys=("k",)))
    apart = Door(ServerConfig(api_keys=("k",), admin_api_keys=("a",)))
    open_to_all = Door(ServerConfig(admin_api_keys=("a",)))
    file = Door(ServerConfig(api_keys=("k",), api_key_file=str(path)))
    assert _is_admin(none, "") is True
    assert (_is_admin(plain, "k"), _is_admin(plain, "a"), _is_admin(plain, "")) == (True, None, None)
    assert (_is_admin(apart, "k"), _is_admin(apart, "a"), _is_admin(apart, "")) == (False, True, None)
    assert (_is_admin(open_to_all, "a"), _is_admin(open_to_all, "")) == (True, False)
    assert [_is_admin(file, key) for key in ("k", alice, root, alice + "x")] == [False, False, True, None]


def test_only_bearers() -> None:
    door = Door(ServerConfig(api_keys=("k",)))
    assert door.tenant_of("bearer  k ") is not None
    assert [door.tenant_of(header) for header in ("k", "Basic k", "Bearer", "Bearer \udcff")] == [None] * 4


def test_no_two_tenants_have_a_namespace_in_common() -> None:
    tenants = [Tenant(namespace=name) for name in ("", "a", "b", "health")]
    salts = ("", "a", "b", "/", "a/", "/a", "a/b", "health")
    found = [tenant.cache_namespace(salt) for tenant, salt in product(tenants, salts)]
    assert len(set(found)) == len(found)


def test_where_nobody_is_kept_apart_salts_are_namespaces() -> None:
    tenant = Door(ServerConfig()).tenant_of("")
    assert tenant is not None
    assert tenant.cache_namespace("mine") == "mine"


def test_as_many_as_a_key_may() -> None:
    door = Door(ServerConfig())
    small, other = Tenant(name="a", max_concurrent=1), Tenant(name="b", max_concurrent=1)
    with door.counted(small), door.counted(other):
        with pytest.raises(ApiError) as caught, door.counted(small):
            pass
        assert caught.value.problem.status == 429
        assert caught.value.problem.headers["Retry-After"] == "1"
    with door.counted(small):
        pass
