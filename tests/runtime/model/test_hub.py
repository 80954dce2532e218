from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from runtime.errors import UnknownModel
from runtime.model import hub
from runtime.model.hub import BUILT_IN, ModelFiles, cache_folder, resolve


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("no subprocess and no network here")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache of the hub's library, which may not go online."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def _cached(hub_cache: Path, name: str) -> Path:
    """The folder of a cached repository's snapshot."""
    repository = hub_cache / ("models--" + name.replace("/", "--"))
    revision = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    return repository / "snapshots" / revision


def test_a_gguf_file_and_folders_are_found(tiny: Any, tmp_path: Path) -> None:
    assert resolve(str(tiny.gguf.path)) == ModelFiles(str(tiny.gguf.path), "gguf", tiny.gguf.path)
    folder = str(tiny.safetensors.path)
    assert resolve(folder) == ModelFiles(folder, "safetensors", tiny.safetensors.path)
    shutil.copy(tiny.gguf.path, tmp_path / "only.gguf")
    assert resolve(str(tmp_path)).path == tmp_path / "only.gguf"
    shutil.copy(tiny.gguf.path, tmp_path / "other.gguf")
    with pytest.raises(UnknownModel, match=r"exactly one \.gguf \(2 found\)"):
        resolve(str(tmp_path))


def test_a_tilde_is_the_home_folder(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny.gguf.path.parent))
    assert resolve("~/tiny.gguf").path == tiny.gguf.path


@pytest.mark.parametrize("name", ["gpt-17", "", "./missing.gguf", "/missing/folder", "a/b/c/d"])
def test_an_unknown_name_lists_what_there_is(name: str, no_network: None) -> None:
    with pytest.raises(UnknownModel, match=r"not built in \(smollm2\)") as caught:
        resolve(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(UnknownModel, match=r"must end in \.gguf"):
        resolve(str(tmp_path / "model.bin"))


def test_a_cached_built_in_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    path = BUILT_IN["smollm2"].cached_path(tmp_path)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(BUILT_IN["smollm2"].size)
    assert resolve("smollm2", cache_dir=tmp_path) == ModelFiles("smollm2", "gguf", path)
    monkeypatch.setenv("SGDSL_CACHE", str(tmp_path))
    assert resolve("smollm2").path == path


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGDSL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/sgdsl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "sgdsl"
    monkeypatch.setenv("SGDSL_CACHE", "/own")
    assert cache_folder() == Path("/own")


def test_a_cached_hub_model_needs_no_network(tiny: Any, hub_cache: Path, no_network: None) -> None:
    folder = _cached(hub_cache, "org/tiny")
    shutil.copytree(tiny.safetensors.path, folder)
    assert resolve("org/tiny") == ModelFiles("org/tiny", "safetensors", folder)
    shutil.copy(tiny.gguf.path, folder / "tiny.gguf")
    assert resolve("org/tiny/tiny.gguf") == ModelFiles("org/tiny/tiny.gguf", "gguf", folder / "tiny.gguf")


@pytest.mark.parametrize("name", ["org/absent", "org/absent/file.gguf"])
def test_a_hub_model_out_of_reach_is_one_line(name: str, hub_cache: Path, no_network: None) -> None:
    with pytest.raises(UnknownModel, match=f"no model '{name}' here, and the hub does not give it: ") as caught:
        resolve(name)
    assert "\n" not in str(caught.value)


def test_an_incomplete_snapshot_is_asked_for_again(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.json").write_text("{}")

    def snapshot(_: str, *, local_files_only: bool = False, **__: Any) -> str:
        calls.append(local_files_only)
        return str(tmp_path / "part" if local_files_only else tiny.safetensors.path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert resolve("org/tiny").path == tiny.safetensors.path
    assert calls == [True, False]


def test_of_a_repository_of_ggufs_the_only_one_is_taken(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: str, file: str, *, local_files_only: bool = False) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        return f"/cache/{file}"

    files = ["README.md", "a.gguf"]
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_: files)
    assert resolve("org/quants").path == Path("/cache/a.gguf")
    files.append("b.gguf")
    with pytest.raises(UnknownModel, match=r"holds no safetensors; name one of .* org/quants/a\.gguf"):
        resolve("org/quants")
    files.clear()
    with pytest.raises(UnknownModel, match=r"holds no safetensors$"):
        resolve("org/quants")


def test_import_is_light() -> None:
    heavy = "{'torch', 'transformers', 'huggingface_hub', 'numpy'}"
    code = f"import runtime.model.hub, sys; assert not {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.model
def test_the_default_model_is_what_was_published() -> None:
    files, published = resolve("smollm2"), hub.BUILT_IN["smollm2"]
    with files.path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == published.sha256
