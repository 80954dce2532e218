// Live: what the engine does now, asked for again and again while somebody looks.

import { get } from "/page/api.js";
import { byId, element, note, told } from "/page/parts.js";
import { drawTree } from "/page/tree.js";

const EVERY = 1000;
const AFTER_FAILURE = 5000;
const MOST_RATES = 120;
const MOST_HOLDERS = 6;
const OWNERS = {
  evictable: "tree, evictable",
  protected: "tree, in use",
  request: "requests",
  session: "sessions",
  in_transfer: "in transfer",
  free: "free",
};

const count = (number) => number.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;

function drawMemory(ledger, evictable) {
  const inTree = Math.min(evictable, ledger.tree);
  const tokens = { ...ledger, evictable: inTree, protected: ledger.tree - inTree };
  const bars = [];
  const legend = [];
  for (const [owner, label] of Object.entries(OWNERS)) {
    const part = element("span", `of-${owner}`);
    part.style.flexBasis = `${(100 * tokens[owner]) / ledger.total}%`;
    bars.push(part);
    const line = element("li");
    line.append(element("i", `of-${owner}`), element("span", "", label), element("b", "", count(tokens[owner])));
    legend.push(line);
  }
  byId("kv").replaceChildren(...bars);
  byId("kv-legend").replaceChildren(...legend);
  const used = ledger.total - ledger.free;
  byId("kv-share").textContent = `${count(used)} of ${count(ledger.total)} tokens, ${percent(used / ledger.total)}`;
}

// Whose sequences there are, those with the most tokens first; a request is a sequence too.
function drawHolders(cache) {
  const held = new Map();
  for (const { program, num_tokens, is_busy } of cache.holders) {
    const before = held.get(program) ?? { sequences: 0, busy: 0, tokens: 0 };
    const busy = before.busy + (is_busy ? 1 : 0);
    held.set(program, { sequences: before.sequences + 1, busy, tokens: before.tokens + num_tokens });
  }
  const first = [...held].sort(([, one], [, other]) => other.tokens - one.tokens).slice(0, MOST_HOLDERS);
  const rows = first.map(([program, { sequences, busy, tokens }]) => {
    const row = element("tr");
    const head = element("th", "", program || "requests");
    head.scope = "row";
    row.append(head, ...[sequences, busy, tokens].map((number) => element("td", "", count(number))));
    return row;
  });
  byId("holders").replaceChildren(...rows);
  byId("holders-table").hidden = rows.length === 0;
  const more = held.size - first.length;
  const others = more > 0 ? `, ${count(more)} programs more` : "";
  byId("holders-size").textContent = rows.length ? `${count(cache.num_sessions)}${others}` : "none";
}

// Tokens per second, from how far the counter has come between two answers.
class Rates {
  constructor() {
    this.last = null;
    this.rates = [];
  }

  add(tokens, seconds) {
    const before = this.last;
    this.last = { tokens, seconds };
    if (!before || seconds <= before.seconds || tokens < before.tokens) return 0;
    const rate = (tokens - before.tokens) / (seconds - before.seconds);
    this.rates = [...this.rates, rate].slice(-MOST_RATES);
    return rate;
  }

  top() {
    return Math.max(1, ...this.rates);
  }

  points() {
    const top = this.top();
    const first = MOST_RATES - this.rates.length;
    return this.rates.map((rate, place) => `${first + place},${(27 - (25 * rate) / top).toFixed(1)}`).join(" ");
  }
}

function drawHitRate(stats) {
  const target = byId("hit-rate");
  target.textContent = percent(stats.cache_hit_rate);
  const best = stats.cache_hit_rate_optimal;
  target.append(element("small", "", best === null ? "best: not measured" : `best: ${percent(best)}`));
}

function draw(info, rates) {
  const { stats } = info;
  byId("running").textContent = count(stats.running);
  byId("waiting").textContent = count(stats.waiting);
  const rate = rates.add(stats.generated_tokens + stats.forced_tokens, info.uptime_seconds);
  byId("rate").textContent = rate < 10 ? rate.toFixed(1) : count(Math.round(rate));
  byId("spark").firstElementChild.setAttribute("points", rates.points());
  byId("spark-top").textContent = `Tokens per second in the last two minutes, up to ${count(Math.ceil(rates.top()))}`;
  byId("limited-by").textContent = stats.limited_by ?? "nothing";
  drawHitRate(stats);
  drawMemory(stats.ledger, stats.evictable_tokens);
}

export function startLive() {
  const rates = new Rates();
  const follow = byId("follow");
  let timer = null;
  let isAsking = false;
  let standing = "";

  async function look() {
    clearTimeout(timer);
    if (isAsking || document.hidden || !follow.checked) return;
    isAsking = true;
    let wait = EVERY;
    try {
      const [info, cache] = await Promise.all([get("/server_info"), get("/cache?limit=80&characters=60")]);
      draw(info, rates);
      drawHolders(cache);
      drawTree(cache);
      note(byId("state"), standing);
      byId("live").classList.remove("stale");
    } catch (error) {
      wait = AFTER_FAILURE;
      note(byId("state"), error.status === 401 ? "a key is needed" : told(error), true);
      byId("live").classList.add("stale");
      if (error.status === 401) return;
      if (error.status === 403) return hide();
    } finally {
      isAsking = false;
    }
    timer = setTimeout(look, wait);
  }

  // Who may not look at what concerns everybody still has the playground.
  function hide() {
    note(byId("state"), "the view of the engine needs an admin's key");
    byId("live").hidden = true;
  }

  follow.addEventListener("change", look);
  document.addEventListener("visibilitychange", look);
  return {
    // What the page says while all is well.
    begin(said) {
      standing = said;
      byId("live").hidden = false;
      look();
    },
  };
}
