// Tree: the prefix tree, as lists within lists.

import { byId, element } from "/page/parts.js";

const closedNodes = new Set();
let drawn = "";

function facts(node) {
  const found = element("span", "facts", ` ${node.num_tokens} tokens`);
  if (node.hits) found.append(` · ${node.hits} ${node.hits === 1 ? "hit" : "hits"}`);
  if (node.pinned) found.append(" · ", element("span", "held", "pinned"));
  else if (node.locks) found.append(" · ", element("span", "held", "in use"));
  if (node.namespace) found.append(` · ${node.namespace}`);
  return found;
}

function line(node) {
  // Line breaks are shown, so that a node stays a line.
  const text = node.text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  return [element("span", "run", text), facts(node)];
}

function branch(nodes, children, path) {
  const list = element("ul");
  for (const node of nodes) {
    const item = element("li");
    const below = children.get(node.id) ?? [];
    if (below.length === 0) {
      const leaf = element("div", "leaf");
      leaf.append(...line(node));
      item.append(leaf);
    } else {
      const name = `${path}/${node.namespace}/${node.text}`;
      const details = element("details");
      details.open = !closedNodes.has(name);
      details.addEventListener("toggle", () => (details.open ? closedNodes.delete(name) : closedNodes.add(name)));
      const summary = element("summary");
      summary.append(...line(node));
      details.append(summary, branch(below, children, name));
      item.append(details);
    }
    list.append(item);
  }
  return list;
}

export function drawTree(cache) {
  byId("tree-size").textContent = `${cache.num_nodes} nodes, the last used shown first`;
  // Redrawn only where something has changed, so that whoever reads or walks through it is not thrown out.
  const now = JSON.stringify(cache.nodes.map((node) => [node.id, node.parent, node.text, node.locks, node.hits]));
  if (now === drawn) return;
  drawn = now;
  const known = new Set(cache.nodes.map((node) => node.id));
  const children = new Map();
  for (const node of cache.nodes) {
    const above = known.has(node.parent) ? node.parent : null;
    children.set(above, [...(children.get(above) ?? []), node]);
  }
  const roots = children.get(null) ?? [];
  byId("tree").replaceChildren(roots.length ? branch(roots, children, "") : element("p", "", "Nothing is cached."));
}
