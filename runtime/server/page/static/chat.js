// Chat: a conversation with the model, as it is written.

import { stream } from "/page/api.js";
import { byId, cost, element, job, told } from "/page/parts.js";

const NUMBERS = ["temperature", "top_p", "top_k", "max_tokens", "seed"];

function settings() {
  const found = {};
  for (const name of NUMBERS) {
    const { value } = byId(name);
    if (value !== "") found[name] = Number(value);
  }
  if (byId("stop").value !== "") found.stop = [byId("stop").value];
  return found;
}

function shown(role, text = "") {
  const item = element("li", role);
  item.append(element("span", "who", role === "user" ? "You: " : "Model: "));
  const parts = { thought: element("span", "thought"), text: element("span", "text", text), cost: element("span", "cost") };
  item.append(parts.thought, parts.text, parts.cost);
  byId("messages").append(item);
  return parts;
}

function ending(reason) {
  return reason === "length" ? " · cut off: there was room for no more tokens" : "";
}

// Stays at the end of the conversation, unless somebody has scrolled back.
function follow() {
  const list = byId("messages");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  return () => {
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  };
}

export function startChat() {
  let messages = [];
  const form = byId("chat-form");
  const say = byId("say");
  const list = byId("messages");
  const run = job(form.querySelector(".main"), byId("chat-stop"));

  async function answer(conversation, signal) {
    const parts = shown("assistant");
    const begun = performance.now();
    const system = byId("system").value.trim();
    const before = system ? [{ role: "system", content: system }] : [];
    const body = { messages: [...before, ...conversation], stream_options: { include_usage: true }, ...settings() };
    let text = "";
    let reason = null;
    list.setAttribute("aria-busy", "true");
    try {
      for await (const event of stream("/v1/chat/completions", body, signal)) {
        const delta = event.choices[0]?.delta ?? {};
        reason = event.choices[0]?.finish_reason ?? reason;
        const settle = follow();
        text += delta.content ?? "";
        if (delta.content) parts.text.append(delta.content);
        if (delta.reasoning_content) parts.thought.append(delta.reasoning_content);
        if (event.usage) parts.cost.textContent = cost(event.usage, (performance.now() - begun) / 1000) + ending(reason);
        settle();
      }
    } catch (error) {
      parts.cost.textContent = told(error);
      parts.cost.classList.toggle("failed", error.name !== "AbortError");
    } finally {
      list.removeAttribute("aria-busy");
      list.scrollTop = list.scrollHeight;
    }
    return text;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const content = say.value.trim();
    if (!content) return;
    run(async (signal) => {
      const conversation = messages;
      say.value = "";
      shown("user", content);
      conversation.push({ role: "user", content });
      const text = await answer(conversation, signal);
      if (text) conversation.push({ role: "assistant", content: text });
      else conversation.pop();
    });
  });

  say.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  byId("chat-clear").addEventListener("click", () => {
    byId("chat-stop").click();
    messages = [];
    list.replaceChildren();
    say.focus();
  });
}
