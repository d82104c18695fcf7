// Watch geometry form: Node2Vec trains in the page, on a graph that the reader picks or types.

import { board, button, calm, checkbox, chooser, decode, drawCurves, drawGraph, element, frame, hue, nearest, neighbours, path,
  SERIES, slider, status, walk } from "./kit.mjs";
import { eigenspaces, energies, Flow, normal, plane } from "./node2vec.mjs";

const OWN = "your own edges", MOST = 60, LAST = 100_000, FRAMES = 500, CURVES = 5;
const EXAMPLE = "Ada, Ben\nBen, Cyd\nCyd, Dan\nDan, Eve\nEve, Ada\nEve, Fay\nFay, Gus";

/** Read edges, one a line, two names apart by a comma or a space; throws an error that says what is wrong. */
export function typed(text) {
  const labels = [], edges = new Map();
  const node = (name) => { if (!labels.includes(name)) labels.push(name); return labels.indexOf(name); };
  text.split("\n").forEach((line, number) => {
    if (!line.trim() || line.trim().startsWith("#")) return;
    const names = line.split(line.includes(",") ? "," : /\s+/).map((name) => name.trim()).filter(Boolean);
    if (names.length !== 2) throw new Error(`Line ${number + 1} must hold two names, got ${names.length}.`);
    const [a, b] = names.map(node);
    if (a === b) throw new Error(`Line ${number + 1} joins a node to itself; tick “self edges” instead.`);
    edges.set(`${Math.min(a, b)} ${Math.max(a, b)}`, [a, b]);
  });
  if (labels.length < 3) throw new Error(`An own graph must have at least 3 nodes, got ${labels.length}.`);
  if (labels.length > MOST) throw new Error(`An own graph may have ${MOST} nodes here, got ${labels.length}.`);
  return { name: OWN, labels, edges: [...edges.values()], root: 0 };
}

/** Lay an own graph out by its slow eigenvectors, and colour each node by its angle there. */
function laidOut(graph) {
  const n = graph.labels.length, slow = eigenspaces(n, graph.edges, false).flatMap((space) => space.vectors).slice(1, 3);
  const places = Array.from({ length: n }, (_, i) => [slow[0][i], slow[1][i]]);
  return { ...graph, places, colors: places.map(([x, y]) => hue(Math.atan2(y, x) / (2 * Math.PI) + 0.15)) };
}

export function mount(place, model) {
  const graphs = new Map(model.get("data").graphs.map((graph) => [graph.name, graph]));
  const box = frame(place, "Watch geometry form");
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  let graph, lists, flow, spaces, frames, shown, xy = [], hot = -1, running = false, warm;

  // Controls
  const power = (value) => `${+(10 ** value).toPrecision(2)}`;
  const ten = (value) => +(10 ** value).toPrecision(3);
  const pick = chooser("graph", [...graphs.keys(), OWN], model.get("graph"), (name) => { set("graph", name); restart(); });
  const own = element("textarea", { "aria-label": "edges, one a line", spellcheck: "false", hidden: true });
  own.value = model.get("edges") || EXAMPLE;
  const use = element("button", { type: "button", hidden: true, click: () => { set("edges", own.value); restart(); } }, "Use these");
  const run = button("Run", () => (running ? pause() : go()));
  const one = button("Step", () => { pause(); forward(1); show(frames.length - 1); });
  const again = button("Reset", () => restart());
  const rate = slider("learning rate", { min: -3, max: 0, step: 0.05, value: Math.log10(model.get("lr")), format: power,
    change: (value) => { set("lr", ten(value)); flow.lr = ten(value); } });
  const scale = slider("start scale", { min: -3, max: 0.5, step: 0.05, value: Math.log10(model.get("init_std")), format: power,
    change: (value) => { set("init_std", ten(value)); restart(); } });
  const wide = slider("dimension", { min: 2, max: 64, step: 1, value: model.get("dim"),
    change: (value) => { set("dim", value); restart(); } });
  const seed = slider("seed", { min: 0, max: 20, step: 1, value: model.get("seed"),
    change: (value) => { set("seed", value); restart(); } });
  const self = checkbox("self edges", model.get("self_edges"), (value) => { set("self_edges", value); restart(); });
  const time = slider("time", { min: 0, max: 0, step: 1, value: 0, wide: true,
    format: (k) => (frames?.[k] ? `step ${frames[k].step.toLocaleString("en")}` : "step 0"), change: (k) => { pause(); show(k); } });
  const row = (...items) => element("div", { class: "controls" }, ...items);
  box.append(row(pick.label, run, one, again, self.label), own, use);
  box.append(row(rate.label, scale.label, wide.label, seed.label));

  // Boards
  const column = element("div", { class: "column" }), boards = element("div", { class: "boards" });
  box.append(boards, row(time.label));
  const say = status(box);
  const map = board(boards, { label: "The embedding", ratio: 0.95,
    draw(context, width, height, ink) {
      const all = frames[shown].places, reach = Math.max(1e-9, ...all.flat().map(Math.abs));
      const zoom = (Math.min(width, height) / 2 - 16) / reach;
      xy = all.map(([x, y]) => [width / 2 + x * zoom, height / 2 - y * zoom]);
      drawGraph(context, xy, { ...graph, ink, hot: new Set(route()) });
    },
    point: (x, y) => touch(nearest(xy, x, y)), leave: () => touch(-1),
    keys: (key) => { const node = walk(key, hot, graph.labels.length); if (node !== null) touch(node); return node !== null; } });
  const energy = board(column, { label: "Energy in the eigenspaces", ratio: 0.5,
    draw: (context, width, height, ink) => drawCurves(context, width, height, { ink, cursor: frames[shown].step,
      what: "share of energy in an eigenspace", over: "steps", curves: energyCurves(ink) }) });
  const losses = board(column, { label: "Loss", ratio: 0.42,
    draw: (context, width, height, ink) => drawCurves(context, width, height, { ink, cursor: frames[shown].step,
      what: "loss, nats", over: "steps", high: Math.ceil(Math.max(...frames.map((f) => f.loss))),
      curves: [{ x: steps(), y: frames.map((f) => f.loss), color: SERIES[0] }] }) });
  boards.append(column);
  const key = element("div", {});
  box.insertBefore(key, boards.nextSibling);

  const steps = () => frames.map((f) => f.step);
  const route = () => (hot < 0 ? [] : path(lists, hot, graph.root ?? 0));

  /** The trivial eigenspace, the slowest ones, and all others together. */
  function energyCurves(ink) {
    const rest = spaces.slice(CURVES).length, sum = (e) => e.slice(CURVES).reduce((a, b) => a + b, 0);
    const curves = spaces.slice(0, CURVES).map((space, k) => ({ x: steps(), y: frames.map((f) => f.energy[k]),
      color: k ? SERIES[k - 1] : "#888888", dash: k ? [] : [2, 3] }));
    return rest ? [...curves, { x: steps(), y: frames.map((f) => sum(f.energy)), color: ink, dash: [6, 4] }] : curves;
  }

  function explain() {
    const name = ({ value, vectors }) => `${(+value.toFixed(2) || 0).toFixed(2)}${vectors.length > 1 ? ` (${vectors.length} dims)` : ""}`;
    const items = spaces.slice(0, CURVES).map((space, k) => [k ? SERIES[k - 1] : "#888888", `${k ? "" : "trivial "}${name(space)}`]);
    if (spaces.length > CURVES) items.push(["currentColor", `${spaces.length - CURVES} others`]);
    key.replaceChildren(row("eigenvalue", ...items.map(([color, text]) =>
      element("span", {}, element("span", { style: `color:${color}`, "aria-hidden": "true" }, "━ "), text))));
  }

  function restart() {
    pause();
    const name = model.get("graph");
    own.hidden = use.hidden = name !== OWN;
    pick.input.value = name;
    try {
      graph = name === OWN ? laidOut(typed(own.value)) : graphs.get(name);
      if (!graph) throw new Error("There is no such graph.");
    } catch (error) {
      say(error.message);
      if (!flow) { graph = [...graphs.values()][0]; set("graph", graph.name); } else return;
    }
    const n = graph.labels.length, dim = model.get("dim"), start = model.get("data").start;
    const given = start && start.graph === graph.name && start.seed === model.get("seed") && start.dim === dim;
    const noise = given ? decode(start.noise, Float64Array) : normal(model.get("seed"), n * dim);
    const options = { dim, lr: model.get("lr"), selfEdges: model.get("self_edges") };
    flow = new Flow(n, graph.edges, { ...options, start: noise.map((value) => value * model.get("init_std")) });
    [lists, spaces] = [neighbours(n, graph.edges), eigenspaces(n, graph.edges, options.selfEdges)];
    [frames, shown, warm, hot] = [[], 0, undefined, -1];
    keep();
    explain();
    show(0);
  }

  /** Keep the state as a frame; when there are too many, every second one goes. */
  function keep() {
    const seen = plane(flow.gram, flow.n, graph.places, warm);
    warm = seen.warm;
    frames.push({ step: flow.steps, loss: flow.loss, places: seen.places, energy: energies(spaces, flow.gram, flow.n) });
    if (frames.length > FRAMES) frames = frames.filter((_, k) => k % 2 === 0 || k === frames.length - 1);
  }

  function forward(count) {
    flow.step(count);
    if (Number.isFinite(flow.loss)) keep();
    else { pause(); say("The learning rate is too high: the flow diverged. Lower it and reset."); return false; }
    return true;
  }

  /** Early steps one by one, later ones in strides of two per cent, so that both are seen; never more than 12 ms a picture. */
  function tick() {
    if (!running || !place.isConnected) return void pause();
    const begin = performance.now(), stride = Math.max(1, Math.round(0.02 * flow.steps));
    let alive = true;
    for (let done = 0; alive && done < stride && performance.now() - begin < 12; done++) {
      flow.step();
      alive = Number.isFinite(flow.loss);
    }
    if (!alive) return void forward(0);
    keep();
    show(frames.length - 1);
    if (flow.steps >= LAST) return void pause();
    calm() ? setTimeout(tick, 500) : requestAnimationFrame(tick);
  }

  function go() {
    if (!Number.isFinite(flow.loss)) restart();
    running = true;
    run.textContent = "Pause";
    tick();
  }

  function pause() {
    if (running) { set("step", flow.steps); set("loss", flow.loss); }
    running = false;
    run.textContent = "Run";
  }

  function touch(node) { if (node !== hot) { hot = node; show(shown); } }

  function show(k) {
    shown = Math.min(k, frames.length - 1);
    time.set(shown, frames.length - 1);
    const { step, loss, energy: shares } = frames[shown];
    const chosen = hot < 0 ? "" : ` Node ${graph.labels[hot]}: ${route().map((v) => graph.labels[v]).join(" – ")}.`;
    const text = `Step ${step.toLocaleString("en")}: loss ${loss.toFixed(3)}; ${(100 * (shares[1] ?? 0)).toFixed(0)} % of the energy in the slowest eigenspace.`;
    say(text + chosen);
    map.describe(`Embedding of ${graph.labels.length} nodes of the graph ${graph.name}. ${text} Arrow keys step through the nodes.`);
    [map, energy, losses].forEach((part) => part.redraw());
  }

  const follow = { lr: () => { rate.set(Math.log10(model.get("lr"))); flow.lr = model.get("lr"); }, graph: restart,
    edges: () => { own.value = model.get("edges"); restart(); },
    init_std: () => { scale.set(Math.log10(model.get("init_std"))); restart(); }, dim: () => { wide.set(model.get("dim")); restart(); },
    seed: () => { seed.set(model.get("seed")); restart(); }, self_edges: () => { self.input.checked = model.get("self_edges"); restart(); } };
  for (const [name, act] of Object.entries(follow)) model.on(`change:${name}`, act);
  restart();
  if (model.get("running") && !calm()) go();
  place.explorable = { flow: () => flow, frames: () => frames, forward };
  return () => { pause(); [map, energy, losses].forEach((part) => part.stop()); };
}
