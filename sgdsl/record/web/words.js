"use strict";
// Words: the data, and how things are said. What is shown is set as text, never as markup: the texts are not ours.

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
