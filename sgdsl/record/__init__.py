"""Records: what happened in runs, as JSON lines, and the views of them."""

from __future__ import annotations

from sgdsl.record.sink import Recorder

__all__ = ["Recorder"]
