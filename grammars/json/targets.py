"""What references stand for, with cycles that make no progress cut.

A reference met again before anything of the value was looked at, as in `{"anyOf": [{"$ref": "#"}, ...]}`, adds nothing
to what a finite derivation can show: it stands for no value.
"""

from __future__ import annotations

from grammars.json.node import FALSE, All, Any, Node, Nodes, Ref

__all__ = ["Targets"]


class Targets:
    """Looks references up. Following `of` through `All` and `Any` always comes to an end."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._targets: dict[Ref, Node] = {}
        self._clean: set[Ref] = set()

    def of(self, ref: Ref) -> Node:
        """The node a reference stands for, which is no reference."""
        found = self._targets.get(ref)
        if found is None:
            if ref in self._clean or self._mark_clean(ref):
                found = ref.resolve()
                while isinstance(found, Ref):
                    found = found.resolve()
            else:
                found = self._cut(ref.resolve(), frozenset((ref,)))
            self._targets[ref] = found
        return found

    def _mark_clean(self, ref: Ref) -> bool:
        """Whether no reference cycle is met from `ref` through All and Any; then none of those met has to be asked."""
        entered: dict[Ref, bool] = {ref: True}  # False once left
        stack: list[Node | None] = [None, ref.resolve()]
        path = [ref]
        while stack:
            node = stack.pop()
            if node is None:
                entered[path.pop()] = False
            elif isinstance(node, All | Any):
                stack.extend(item for item in node.items if isinstance(item, All | Any | Ref))
            elif isinstance(node, Ref) and node not in self._clean:
                if entered.get(node, False):
                    return False
                if node not in entered:
                    entered[node] = True
                    path.append(node)
                    stack += (None, node.resolve())
        self._clean.update(entered)
        return True

    def _cut(self, node: Node, trail: frozenset[Ref]) -> Node:
        """`node` without references to itself: those in `trail` are FALSE, others are replaced by what they mean."""
        if isinstance(node, Ref):
            if node in trail:
                return FALSE
            return node if node in self._clean else self._cut(node.resolve(), trail | {node})
        if isinstance(node, All | Any):
            return self._nodes.make(type(node), tuple(self._cut(item, trail) for item in node.items))
        return node
