// Head: what ran, and what it cost.

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
