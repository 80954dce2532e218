// Program: a graph runs on the server; its text grows here, and its variables come with it.

import { stream } from "/page/api.js";
import { byId, element, job, note, told } from "/page/parts.js";

function parsed(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${name}: this is no JSON: ${error.message}`);
  }
}

function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cell(value) {
  const found = element("td");
  if (Array.isArray(value)) {
    const list = element("ol");
    list.append(...value.map((one) => element("li", "", written(one))));
    found.append(list);
  } else found.textContent = written(value);
  return found;
}

function show(variables) {
  const rows = Object.entries(variables).map(([name, value]) => {
    const row = element("tr");
    const head = element("th", "", name);
    head.scope = "row";
    row.append(head, cell(value));
    return row;
  });
  byId("variables").replaceChildren(...rows);
}

// Offers the names of the arguments that a graph takes.
function offerArguments() {
  const target = byId("arguments");
  let graph;
  try {
    graph = JSON.parse(byId("graph").value);
  } catch {
    return;
  }
  if (!Array.isArray(graph?.parameters) || target.value.trim() !== "{}") return;
  const needed = graph.parameters.filter((one) => one.is_required).map((one) => [one.name, ""]);
  target.value = JSON.stringify(Object.fromEntries(needed), null, 2);
}

export function startProgram() {
  const form = byId("program-form");
  const text = byId("program-text");
  const message = byId("program-note");
  const run = job(form.querySelector(".main"), byId("program-stop"));

  byId("graph").addEventListener("change", offerArguments);
  byId("graph-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    byId("graph").value = await file.text();
    byId("arguments").value = "{}";
    offerArguments();
  });

  async function execute(signal) {
    const graph = parsed(byId("graph").value, "graph");
    const given = parsed(byId("arguments").value || "{}", "arguments");
    const variables = {};
    for await (const event of stream("/programs", { graph, arguments: given }, signal)) {
      if (event.event === "end") {
        text.textContent = event.text;
        show(event.variables);
        const { usage } = event;
        const tokens = `${usage.prompt_tokens} prompt tokens (${usage.cached_tokens} cached)`;
        note(message, `${event.name}: ${tokens} · ${usage.generated_tokens} generated · ${usage.seconds.toFixed(2)} s`);
      } else if (event.event === "generated_end" && event.name) {
        variables[event.name] = event.value;
        show(variables);
      } else if (event.text && event.event !== "rolled_back") {
        text.append(event.text);
      }
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(async (signal) => {
      text.textContent = "";
      show({});
      note(message, "running …");
      try {
        await execute(signal);
      } catch (error) {
        note(message, told(error), error.name !== "AbortError");
      }
    });
  });
}
