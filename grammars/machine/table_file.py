"""Files in which tables of a vocabulary are kept between processes."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from grammars.vocabulary import Vocabulary

__all__ = ["Arrays", "TableFile"]

_LOG = logging.getLogger(__name__)

FORMAT = "5"
"""Part of the file name: changed whenever what is in it is laid out otherwise."""

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


class TableFile:
    """Arrays of one vocabulary under one name. Nothing that goes wrong with the file does harm.

    Args:
        folder: where the files lie; None keeps nothing.
        vocabulary: whose tables they are.
        name: what is in it.
    """

    def __init__(self, folder: Path | None, vocabulary: Vocabulary, name: str) -> None:
        self._path: Path | None = None
        if folder is not None:
            special = repr(sorted(vocabulary.special.items()))
            digest = hashlib.sha256(f"{FORMAT} {vocabulary.fingerprint} {special}".encode()).hexdigest()
            self._path = folder / f"{digest[:32]}.{name}.npz"

    def read(self) -> Arrays | None:
        """What was written, None where there is nothing that can be read."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return {name: kept[name] for name in kept.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            _LOG.warning("the vocabulary table %s cannot be read and is made anew: %s", self._path, error)
            return None

    def write(self, **arrays: npt.NDArray[Any]) -> None:
        """Writes arrays, as a whole or not at all."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_name(f"{self._path.stem}.{os.getpid()}.part.npz")
            np.savez(partial, allow_pickle=False, **arrays)
            partial.replace(self._path)
        except OSError as error:
            _LOG.warning("the vocabulary table %s cannot be kept: %s", self._path, error)
