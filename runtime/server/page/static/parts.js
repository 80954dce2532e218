// Small parts of the page. Texts are only ever set as text: what a model writes is never read as HTML.

export function byId(id) {
  return document.getElementById(id);
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}

export function note(target, text, isBad = false) {
  target.textContent = text;
  target.classList.toggle("bad", isBad);
}

export function told(error) {
  if (error.name === "AbortError") return "stopped";
  if (error instanceof TypeError) return "the server cannot be reached";
  return error.message;
}

// Tokens and their speed, from the usage at the end of a stream.
export function cost(usage, seconds) {
  if (!usage) return "";
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const rate = seconds > 0 ? ` · ${(usage.completion_tokens / seconds).toFixed(1)} tokens/s` : "";
  return `${usage.prompt_tokens} prompt tokens (${cached} cached) · ${usage.completion_tokens} generated${rate}`;
}

// One piece of work at a time, which can be stopped. The work is given a signal.
export function job(start, stop) {
  let running = null;
  stop.addEventListener("click", () => running?.abort());
  return async (work) => {
    if (running) return;
    running = new AbortController();
    start.disabled = true;
    stop.disabled = false;
    try {
      await work(running.signal);
    } finally {
      running = null;
      start.disabled = false;
      stop.disabled = true;
    }
  };
}
