// The server's endpoints. The key lives in this module's memory, and nowhere else.

let key = "";
let askForKey = () => {};

export function useKey(given) {
  key = given.trim();
}

export function onKeyNeeded(listener) {
  askForKey = listener;
}

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered with status ${status}`);
    this.status = status;
    this.param = error?.param ?? null;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  if (response.ok) return response;
  if (response.status === 401) askForKey();
  let body = null;
  try {
    body = await response.json();
  } catch {
    // What stands between here and the server may answer with something else than JSON.
  }
  throw new ApiError(response.status, body?.error);
}

export async function get(path) {
  return (await ask(path)).json();
}

function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

// The events of a streamed answer, as objects.
export async function* stream(path, body, signal) {
  const response = await post(path, { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the connection ended before the answer did");
      const blocks = (held + value).split("\n\n");
      held = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
        if (data.length === 0) continue;
        const text = data.join("\n");
        if (text === "[DONE]") return;
        const event = JSON.parse(text);
        if (event.error) throw new ApiError(response.status, event.error);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
