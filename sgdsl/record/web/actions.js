// Actions: what the reader does, and the beginning of it all.

function listen() {
  let drag = null;
  const canvas = $("canvas");
  canvas.addEventListener("mousedown", (event) => { drag = { x: event.clientX, from: view.from, moved: false }; });
  window.addEventListener("mouseup", () => { if (drag && !drag.moved) drag = null; else setTimeout(() => { drag = null; }); });
  canvas.addEventListener("mousemove", (event) => {
    if (drag && Math.abs(event.clientX - drag.x) > 3) {
      drag.moved = true;
      view.from = drag.from - ((event.clientX - drag.x) / (width - LABEL - PAD)) * view.length;
      $("tip").hidden = true;
      return pan(0);
    }
    const { lane, one } = hit(event);
    if (one !== hovered) { hovered = one || null; draw(); }
    canvas.style.cursor = lane ? "pointer" : "default";
    if (one) tip(event, [...counts(one), ...timings(one)], visible(named(one)), one.err || one.x || one.t || "");
    else $("tip").hidden = true;
  });
  canvas.addEventListener("mouseleave", () => { hovered = null; $("tip").hidden = true; draw(); });
  canvas.addEventListener("click", (event) => {
    if (drag && drag.moved) return;
    const { lane, one, px } = hit(event);
    if (!lane) return;
    if (px < LABEL && lane.below && px < 22 + Math.min(lane.level, 6) * 12) {
      if (!collapsed.delete(lane.key)) collapsed.add(lane.key);
      layOut();
      return resize();
    }
    chooseStream(lane, one);
  });
  canvas.addEventListener("dblclick", () => zoom(1e9));
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 300), at(event.clientX - canvas.getBoundingClientRect().left));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(((event.deltaX || event.deltaY) / width) * view.length);
    }
  }, { passive: false });
  $("scroll").addEventListener("scroll", draw);
  $("scroll").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "+") zoom(0.6); else if (event.key === "-") zoom(1.6);
    else if (event.key === "ArrowLeft") pan(-view.length / 10); else if (event.key === "ArrowRight") pan(view.length / 10);
    else if (step && selected) {
      const next = lanes[selected.y + step];
      if (next) {
        chooseStream(next);
        const row = next.y * ROW, box = $("scroll");
        if (row < box.scrollTop) box.scrollTop = row; else if (row + ROW + AXIS > box.scrollTop + height) box.scrollTop = row + ROW + AXIS - height + 8;
      }
    } else return;
    event.preventDefault();
  });
  $("zoom-in").onclick = () => zoom(0.5);
  $("zoom-out").onclick = () => zoom(2);
  $("zoom-fit").onclick = () => zoom(1e9);
  $("detail-run").onclick = () => { if (selected) { chosen = null; showRun(selected.run); draw(); } };
  $("stream").onchange = () => { const lane = allLanes.find((one) => one.key === $("stream").value); if (lane) chooseStream(lane); };
  window.addEventListener("resize", resize);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
}
function begin() {
  fillHead();
  readColours();
  for (const lane of allLanes) {
    const option = make("option", "", visible((data.runs.length > 1 ? `${lane.run.program} #${lane.run.number} · ` : "") + (lane.stream.index === 0 ? "program" : "stream " + lane.stream.index)));
    option.value = lane.key;
    $("stream").append(option);
  }
  $("unlikely").hidden = !data.runs.some((run) => run.streams.some((stream) => stream.instructions.some((one) => (one.samples || []).some((sample) => sample.p[2]))));
  listen();
  resize();
  if (selected) chooseStream(selected);
}
begin();
