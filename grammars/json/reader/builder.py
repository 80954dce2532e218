"""The builder: from subschemas to nodes, each once for each sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.json.node import FALSE, TRUE, Node, Nodes
from grammars.json.reader.document import Library, Target
from grammars.json.reader.keywords import KEYWORDS
from grammars.json.reader.logic import Logic
from grammars.json.reader.site import Aspect, Scope, Site
from grammars.regular.formats import FORMATS, format_language
from grammars.regular.language import Language, Languages
from grammars.regular.patterns import pattern_language

__all__ = ["Builder"]

DEFER_DEPTH = 24
"""From how many open subschemas on properties and items wait for their turn as references."""


class Key(NamedTuple):
    """What a node is kept by: the place of a subschema, the dynamic scope it is seen in, the sign, the aspect."""

    place: str
    scope: Scope
    negated: bool
    aspect: Aspect


class Builder:
    """Builds the node of a subschema when it is asked for, and those it refers to in `finish`.

    What is about the same value as a schema becomes part of its node; a property or item whose schema is nothing but
    a reference becomes a `Ref`, so graphs are as small as the document and recursion costs nothing.

    Args:
        library: the documents.
        logic: what makes nodes.
        formats: whether `format` restricts values.
        max_depth: how deep subschemas and in-place references may be nested.
    """

    def __init__(self, library: Library, logic: Logic, *, formats: bool, max_depth: int) -> None:
        self.library = library
        self.logic = logic
        self.nodes: Nodes = logic.nodes
        self.languages: Languages = logic.languages
        self.warnings: list[str] = []
        self._assert_formats = formats
        self._max_depth = max_depth
        self._built: dict[Key, Node] = {}
        self._pending: list[tuple[Target, Key]] = []
        self._path: list[Key | None] = []
        self._open: set[Key] = set()
        self._assumed: set[Key] = set()
        self._patterns: dict[tuple[str, bool], Language] = {}
        self._formats: dict[str, Language | None] = {}

    def finish(self, target: Target, negated: bool = False) -> Node:
        """The node of a document's root, or its negation; afterwards every reference in it can be resolved."""
        node = self.node(target, (), negated)
        while self._pending:
            waiting, key = self._pending.pop()
            site = self.site(waiting, key.scope, key.negated, key.aspect)
            if site is not None:
                self._start(site, key)
        return node

    def node(self, target: Target, scope: Scope, negated: bool, aspect: Aspect = "value") -> Node:
        """The node of a subschema, or its negation, as part of the value that is being described now."""
        schema = target.schema
        if schema is True or schema is False:
            return FALSE if schema is negated else TRUE
        site = self.site(target, scope, negated, aspect)
        if site is None:
            raise InvalidSpec(f"json_schema at {target.place or '/'}: {_shown(schema)} is no schema")
        return self._find(site, Key(site.place, site.scope, negated, aspect))

    def inner(self, target: Target, scope: Scope, negated: bool) -> Node:
        """The node of a subschema for a value inside the one described now."""
        site = self.site(target, scope, negated)
        if site is None:
            return self.node(target, scope, negated)
        if self._is_bare_reference(site):
            target, scope = self.locate(site, "$ref")
            return self._ref(target, Key(target.place, scope, negated, "value"))
        key = Key(site.place, site.scope, negated, "value")
        return self._start(site, key) if len(self._open) < DEFER_DEPTH else self._ref(target, key)

    def name_node(self, target: Target, scope: Scope) -> Node:
        """The node of a schema for property names, without what it says of other values."""
        site = self.site(target, scope, False, "name")
        if site is None:
            return self.node(target, scope, False, "name")
        return self._start(site, Key(site.place, site.scope, False, "name"))

    def site(self, target: Target, scope: Scope, negated: bool = False, aspect: Aspect = "value") -> Site | None:
        """A subschema with its context; None for one that is no object."""
        schema, place, resource = target
        if not isinstance(schema, dict):
            return None
        if self.library.nested:
            resource = self.library.nested.get(id(schema), resource)
        if resource.dynamic and resource not in scope:
            scope = (*scope, resource)
        return Site(self, schema, place, resource, scope, negated, aspect)

    def _start(self, site: Site, key: Key) -> Node:
        """A node whose value has nothing to do with the one described so far."""
        path, self._path = self._path, []
        try:
            return self._find(site, key)
        finally:
            self._path = path

    def _find(self, site: Site, key: Key) -> Node:
        """The node kept by a key; read now, or a reference when that has begun and not ended."""
        found = self._built.get(key)
        if found is not None:
            return found
        if key in self._open:  # below one of its own properties or items
            return self._ref(Target(site.schema, site.place, site.resource), key)
        return self._read(site, key)

    def _read(self, site: Site, key: Key) -> Node:
        if len(self._open) >= self._max_depth:
            raise GrammarLimit(f"json_schema: schemas nested deeper than {self._max_depth}")
        deadline = self.languages.deadline
        if deadline is not None and len(self._built) % 64 == 0:
            deadline.check("json_schema: the time limit has passed")
        self.logic.spend(1)
        self._open.add(key)
        self._path.append(key)
        nodes: dict[Callable[[Site], Node], Node] = {}
        for name in ("$ref",) if site.only_reference else site.schema:
            keyword = KEYWORDS.get(name)
            if keyword is not None and keyword.read not in nodes and (keyword.about_names or site.aspect == "value"):
                nodes[keyword.read] = keyword.read(site)
        node = site.join(nodes.values())
        self._path.pop()
        self._open.remove(key)
        self._assumed.discard(key)
        if not self._assumed:
            self._built[key] = node
        return node

    @staticmethod
    def _is_bare_reference(site: Site) -> bool:
        if not isinstance(site.schema.get("$ref"), str):
            return False
        return site.only_reference or not any(name != "$ref" and name in KEYWORDS for name in site.schema)

    def locate(self, site: Site, keyword: str) -> tuple[Target, Scope]:
        """What a reference points to, and the dynamic scope there."""
        reference = site.text(keyword)
        target = self.library.resolve(reference, site.resource, site.place, keyword)
        if keyword != "$ref":
            name = "" if keyword == "$recursiveRef" else reference.partition("#")[2]
            anchored = target.resource.dynamic.get(name)
            if anchored is not None and anchored.schema is target.schema:
                outermost = (resource.dynamic[name] for resource in site.scope if name in resource.dynamic)
                target = next(outermost, target)
        below = self.site(target, site.scope)
        return target, site.scope if below is None else below.scope

    def follow(self, site: Site, keyword: str) -> Node:
        """The node of what a reference in place points to.

        Raises:
            InvalidSpec: it leads back to itself, so what it says is not defined. As one of the alternatives of `anyOf`
                it is as if it were not there.
        """
        target, scope = self.locate(site, keyword)
        key = Key(target.place, scope, site.negated, site.aspect)
        if any(step is not None and step.place == key.place for step in self._path):
            return self._return_to(key, site)
        return self.node(target, scope, site.negated, site.aspect)

    def _return_to(self, key: Key, site: Site) -> Node:
        since = self._path[self._path.index(key) :] if key in self._path else []
        if None not in since or any(step is not None and step.negated != key.negated for step in since):
            raise InvalidSpec(f"$ref at {site.place or '/'}: it leads back to itself without coming to a value")
        self._assumed.add(key)
        return TRUE if site.negated else FALSE

    @contextmanager
    def choice(self) -> Iterator[None]:
        """While the alternatives of an `anyOf` are read."""
        self._path.append(None)
        yield
        self._path.pop()

    def _ref(self, target: Target, key: Key) -> Node:
        if not isinstance(target.schema, dict):
            return self.node(target, key.scope, key.negated)
        place = "@".join((target.place, *(resource.uri for resource in key.scope)))
        if key not in self._built:
            self._pending.append((target, key))
        return self.nodes.ref(place, key.negated, partial(self._built.__getitem__, key))

    def warn(self, message: str) -> None:
        """Keeps a warning, once however often its place is read."""
        if message not in self.warnings:
            self.warnings.append(message)

    def pattern(self, pattern: str, place: str, *, either: bool = False) -> Language:
        """The strings that contain a match of a pattern, as both dialects of `pattern_language` see it.

        Args:
            pattern: the regular expression.
            place: where it stands.
            either: as one of the dialects sees it: what is not in there matches in neither.

        Raises:
            InvalidSpec: it cannot be read.
            UnsupportedConstraint: it is not regular.
        """
        language = self._patterns.get((pattern, either))
        if language is None:
            try:
                language = pattern_language(self.languages, pattern, dialect="ecma", search=True, either=either)
            except InvalidSpec as error:
                raise InvalidSpec(f"pattern at {place}: {error}") from error
            except UnsupportedConstraint as error:
                raise UnsupportedConstraint("pattern", place, str(error)) from error
            self._patterns[pattern, either] = language
        return language

    def format(self, name: str, place: str) -> Language | None:
        """The strings of a format; None for one that is not known or does not restrict anything."""
        if not self._assert_formats:
            return None
        if name not in self._formats:
            self._formats[name] = format_language(self.languages, name)
            if self._formats[name] is None and (meant := _meant_format(name)) is not None:
                self.warn(f"format at {place or '/'}: {name!r} restricts nothing; {meant!r} would")
        return self._formats[name]


def _meant_format(name: str) -> str | None:
    """The format that an unknown one is another spelling of, such as `dateTime`."""
    letters = _letters(name)
    return next((known for known in FORMATS if _letters(known) == letters), None)


def _letters(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
