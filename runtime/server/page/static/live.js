// Live: what the engine does now, asked for again and again while somebody looks.

import { get } from "/page/api.js";
import { byId, element, told } from "/page/parts.js";
import { drawTree } from "/page/tree.js";

const EVERY = 1000;
const AFTER_FAILURE = 5000;
const MOST_RATES = 120;
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

// Which programs hold sessions, those with the most tokens first.
function drawHolders(cache) {
  const held = new Map();
  for (const { program, num_tokens } of cache.holders) {
    const name = program || "no program";
    const before = held.get(name) ?? { sessions: 0, tokens: 0 };
    held.set(name, { sessions: before.sessions + 1, tokens: before.tokens + num_tokens });
  }
  const first = [...held].sort(([, one], [, other]) => other.tokens - one.tokens).slice(0, 4);
  const lines = first.map(([name, { sessions, tokens }]) => `${name}: ${sessions} (${count(tokens)} tokens)`);
  byId("holders").textContent = `Sessions: ${count(cache.num_sessions)}${lines.length ? ` · ${lines.join(" · ")}` : ""}`;
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

  points() {
    const top = Math.max(1, ...this.rates);
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
  byId("limited-by").textContent = stats.limited_by ?? "nothing";
  drawHitRate(stats);
  drawMemory(stats.ledger, stats.evictable_tokens);
}

export function startLive() {
  const rates = new Rates();
  const follow = byId("follow");
  let timer = null;
  let isAsking = false;

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
      byId("state").classList.remove("bad");
    } catch (error) {
      wait = AFTER_FAILURE;
      byId("state").textContent = error.status === 401 ? "a key is needed" : told(error);
      byId("state").classList.add("bad");
      if (error.status === 401) return;
      if (error.status === 403) return hide();
    } finally {
      isAsking = false;
    }
    timer = setTimeout(look, wait);
  }

  // Who may not look at what concerns everybody still has the playground.
  function hide() {
    byId("state").textContent = "the view of the engine needs an admin's key";
    byId("live").hidden = true;
  }

  follow.addEventListener("change", look);
  document.addEventListener("visibilitychange", look);
  return {
    begin() {
      byId("live").hidden = false;
      look();
    },
  };
}
