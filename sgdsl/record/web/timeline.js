// Timeline: a canvas that draws the lanes and times in sight.

const start = data.runs.reduce((least, run) => Math.min(least, run.begun), data.runs.length ? Infinity : 0);
const total = data.runs.reduce((most, run) => Math.max(most, run.over), 0);
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
