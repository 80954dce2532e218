"""TokenizerFiles: everything about a tokenizer that a model's files say, from a GGUF file or a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.gguf import GgufFile
from runtime.model.gguf_tokenizer import build_backend
from runtime.model.hub import ModelFiles
from runtime.model.metadata import Metadata

__all__ = ["TokenizerFiles"]

ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
GGUF_ROLES = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
GGUF_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
LLAMA3_SPLITS = ("llama-bpe", "llama3", "llama-v3")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFiles:
    """What was found; the fields are `Tokenizer`'s arguments."""

    backend: Backend
    bos_token_id: int | None = None
    adds_bos: bool = False
    eos_token_ids: tuple[int, ...] = ()
    chat_template: str | None = None
    token_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, files: ModelFiles) -> TokenizerFiles:
        """Reads a model's tokenizer.

        Raises:
            DamagedModel: a file is missing or unreadable.
            UnsupportedModel: a kind of tokenizer this runtime has no code for.
        """
        return cls._of_gguf(files.gguf) if files.kind == "gguf" else cls._of_folder(files.path)

    @classmethod
    def _of_gguf(cls, file: GgufFile) -> TokenizerFiles:
        metadata = file.metadata
        fields = Metadata(f"{file.path}: metadata", metadata, prefix="tokenizer.ggml.")
        tokens = metadata.get("tokenizer.ggml.tokens", ())
        roles = {role: fields.token_id(key) for role, key in GGUF_ROLES.items()}
        names = {role: tokens[index] for role, index in roles.items() if index is not None and index < len(tokens)}
        # A Llama 3 file that does not say otherwise begins every text with BOS.
        adds_bos = metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.pre") in LLAMA3_SPLITS)
        return cls(
            backend=build_backend(file.path, metadata),
            bos_token_id=roles["bos_token"],
            adds_bos=bool(adds_bos),
            eos_token_ids=fields.token_ids(*GGUF_ENDS),
            chat_template=metadata.get("tokenizer.chat_template"),
            token_names=names,
        )

    @classmethod
    def _of_folder(cls, folder: Path) -> TokenizerFiles:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UnsupportedModel(f"{folder}: there is no tokenizer.json; other tokenizer files are not supported")
        try:
            backend = Backend.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise DamagedModel(f"{path}: not a tokenizer: {error}") from error
        config = _json(folder / "tokenizer_config.json")
        names = _token_names(_json(folder / "special_tokens_map.json") | config)
        bos = backend.token_to_id(names["bos_token"]) if "bos_token" in names else None
        begins = backend.encode("").ids[:1]
        return cls(
            backend=backend,
            bos_token_id=bos,
            adds_bos=bos is not None and begins == [bos],
            eos_token_ids=_folder_ends(folder, backend, names),
            chat_template=_folder_template(folder, config),
            token_names=names,
        )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedModel(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(value, dict):
        raise DamagedModel(f"{path}: not a JSON object")
    return value


def _token_names(config: Mapping[str, Any]) -> dict[str, str]:
    """Role → token text; a token is written as a string or as an object with `content`."""
    found = {role: config.get(role) for role in ROLES}
    texts = {role: token.get("content") if isinstance(token, dict) else token for role, token in found.items()}
    return {role: text for role, text in texts.items() if isinstance(text, str)}


def _folder_ends(folder: Path, backend: Backend, names: Mapping[str, str]) -> tuple[int, ...]:
    """End tokens: the generation config's, or else the config's, and the tokenizer's own."""
    ends: tuple[int, ...] = ()
    for path in (folder / "generation_config.json", folder / "config.json"):
        ends = ends or Metadata(str(path), _json(path)).token_ids("eos_token_id")
    own = backend.token_to_id(names["eos_token"]) if "eos_token" in names else None
    return ends if own is None or own in ends else (*ends, own)


def _folder_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template", _json(folder / "chat_template.json").get("chat_template"))
    if isinstance(template, list):  # several, by name
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    return template if isinstance(template, str) else None
