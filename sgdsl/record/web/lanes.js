// Lanes: one for each stream, in the order of the forks; runs follow one another, those inside others below them.

const runs = new Map(data.runs.map((run) => [run.number, run]));
const collapsed = new Set();
const allLanes = [];
function addRun(run, depth) {
  const streams = new Map(run.streams.map((stream) => [stream.index, stream]));
  const children = new Map();
  for (const stream of run.streams) {
    if (stream.index === 0) continue;
    const parent = streams.has(stream.parent) ? stream.parent : 0;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(stream);
  }
  run.lanes = new Map();
  const stack = streams.has(0) ? [[streams.get(0), depth, null]] : [];
  while (stack.length) {
    const [stream, level, parent] = stack.pop();
    const below = children.get(stream.index) || [];
    const lane = { run, stream, level, parent, below: below.length, key: run.number + "." + stream.index };
    run.lanes.set(stream.index, lane);
    allLanes.push(lane);
    for (let i = below.length - 1; i >= 0; i--) stack.push([below[i], level + 1, lane]);
  }
  for (const inner of data.runs) if (inner.outer === run.number) addRun(inner, depth + 1);
}
for (const run of data.runs) if (run.outer === null || !runs.has(run.outer)) addRun(run, 0);
let lanes = [];
function layOut() {
  lanes = [];
  const hidden = new Set();
  for (const lane of allLanes) {
    if (lane.parent && (hidden.has(lane.parent) || collapsed.has(lane.parent.key))) hidden.add(lane);
    else lane.y = lanes.push(lane) - 1;
    if (hidden.has(lane)) lane.y = -1;
  }
}
layOut();
