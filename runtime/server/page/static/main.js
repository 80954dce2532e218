// The page: tabs, the key, and which parts there are.

import { get, onKeyNeeded, useKey } from "/page/api.js";
import { startChat } from "/page/chat.js";
import { startLive } from "/page/live.js";
import { startProgram } from "/page/program.js";
import { startSchema } from "/page/schema.js";
import { byId, note, told } from "/page/parts.js";

const tabs = [...document.querySelectorAll('[role="tab"]')];

function select(tab) {
  for (const one of tabs) {
    const isSelected = one === tab;
    one.setAttribute("aria-selected", String(isSelected));
    one.tabIndex = isSelected ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !isSelected;
  }
}

function move(event) {
  const shown = tabs.filter((tab) => !tab.hidden);
  const place = shown.indexOf(event.currentTarget);
  const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const tab = shown[(next + shown.length) % shown.length];
  select(tab);
  tab.focus();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", move);
}

const form = byId("key-form");

onKeyNeeded(() => {
  if (!form.hidden) return;
  form.hidden = false;
  byId("key").focus();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key").value = "";
  form.hidden = true;
  connect();
});

const live = startLive();
startChat();
startSchema();
startProgram();

async function connect() {
  const state = byId("state");
  try {
    const { data } = await get("/v1/models");
    byId("model").textContent = data[0].id;
    const standing = `context of ${data[0].max_model_len.toLocaleString("en")} tokens`;
    note(state, standing);
    const { paths } = await get("/openapi.json");
    byId("tab-program").hidden = !("/programs" in paths);
    live.begin(standing);
  } catch (error) {
    note(state, error.status === 401 ? "a key is needed" : told(error), true);
    if (error.status !== 401) setTimeout(connect, 5000);
  }
}

connect();
