"use strict";
// Everything shown is set as text, never as markup: the record's texts are not ours.
const data = JSON.parse(document.getElementById("record").textContent);
const $ = (id) => document.getElementById(id);
const ROW = 24, AXIS = 26, LABEL = 190, PAD = 14, FIRST_PARTS = 300;
const ORIGIN = { c: "cached", p: "prompt", g: "generated", f: "forced" };

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
/** What would act on the page's layout instead of being seen is replaced by a sign for it. */
function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => "⟨" + c.charCodeAt(0).toString(16) + "⟩");
}
function time(ms) {
  if (ms >= 60000) return (ms / 60000).toFixed(1) + " min";
  return ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : ms >= 10 ? ms.toFixed(0) + " ms" : ms.toFixed(2) + " ms";
}
const count = (number) => number.toLocaleString("en");
const plural = (number, noun) => count(number) + " " + noun + (number === 1 ? "" : "s");
const short = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);
const isWaited = (one) => ["gen", "select", "tokens", "awaited", "call"].includes(one.k);
const end = (one) => (one.e === undefined ? one.b : one.e);
const named = (one) => one.k + (one.n !== undefined ? " " + one.n : "");
const generated = (one) => (one.samples || []).reduce((sum, sample) => sum + sample.g, 0);
const forced = (one) => (one.samples || []).reduce((sum, sample) => sum + sample.f, 0);

// lanes: one for each stream, in the order of the forks; runs have a heading where there are several

const runs = new Map(data.runs.map((run) => [run.number, run]));
const collapsed = new Set();
const allLanes = [];
function addRun(run, depth) {
  const streams = new Map(run.streams.map((stream) => [stream.index, stream]));
  const children = new Map();
  for (const stream of run.streams) {
    if (stream.index === 0) continue;
    const parent = streams.has(stream.parent) ? stream.parent : 0;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(stream);
  }
  run.lanes = new Map();
  const stack = streams.has(0) ? [[streams.get(0), depth, null]] : [];
  while (stack.length) {
    const [stream, level, parent] = stack.pop();
    const below = children.get(stream.index) || [];
    const lane = { run, stream, level, parent, below: below.length, key: run.number + "." + stream.index };
    run.lanes.set(stream.index, lane);
    allLanes.push(lane);
    for (let i = below.length - 1; i >= 0; i--) stack.push([below[i], level + 1, lane]);
  }
  for (const inner of data.runs) if (inner.outer === run.number) addRun(inner, depth + 1);
}
for (const run of data.runs) if (run.outer === null || !runs.has(run.outer)) addRun(run, 0);
let lanes = [];
function layOut() {
  lanes = [];
  const hidden = new Set();
  for (const lane of allLanes) {
    if (lane.parent && (hidden.has(lane.parent) || collapsed.has(lane.parent.key))) hidden.add(lane);
    else lane.y = lanes.push(lane) - 1;
    if (hidden.has(lane)) lane.y = -1;
  }
}
layOut();

// head

const first = data.runs[0];
const summary = data.summary;
function fillHead() {
  const names = [...new Set(data.runs.map((run) => run.program))];
  const worst = data.runs.find((run) => run.status !== "completed") || first;
  const outermost = data.runs.filter((run) => run.outer === null);
  const args = first ? first.arguments.map(([name, value]) => name + "=" + short(value, 60)).join(", ") : "";
  $("title").textContent = !first ? "An empty record" : visible(outermost.length === 1 ? `${first.program}(${args})` : short(names.join(", "), 120));
  if (first) {
    $("status").textContent = data.runs.length > 1 && worst.status !== "completed" ? `${summary.failed_runs} failed, ${summary.unfinished_runs} unfinished` : worst.status;
    $("status").className = "status" + (worst.status === "unfinished" ? " open" : worst.status === "completed" ? "" : " bad");
    const where = first.file ? first.file.split("/").pop() + ":" + first.line : "";
    const when = data.startedAt ? new Date(data.startedAt).toLocaleString() : "";
    $("subtitle").textContent = visible([first.model || first.backend, where, when].filter(Boolean).join("  ·  "));
  }
  document.title = $("title").textContent + " – sgdsl trace";
  const share = summary.prompt_tokens ? Math.floor((100 * summary.cached_tokens) / summary.prompt_tokens) : 0;
  const figures = [
    [time(summary.seconds * 1000), "duration"], [count(summary.runs), summary.runs === 1 ? "run" : "runs"],
    [count(summary.streams), summary.streams === 1 ? "stream" : "streams"], [count(summary.gens), "gens"],
    [count(summary.selects), "selects"], [count(summary.prompt_tokens), "prompt tokens"], [share + " %", "of them cached"],
    [count(summary.generated_tokens), "generated tokens"], [count(+summary.tokens_per_second.toFixed(summary.tokens_per_second < 10 ? 1 : 0)), "tokens / s"],
  ];
  for (const [value, label] of figures) {
    const figure = make("div", "figure");
    figure.append(make("b", "", value), make("span", "", label));
    $("figures").append(figure);
  }
  const parts = {
    cached: summary.cached_tokens, prompt: summary.prompt_tokens - summary.cached_tokens,
    generated: summary.generated_tokens - summary.forced_tokens, forced: summary.forced_tokens,
  };
  for (const [name, tokens] of Object.entries(parts)) {
    $("n-" + name).textContent = count(tokens);
    if (!tokens) continue;
    const part = make("i", name);
    part.style.flex = tokens + " 1 0";
    $("budget").append(part);
  }
  $("budget").setAttribute("aria-label", Object.entries(parts).map(([name, tokens]) => `${tokens} ${name}`).join(", "));
  $("lanes-note").textContent = plural(allLanes.length, "stream") + " · " + plural(summary.instructions, "instruction");
}

// timeline

const origin = Math.min(...data.runs.map((run) => run.begun), Infinity);
const total = Math.max(...data.runs.map((run) => run.over), 0);
const start = Number.isFinite(origin) ? origin : 0;
const whole = Math.max(total - start, 0.001) * 1.01;
const view = { from: 0, length: whole };
let colours = {}, hovered = null, chosen = null, selected = allLanes[0] || null, width = 0, height = 0;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "dim", "line", "panel", "hover", "cached", "prompt", "generated", "forced", "select", "bad"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}
const x = (ms) => LABEL + ((ms - start - view.from) / view.length) * (width - LABEL - PAD);
const at = (px) => view.from + ((px - LABEL) / (width - LABEL - PAD)) * view.length;

function resize() {
  const canvas = $("canvas"), scale = window.devicePixelRatio || 1;
  $("spacer").style.height = lanes.length * ROW + AXIS + 8 + "px";
  width = $("scroll").clientWidth;
  height = Math.min(lanes.length * ROW + AXIS + 8, Math.max(140, Math.round(window.innerHeight * 0.44)));
  $("scroll").style.height = height + "px";
  canvas.style.height = height + "px";
  canvas.width = width * scale;
  canvas.height = height * scale;
  draw();
}
function axisStep() {
  const rough = view.length / Math.max(2, (width - LABEL) / 110), power = 10 ** Math.floor(Math.log10(rough));
  return power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
}
let pending = false;
function draw() {
  if (!pending) { pending = true; requestAnimationFrame(paint); }
}
function paint() {
  pending = false;
  const scale = window.devicePixelRatio || 1, pen = $("canvas").getContext("2d"), top = $("scroll").scrollTop;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px " + getComputedStyle(document.body).fontFamily;
  pen.textBaseline = "middle";
  const firstRow = Math.max(0, Math.floor(top / ROW) - 1), lastRow = Math.min(lanes.length, Math.ceil((top + height) / ROW) + 1);
  const y = (row) => AXIS + row * ROW - top + ROW / 2;
  paintRows(pen, firstRow, lastRow, y);
  pen.save();
  pen.beginPath();
  pen.rect(LABEL - 1, AXIS, width - LABEL + 1, height - AXIS);
  pen.clip();
  paintEdges(pen, firstRow, lastRow, y);
  for (let row = firstRow; row < lastRow; row++) paintBars(pen, lanes[row], y(row));
  pen.restore();
  paintAxis(pen);
}
function paintRows(pen, firstRow, lastRow, y) {
  for (let row = firstRow; row < lastRow; row++) {
    const lane = lanes[row], middle = y(row);
    if (lane === selected) {
      pen.fillStyle = colours.hover;
      pen.fillRect(0, middle - ROW / 2, width, ROW);
    }
    const left = 14 + Math.min(lane.level, 6) * 12;
    if (lane.below) {
      pen.fillStyle = colours.dim;
      pen.fillText(collapsed.has(lane.key) ? "▸" : "▾", left - 9, middle);
    }
    const isMain = lane.stream.index === 0;
    pen.fillStyle = isMain ? colours.ink : colours.dim;
    const label = isMain ? (data.runs.length > 1 ? `${lane.run.program} #${lane.run.number}` : lane.run.program) : "stream " + lane.stream.index;
    const more = collapsed.has(lane.key) ? ` (+${lane.below})` : "";
    pen.fillText(short(visible(label), 20 - Math.min(lane.level, 6)) + more, left + 4, middle, LABEL - left - 8);
    if (isMain && lane.run.status !== "completed") {
      pen.fillStyle = lane.run.status === "unfinished" ? colours.forced : colours.bad;
      pen.beginPath();
      pen.arc(LABEL - 12, middle, 3.5, 0, 7);
      pen.fill();
    }
  }
}
/** Lines from forks to their streams, and dotted ones from streams to their join; what lies on one pixel is one line. */
function paintEdges(pen, firstRow, lastRow, y) {
  const forks = new Map(), joins = new Map();
  const span = (lines, px, from, to) => {
    const key = px + ":" + from, line = lines.get(key);
    if (line) line.to = Math.max(line.to, to); else lines.set(key, { px, from, to });
  };
  for (const lane of lanes) {
    if (lane.parent && lane.y >= firstRow && lane.parent.y <= lastRow) {
      span(forks, Math.round(x(lane.stream.begun)), lane.parent.y, Math.min(lane.y, lastRow + 1));
    }
    if (lane.y <= lastRow) for (const one of lane.stream.instructions) {
      if (one.k !== "join") continue;
      for (const index of one.to || []) {
        const child = lane.run.lanes.get(index);
        if (child && child.y >= firstRow) span(joins, Math.round(x(Math.max(child.stream.over, one.b))), lane.y, Math.min(child.y, lastRow + 1));
      }
    }
  }
  pen.lineWidth = 1;
  pen.strokeStyle = colours.dim;
  pen.globalAlpha = 0.55;
  for (const { px, from, to } of forks.values()) {
    pen.beginPath();
    pen.moveTo(px + 0.5, y(from));
    pen.lineTo(px + 0.5, y(to) - 5);
    pen.quadraticCurveTo(px + 0.5, y(to), px + 5, y(to));
    pen.stroke();
  }
  pen.globalAlpha = joins.size > 24 ? 0.18 : 0.55;
  pen.setLineDash([2, 3]);
  for (const { px, from, to } of joins.values()) {
    pen.beginPath();
    pen.moveTo(px + 0.5, y(from) + 4);
    pen.lineTo(px + 0.5, y(to));
    pen.stroke();
  }
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}
function paintBars(pen, lane, middle) {
  const from = Math.max(LABEL, x(lane.stream.begun)), to = Math.min(width, x(lane.stream.index === 0 ? lane.run.over : lane.stream.over));
  pen.fillStyle = colours.line;
  pen.fillRect(from, middle - 1, Math.max(0, to - from), 2);
  let filled = -1;
  for (const one of lane.stream.instructions) {
    const left = x(one.b), right = Math.max(x(end(one)), left + 2);
    if (right < LABEL || left > width) continue;
    if (right <= filled && one !== hovered && one !== chosen) continue; // nothing would be seen of it
    filled = Math.max(filled, Math.floor(right));
    paintBar(pen, one, left, right, middle);
  }
}
function paintBar(pen, one, left, right, middle) {
  if (!isWaited(one)) {
    pen.globalAlpha = one === hovered || one === chosen ? 1 : 0.4;
    pen.fillStyle = colours.dim;
    pen.fillRect(left, middle - 4, 1.5, 8);
    pen.globalAlpha = 1;
    return;
  }
  const tall = 13, high = middle - tall / 2, begin = one.f === undefined ? (one.k === "gen" ? right : left) : Math.max(left, x(one.f));
  const main = one.err ? colours.bad : one.k === "gen" ? colours.generated : colours.select;
  pen.save();
  pen.beginPath();
  pen.roundRect(left, high, right - left, tall, Math.min(3, (right - left) / 2));
  pen.clip();
  pen.fillStyle = one.err ? colours.bad : one.k === "gen" ? colours.prompt : main;
  pen.fillRect(left, high, right - left, tall);
  pen.fillStyle = main;
  pen.fillRect(begin, high, right - begin, tall);
  const share = generated(one) ? forced(one) / generated(one) : 0;
  if (share && !one.err) {
    pen.fillStyle = colours.forced;
    pen.fillRect(begin, high + tall - 3, (right - begin) * share, 3);
  }
  if (right - left > 34) {
    pen.fillStyle = "#fff";
    pen.font = "11px " + getComputedStyle(document.body).fontFamily;
    const room = Math.floor((right - Math.max(left, LABEL) - 8) / 6.2);
    if (room > 2) pen.fillText(short(visible(one.n || one.k), room), Math.max(left, LABEL) + 5, middle + 0.5);
  }
  pen.restore();
  if (one === hovered || one === chosen) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1.5;
    pen.strokeRect(left - 1, high - 1, right - left + 2, tall + 2);
  }
}
function paintAxis(pen) {
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, width, AXIS);
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  const step = axisStep();
  for (let ms = Math.ceil(view.from / step) * step; ms <= view.from + view.length; ms += step) {
    const px = Math.round(x(ms + start)) + 0.5;
    pen.globalAlpha = 0.7;
    pen.beginPath();
    pen.moveTo(px, AXIS - 5);
    pen.lineTo(px, AXIS);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillStyle = colours.dim;
    const inSeconds = step >= 10 && view.from + view.length > 1000;
    const label = inSeconds ? (ms / 1000).toFixed(step >= 1000 ? 0 : step >= 100 ? 1 : 2) + " s" : +ms.toFixed(3) + " ms";
    if (px > LABEL - 2 && px < width - 44) pen.fillText(label, px + 4, AXIS / 2);
  }
  pen.beginPath();
  pen.moveTo(0, AXIS + 0.5);
  pen.lineTo(width, AXIS + 0.5);
  pen.moveTo(LABEL - 4.5, AXIS);
  pen.lineTo(LABEL - 4.5, height);
  pen.stroke();
}
function zoom(factor, pivot) {
  const length = Math.min(whole, Math.max(0.01, view.length * factor));
  const place = pivot === undefined ? view.from + view.length / 2 : pivot;
  view.from = place - ((place - view.from) / view.length) * length;
  view.length = length;
  pan(0);
}
function pan(ms) {
  view.from = Math.max(0, Math.min(whole - view.length, view.from + ms));
  draw();
}
function hit(event) {
  const box = $("canvas").getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  const lane = py < AXIS ? undefined : lanes[Math.floor((py - AXIS + $("scroll").scrollTop) / ROW)];
  if (!lane) return { px };
  let best = null;
  for (const one of lane.stream.instructions) {
    const left = x(one.b), right = Math.max(x(end(one)), left + 2);
    if (px >= left - 2 && px <= right + 2 && (!best || isWaited(one))) best = one;
  }
  return { lane, one: px >= LABEL ? best : null, px };
}
function tip(event, rows, title, words) {
  const box = $("tip");
  box.replaceChildren(make("b", "", title));
  if (words) box.append(make("div", "words", visible(short(words, 240))));
  for (const [label, value] of rows) {
    const row = make("div", "row");
    row.append(make("span", "", label), make("span", "", value));
    box.append(row);
  }
  box.hidden = false;
  box.style.left = Math.min(event.clientX + 14, window.innerWidth - box.offsetWidth - 8) + "px";
  box.style.top = (event.clientY + 18 + box.offsetHeight > window.innerHeight ? event.clientY - box.offsetHeight - 10 : event.clientY + 18) + "px";
}
function timings(one) {
  const rows = [];
  const queue = one.samples && one.samples[0] ? one.samples[0].q : 0;
  if (queue) rows.push(["queue", time(queue)]);
  if (one.f !== undefined) rows.push(["first token", time(Math.max(0, one.f - one.b))]);
  if (isWaited(one) && one.e !== undefined) rows.push(["total", time(one.e - one.b)]);
  return rows;
}
function counts(one) {
  if (!one.u || !isWaited(one)) return [];
  const rows = [["prompt", count(one.u[0])], ["of it cached", count(one.u[1])]];
  if (generated(one)) rows.push(["generated", count(generated(one))], ["of it forced", count(forced(one))]);
  return rows;
}

// text

function chooseStream(lane, one) {
  selected = lane;
  $("stream").value = lane.key;
  fillText(lane);
  if (one) chooseInstruction(one); else { chosen = null; showRun(lane.run); }
  draw();
}
function chooseInstruction(one) {
  chosen = one;
  for (const part of document.querySelectorAll(".part.on")) part.classList.remove("on");
  while (parts.next < parts.list.length && !parts.of.has(one)) addParts();
  const part = parts.of.get(one);
  if (part) { part.classList.add("on"); part.scrollIntoView({ block: "nearest" }); }
  showInstruction(one);
  draw();
}
const parts = { list: [], next: 0, of: new Map(), block: null, prompts: new Map(), gone: new Set() };
/** Which constants the prompt tokens of the next gen spell, and what a rollback has taken back. */
function study(instructions) {
  let before = [];
  const marks = new Map();
  instructions.forEach((one, place) => {
    if (one.k === "checkpoint") marks.set(one.cp, place);
    if (one.k === "rollback" && marks.has(one.cp)) for (let i = marks.get(one.cp) + 1; i < place; i++) parts.gone.add(instructions[i]);
    if (!isWaited(one)) { if (one.t) before.push(one); return; }
    if (one.p && before.length) deal(before, one.p);
    before = [];
  });
}
function deal(constants, [places, origins, logprobs]) {
  const tokens = places.map((place, i) => ({ token: data.tokens[place], origin: origins[i], logprob: logprobs && logprobs[i] }));
  const whole = constants.map((one) => one.t).join("");
  if (tokens.length && !whole.startsWith(tokens[0].token[1])) tokens.shift(); // what begins every sequence
  const said = tokens.map((one) => one.token[1]).join("");
  if (!whole.startsWith(said)) return;
  if (said.length < whole.length) tokens.push({ token: [null, whole.slice(said.length)], origin: "p" }); // spelled anew behind it
  let rest = tokens.shift();
  let text = rest ? rest.token[1] : "";
  for (const one of constants) {
    const mine = [];
    let left = one.t.length;
    while (left > 0 && rest) {
      const piece = text.slice(0, left);
      mine.push({ ...rest, piece });
      left -= piece.length;
      text = text.slice(piece.length);
      if (!text) { rest = tokens.shift(); text = rest ? rest.token[1] : ""; }
    }
    parts.prompts.set(one, mine);
  }
}
function fillText(lane) {
  const box = $("text");
  box.replaceChildren();
  Object.assign(parts, { list: lane.stream.instructions, next: 0, of: new Map(), block: null, prompts: new Map(), gone: new Set() });
  study(parts.list);
  if (lane.parent) {
    const body = addBlock("", "mark");
    const link = make("button", "link", lane.parent.stream.index === 0 ? "the program's own stream" : "stream " + lane.parent.stream.index);
    const fork = lane.parent.stream.instructions.find((one) => one.i === lane.stream.at);
    link.onclick = () => chooseStream(lane.parent, fork);
    body.append("begins with everything that ", link, " held at its fork");
  }
  addParts();
  box.onscroll = () => { if (box.scrollTop + box.clientHeight > box.scrollHeight - 400) addParts(); };
  box.scrollTop = 0;
  $("text-note").textContent = plural(parts.list.length, "instruction");
}
function addBlock(who, kind) {
  const block = make("div", "block" + (kind ? " " + kind : "")), body = make("div", "body");
  block.append(make("div", "who", visible(who)), body);
  $("text").append(block);
  parts.block = kind ? null : body;
  return body;
}
function addParts() {
  const stop = Math.min(parts.list.length, parts.next + FIRST_PARTS);
  for (; parts.next < stop; parts.next++) addPart(parts.list[parts.next]);
}
const MARKS = {
  fork: (one) => "fork → " + (one.to.length > 6 ? `streams ${one.to[0]} … ${one.to[one.to.length - 1]}` : "stream " + one.to.join(", ")),
  join: (one) => "join ← " + (one.to && one.to.length > 6 ? one.to.length + " streams" : "stream " + (one.to || []).join(", ")) + (one.names ? ": " + one.names.join(", ") : ""),
  checkpoint: (one) => "checkpoint " + one.cp, rollback: (one) => "rollback to checkpoint " + one.cp,
  concat: (one) => "concat ← stream " + (one.to || []).join(", "), image: () => "image",
};
function addPart(one) {
  if (MARKS[one.k]) {
    const part = make("span", "part", visible(MARKS[one.k](one)));
    attach(part, one);
    addBlock("", "mark").append(part);
    return;
  }
  if (one.k === "scope_begin" || one.k === "scope_end" || one.k === "tokens") return;
  const isGone = parts.gone.has(one);
  if (one.k === "role_begin") {
    addBlock(one.n || "");
    markGone(isGone);
  } else if (!parts.block || (parts.block.dataset.gone === "1") !== isGone) {
    addBlock(isGone ? "undone" : "");
    markGone(isGone);
  }
  const part = make("span", "part");
  fillPart(part, one);
  attach(part, one);
  parts.block.append(part);
  if (one.k === "role_end") parts.block = null;
}
function markGone(isGone) {
  parts.block.dataset.gone = isGone ? "1" : "0";
  parts.block.parentNode.classList.toggle("gone", isGone);
}
function fillPart(part, one) {
  if (one.err) part.append(make("span", "error", `[${named(one)}: ${visible(one.err)}]`));
  else if (!isWaited(one)) appendTokens(part, parts.prompts.get(one) || [{ piece: one.t || "", origin: "p" }]);
  else if (one.samples && one.samples.length) one.samples.forEach((sample, i) => {
    if (i) part.append(make("span", "dim", " ⁄ "));
    appendTokens(part, spelled(sample.p, i ? undefined : one.x));
  });
  else if (one.p2) appendTokens(part, spelled(one.p2, one.x));
  else if (one.e === undefined) part.append(make("span", "dim", "[" + named(one) + ": not finished]"));
}
function spelled([places, origins, logprobs], text) {
  const tokens = places.map((place, i) => ({ token: data.tokens[place], piece: data.tokens[place][1], origin: origins[i], logprob: logprobs && logprobs[i] }));
  if (text === undefined || tokens.map((one) => one.piece).join("") === text) return tokens;
  return [{ piece: text, origin: origins[0] || "g" }];
}
function appendTokens(part, tokens) {
  for (const one of tokens) {
    const span = make("span", "t " + one.origin, visible(one.piece));
    if (typeof one.logprob === "number") {
      const doubt = Math.round(100 * (1 - Math.exp(one.logprob)));
      if (doubt > 4) span.style.boxShadow = `inset 0 -2px color-mix(in srgb, var(--bad) ${doubt}%, transparent)`;
    }
    span.token = one;
    part.append(span);
  }
}
function attach(part, one) {
  part.onclick = () => chooseInstruction(one);
  part.onmousemove = (event) => {
    const token = event.target.token, rows = [];
    if (token && token.token && token.token[0] !== null) rows.push(["token", String(token.token[0])]);
    if (token) rows.push(["origin", ORIGIN[token.origin]]);
    if (token && typeof token.logprob === "number") rows.push(["probability", (100 * Math.exp(token.logprob)).toFixed(1) + " %"]);
    tip(event, [...rows, ...counts(one), ...timings(one)], visible(named(one)), "");
  };
  part.onmouseleave = () => { $("tip").hidden = true; };
  parts.of.set(one, part);
}

// details

function list(rows) {
  const dl = make("dl");
  for (const [label, value, code] of rows) {
    if (value === undefined || value === null || value === "") continue;
    dl.append(make("dt", "", visible(label)), make("dd", code ? "code" : "", visible(value)));
  }
  return dl;
}
function showRun(run) {
  const box = $("detail");
  $("detail-title").textContent = visible(run.program + (data.runs.length > 1 ? " #" + run.number : ""));
  box.replaceChildren();
  if (run.failure) box.append(make("p", "error", visible(run.failure)));
  box.append(list([["status", run.status], ["duration", time(run.over - run.begun)], ["model", run.model], ["backend", run.backend],
    ["file", run.file ? run.file + ":" + run.line : ""], ["called by", run.outer === null ? "" : "run " + run.outer]]));
  for (const [title, rows] of [["Arguments", run.arguments], ["Variables", run.variables], ["Returned", run.value && run.value !== "None" ? [["value", run.value]] : []]]) {
    if (rows.length) box.append(make("h3", "", title), list(rows.map(([name, value]) => [name, value, true])));
  }
}
function showInstruction(one) {
  const box = $("detail");
  $("detail-title").textContent = visible(named(one));
  box.replaceChildren();
  if (one.err) box.append(make("p", "error", visible(one.err)));
  const reasons = (one.samples || []).map((sample) => sample.why + (sample.stop !== null ? " at " + JSON.stringify(sample.stop) : "")).join(", ");
  box.append(list([["line", one.s], ...timings(one), ...counts(one), ["ended by", reasons], ["constraint", one.con], ["sampling", one.sp, true],
    ["recorded", "+" + time(one.r - start)]]));
  if (one.choices) showChoices(box, one);
  if (one.samples && one.samples.length > 1) one.samples.forEach((sample, i) => {
    box.append(make("h3", "", "Sample " + (i + 1)), make("pre", "", visible(spelled(sample.p).map((token) => token.piece).join(""))));
  });
  else if (one.x || one.t) box.append(make("h3", "", "Text"), make("pre", "", visible(one.x || one.t)));
}
function showChoices(box, one) {
  box.append(make("h3", "", "Choices"));
  const scores = (one.scores || []).map(Number), best = Math.max(...scores), sum = scores.reduce((all, score) => all + Math.exp(score - best), 0);
  one.choices.forEach((choice, i) => {
    const row = make("div", "choice" + (i === one.index || (one.index === undefined && choice === one.x) ? " won" : ""));
    row.append(make("span", "", visible(choice)), make("span", "", scores.length ? scores[i].toFixed(3) : ""));
    if (scores.length) {
      const meter = make("div", "meter"), level = make("i");
      level.style.width = (100 * Math.exp(scores[i] - best)) / sum + "%";
      meter.append(level);
      row.append(meter);
    }
    box.append(row);
  });
}

// what the reader does

function listen() {
  let drag = null;
  const canvas = $("canvas");
  canvas.addEventListener("mousedown", (event) => { drag = { x: event.clientX, from: view.from, moved: false }; });
  window.addEventListener("mouseup", () => { if (drag && !drag.moved) drag = null; else setTimeout(() => { drag = null; }); });
  canvas.addEventListener("mousemove", (event) => {
    if (drag && Math.abs(event.clientX - drag.x) > 3) {
      drag.moved = true;
      view.from = drag.from - ((event.clientX - drag.x) / (width - LABEL - PAD)) * view.length;
      $("tip").hidden = true;
      return pan(0);
    }
    const { lane, one } = hit(event);
    if (one !== hovered) { hovered = one || null; draw(); }
    canvas.style.cursor = lane ? "pointer" : "default";
    if (one) tip(event, [...counts(one), ...timings(one)], visible(named(one)), one.err || one.x || one.t || "");
    else $("tip").hidden = true;
  });
  canvas.addEventListener("mouseleave", () => { hovered = null; $("tip").hidden = true; draw(); });
  canvas.addEventListener("click", (event) => {
    if (drag && drag.moved) return;
    const { lane, one, px } = hit(event);
    if (!lane) return;
    if (px < LABEL && lane.below && px < 22 + Math.min(lane.level, 6) * 12) {
      if (!collapsed.delete(lane.key)) collapsed.add(lane.key);
      layOut();
      return resize();
    }
    chooseStream(lane, one);
  });
  canvas.addEventListener("dblclick", () => zoom(1e9));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 300), at(event.clientX - canvas.getBoundingClientRect().left));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(((event.deltaX || event.deltaY) / width) * view.length);
    }
  }, { passive: false });
  $("scroll").addEventListener("scroll", draw);
  $("scroll").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "+") zoom(0.6); else if (event.key === "-") zoom(1.6);
    else if (event.key === "ArrowLeft") pan(-view.length / 10); else if (event.key === "ArrowRight") pan(view.length / 10);
    else if (step && selected) {
      const next = lanes[selected.y + step];
      if (next) {
        chooseStream(next);
        const row = next.y * ROW, box = $("scroll");
        if (row < box.scrollTop) box.scrollTop = row; else if (row + ROW + AXIS > box.scrollTop + height) box.scrollTop = row + ROW + AXIS - height + 8;
      }
    } else return;
    event.preventDefault();
  });
  $("zoom-in").onclick = () => zoom(0.5);
  $("zoom-out").onclick = () => zoom(2);
  $("zoom-fit").onclick = () => zoom(1e9);
  $("detail-run").onclick = () => { if (selected) { chosen = null; showRun(selected.run); draw(); } };
  $("stream").onchange = () => { const lane = allLanes.find((one) => one.key === $("stream").value); if (lane) chooseStream(lane); };
  window.addEventListener("resize", resize);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
}
function begin() {
  fillHead();
  readColours();
  for (const lane of allLanes) {
    const option = make("option", "", visible((data.runs.length > 1 ? `${lane.run.program} #${lane.run.number} · ` : "") + (lane.stream.index === 0 ? "program" : "stream " + lane.stream.index)));
    option.value = lane.key;
    $("stream").append(option);
  }
  $("unlikely").hidden = !data.runs.some((run) => run.streams.some((stream) => stream.instructions.some((one) => (one.samples || []).some((sample) => sample.p[2]))));
  listen();
  resize();
  if (selected) chooseStream(selected);
}
begin();
