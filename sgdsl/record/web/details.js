// Details: of a run or of an instruction.

function list(rows) {
  const dl = make("dl");
  for (const [label, value, code] of rows) {
    if (value === undefined || value === null || value === "") continue;
    dl.append(make("dt", "", visible(label)), make("dd", code ? "code" : "", visible(value)));
  }
  return dl;
}
function showRun(run) {
  const box = $("detail");
  $("detail-title").textContent = visible(run.program + (data.runs.length > 1 ? " #" + run.number : ""));
  box.replaceChildren();
  if (run.failure) box.append(make("p", "error", visible(run.failure)));
  box.append(list([["status", run.status], ["duration", time(run.over - run.begun)], ["model", run.model], ["backend", run.backend],
    ["file", run.file ? run.file + ":" + run.line : ""], ["called by", run.outer === null ? "" : "run " + run.outer]]));
  for (const [title, rows] of [["Arguments", run.arguments], ["Variables", run.variables], ["Returned", run.value && run.value !== "None" ? [["value", run.value]] : []]]) {
    if (rows.length) box.append(make("h3", "", title), list(rows.map(([name, value]) => [name, value, true])));
  }
}
function showInstruction(one) {
  const box = $("detail");
  $("detail-title").textContent = visible(named(one));
  box.replaceChildren();
  if (one.err) box.append(make("p", "error", visible(one.err)));
  const reasons = (one.samples || []).map((sample) => sample.why + (sample.stop !== null ? " at " + JSON.stringify(sample.stop) : "")).join(", ");
  box.append(list([["line", one.s], ...timings(one), ...counts(one), ["ended by", reasons], ["constraint", one.con], ["sampling", one.sp, true],
    ["recorded", "+" + time(one.r - start)]]));
  if (one.choices) showChoices(box, one);
  if (one.samples && one.samples.length > 1) one.samples.forEach((sample, i) => {
    box.append(make("h3", "", "Sample " + (i + 1)), make("pre", "", visible(spelled(sample.p).map((token) => token.piece).join(""))));
  });
  else if (one.x || one.t) box.append(make("h3", "", "Text"), make("pre", "", visible(one.x || one.t)));
}
function showChoices(box, one) {
  box.append(make("h3", "", "Choices"));
  const scores = (one.scores || []).map(Number), best = Math.max(...scores), sum = scores.reduce((all, score) => all + Math.exp(score - best), 0);
  one.choices.forEach((choice, i) => {
    const row = make("div", "choice" + (i === one.index || (one.index === undefined && choice === one.x) ? " won" : ""));
    row.append(make("span", "", visible(choice)), make("span", "", scores.length ? scores[i].toFixed(3) : ""));
    if (scores.length) {
      const meter = make("div", "meter"), level = make("i");
      level.style.width = (100 * Math.exp(scores[i] - best)) / sum + "%";
      meter.append(level);
      row.append(meter);
    }
    box.append(row);
  });
}
