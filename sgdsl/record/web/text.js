// Text: a stream's instructions as text, token by token, a few hundred at a time.

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
  if (part) {
    part.classList.add("on");
    const box = $("text").getBoundingClientRect(), place = part.getBoundingClientRect();
    if (place.bottom < box.top || place.top > box.bottom - 20) $("text").scrollTop += place.top - box.top - box.height / 3;
  }
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
