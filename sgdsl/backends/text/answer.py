"""Answer: whether what a server returned is what its constraint allows; servers promise, and it is looked at anyway."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sgdsl.backends.agreement import check_answer

if TYPE_CHECKING:
    from grammars.spec import JsonSchema, Spec

__all__ = ["check_text"]

_STRING_OR_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*")|\s+', re.DOTALL)


def check_text(text: str, constraint: Spec) -> None:
    """Refuses a text that breaks its constraint. Whitespace and the order of keys are the server's own affair.

    Of a schema that the grammar engine does not take, only that the text is JSON is asked.

    Raises:
        ValueError: it does, saying how.
    """
    from grammars.errors import GrammarError
    from grammars.spec import JsonObject, JsonSchema

    try:
        if isinstance(constraint, JsonObject | JsonSchema):
            json.loads(text)
            schema = constraint if isinstance(constraint, JsonSchema) else constraint.schema()
            _check_document(text, schema)
        else:
            check_answer(text, constraint)
    except GrammarError:
        return
    except ValueError as error:
        raise ValueError(f"the server's answer {text!r:.200} breaks its constraint: {error}") from error


def _check_document(text: str, schema: JsonSchema) -> None:
    from sgdsl.backends.example import byte_engine

    compact = _STRING_OR_BLANKS.sub(lambda found: found[1] or "", text)
    spec = replace(schema, whitespace="compact", key_order="any")
    matcher = byte_engine().compile(spec).matcher()
    written = compact.encode()
    for place, byte in enumerate(written):
        if not matcher.accept(byte):
            rest = written[max(0, place - 20) : place + 20].decode("utf-8", "replace")
            raise ValueError(f"it does not fit the schema near {rest!r}")
    if not matcher.is_complete():
        raise ValueError("it is not whole")
