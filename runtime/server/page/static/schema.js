// Schema: a JSON schema goes in, an object comes out while it is written.

import { stream } from "/page/api.js";
import { byId, cost, job, note, told } from "/page/parts.js";
import { pretty } from "/page/partial.js";

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the schema is no JSON: ${error.message}`);
  }
}

export function startSchema() {
  const form = byId("schema-form");
  const result = byId("object");
  const message = byId("schema-note");
  const run = job(form.querySelector(".main"), byId("schema-stop"));

  async function generate(signal) {
    const schema = parsed(byId("schema-text").value);
    const begun = performance.now();
    const body = {
      messages: [{ role: "user", content: byId("schema-prompt").value }],
      response_format: { type: "json_schema", json_schema: { name: "object", schema } },
      temperature: 0,
      stream_options: { include_usage: true },
    };
    let text = "";
    let usage = null;
    let reason = null;
    for await (const event of stream("/v1/chat/completions", body, signal)) {
      const choice = event.choices[0];
      text += choice?.delta?.content ?? "";
      reason = choice?.finish_reason ?? reason;
      usage = event.usage ?? usage;
      result.textContent = pretty(text);
    }
    if (reason === "length") note(message, "The context ended before the object did.", true);
    else note(message, `Complete, and valid by the schema. ${cost(usage, (performance.now() - begun) / 1000)}`);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(async (signal) => {
      result.textContent = "";
      note(message, "writing …");
      try {
        await generate(signal);
      } catch (error) {
        note(message, told(error), error.name !== "AbortError");
      }
    });
  });
}
