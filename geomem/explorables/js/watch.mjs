// Watch geometry form: Node2Vec trains in the page, on a graph that the reader picks or types, with decay on its table.

import { board, button, calm, checkbox, chooser, COLORS, decode, drawBar, drawCurves, drawGraph, element, folded, frame, legend, nearest,
  isLight, neighbours, path, RANKS, slider, status, turnedOver, walk } from "./kit.mjs";
import { cosine, cutoff, energies, Flow, normal, plane, spectrum } from "./node2vec.mjs";
import { armsOf, EXAMPLE, laidOut, OWN, typed } from "./own.mjs";

const LAST = 100_000, FRAMES = 500, SLOW = 4, GREY = COLORS.lookUp;
const FILM = { tangle: 2, steps: 3000, end: 3 }; // what plays by itself: seconds at the start, steps, seconds at the end
const PACE = { early: 50, growth: 0.4 }; // steps a second: 20 at first, then more and more, 3,000 steps in ten seconds
const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const reachOf = ({ places }) => Math.max(...places.flat().map(Math.abs));
const signed = (value) => value.toFixed(2).replace("-", "−");

export function mount(place, model) {
  const graphs = new Map(model.get("data").graphs.map((graph) => [graph.name, graph]));
  const box = frame(place, "Watch geometry form");
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  let graph, lists, arms, flow, known, limit, frames, shown, xy = [], hot = -1, held = null, scale; // the picture
  let running = false, film = false, wait = 0, owed = 0, since = 0, then = 0, round = 0; // the play

  // Controls
  const power = (value) => `${+(10 ** value).toPrecision(2)}`;
  const ten = (value) => +(10 ** value).toPrecision(3);
  const anew = (name) => (value) => { set(name, value); restart(); };
  const pick = chooser("graph", [...graphs.keys(), OWN], model.get("graph"), anew("graph"));
  const own = element("textarea", { "aria-label": "edges, one a line", spellcheck: "false", hidden: true });
  own.value = model.get("edges") || EXAMPLE;
  const use = element("button", { type: "button", hidden: true, click: () => anew("edges")(own.value) }, "Use these");
  const run = button("Run", () => (running ? pause() : go()));
  const one = button("Step", () => { pause(); forward(1); show(frames.length - 1); });
  const again = button("Reset", () => { pause(); restart(); });
  const decay = slider("decay", { min: 0, max: 2.4, step: 0.05, value: model.get("decay") ?? 0, format: (value) => value.toFixed(2),
    change: (value) => { set("decay", value); flow.decay = value; handed(); show(shown); } });
  const rate = slider("learning rate", { min: -3, max: 0, step: 0.05, value: Math.log10(model.get("lr")), format: power,
    change: (value) => { set("lr", ten(value)); flow.lr = ten(value); handed(); } });
  const spread = slider("start scale", { min: -3, max: 0.5, step: 0.05, value: Math.log10(model.get("init_std")), format: power,
    change: (value) => anew("init_std")(Math.min(ten(value), 3)) });
  const wide = slider("width", { min: 2, max: 64, step: 1, value: model.get("width"), change: anew("width") });
  const seed = slider("seed", { min: 0, max: Math.max(20, model.get("seed")), step: 1, value: model.get("seed"), change: anew("seed") });
  const speed = slider("speed", { min: -3, max: 3, step: 1, value: 0, format: (value) => `× ${2 ** value}`, change() {} });
  const self = checkbox("self edges", model.get("self_edges"), anew("self_edges"));
  const along = checkbox("look along one arm", false, () => show(shown));
  const time = slider("time", { min: 0, max: 0, step: 1, value: 0, wide: true,
    format: (k) => (frames?.[k] ? `step ${frames[k].step.toLocaleString("en")}` : "step 0"), change: (k) => { pause(); show(k); } });
  const row = (...items) => element("div", { class: "controls" }, ...items);
  box.append(row(pick.label, run), own, use);
  box.append(folded("More", model.get("more") ?? false, row(decay.label, rate.label, speed.label),
    row(spread.label, wide.label, seed.label), row(one, again, self.label, along.label)));

  // Boards: the time stands right below the picture, so that both are seen at once on a phone
  const [left, right] = [0, 1].map(() => element("div", { class: "column" })), key = element("div");
  box.append(element("div", { class: "boards" }, left, right));
  const map = board(left, { label: "The embedding", ratio: 0.95, draw: drawMap,
    point: (x, y) => touch(nearest(xy, x, y)), leave: () => touch(-1), grab, drag, drop: letGo,
    keys(name, event) {
      if (event.shiftKey && hot >= 0 && name in NUDGES) { nudge(NUDGES[name]); return true; }
      const node = walk(name, hot, flow.n);
      if (node !== null) touch(node);
      return node !== null;
    } });
  left.append(row(time.label));
  const say = status(left);
  const energy = board(right, { label: "Energy in the eigenspaces", ratio: 0.5,
    draw: (context, width, height, ink) => drawCurves(context, width, height, { ink, cursor: frames[shown].step,
      what: "share of the non-trivial energy", over: "steps", curves: energyCurves(ink) }) });
  right.append(key);
  const losses = board(right, { label: "Loss", ratio: 0.42,
    draw: (context, width, height, ink) => drawCurves(context, width, height, { ink, cursor: frames[shown].step,
      what: `loss${flow.decay ? " without the decay's penalty" : ""}, nats`, over: "steps", high: Math.ceil(Math.max(...frames.map((f) => f.loss))),
      curves: [{ x: steps(), y: frames.map((f) => f.loss), color: ink }] }) });

  const steps = () => frames.map((f) => f.step);
  const route = () => (hot < 0 ? [] : path(lists, hot, graph.root ?? 0));
  const sum = (values) => values.reduce((a, b) => a + b, 0);

  function drawMap(context, width, height, ink) {
    const view = seen(shown), least = Math.min(0.1, 0.3 * reachOf(seen(0))); // a table that dies out shrinks, it is not blown up
    const reach = held?.moved ? scale.reach : Math.max(reachOf(view), least, 1e-9);
    scale = { reach, zoom: (Math.min(width, height) / 2 - 16) / reach, width, height };
    xy = view.places.map(([x, y]) => [width / 2 + x * scale.zoom, height / 2 - y * scale.zoom]);
    drawGraph(context, xy, { ...graph, ink, hot: new Set(route()), ring: new Set(along.input.checked ? arms[0] : []) });
    drawBar(context, height, { ...scale, ink });
    if (!isEmpty(frames[shown])) return;
    [context.fillStyle, context.textAlign] = [ink, "center"];
    context.fillText("the table is empty", width / 2, height / 2 + 34);
  }

  /** The slowest eigenspaces and all others together, shares of the non-trivial energy; apart from them, the trivial share of all. */
  function energyCurves(ink) {
    const curve = (share, color, dash) => ({ x: steps(), y: frames.map(share), color, dash });
    const slow = known.spaces.slice(0, SLOW).map((_, k) => curve((f) => f.shares[k], isLight(ink) ? turnedOver(RANKS[k]) : RANKS[k]));
    const rest = known.spaces.length > SLOW ? [curve((f) => sum(f.shares.slice(SLOW)), ink, [6, 4])] : [];
    return [curve((f) => f.trivial, GREY, [2, 3]), ...slow, ...rest];
  }

  function explain() {
    const name = ({ value, vectors }) => `${signed(+value.toFixed(2) || 0)}${vectors.length > 1 ? ` (${vectors.length} dims)` : ""}`;
    const items = known.spaces.slice(0, SLOW).map((space, k) => ({ name: name(space), color: RANKS[k] }));
    const others = known.spaces.length - SLOW;
    if (others > 0) items.push({ name: `${others} others`, color: "currentColor", dash: true });
    items.push({ name: "trivial: its share of all energy", color: GREY, dash: true });
    key.replaceChildren("Eigenvalues:", legend(items));
  }

  /** Start anew from the values of the model; what was running goes on running. */
  function restart() {
    const name = model.get("graph");
    own.hidden = use.hidden = name !== OWN;
    pick.input.value = name;
    try {
      graph = name === OWN ? laidOut(typed(own.value)) : graphs.get(name);
      if (!graph) throw new Error("There is no such graph.");
    } catch (error) {
      pause();
      say(error.message);
      if (!flow) { graph = [...graphs.values()][0]; set("graph", graph.name); } else return;
    }
    const n = graph.labels.length, dim = model.get("width"), start = model.get("data").start;
    const given = start && start.graph === graph.name && start.seed === model.get("seed") && start.width === dim;
    const noise = given ? decode(start.noise, Float64Array) : normal(model.get("seed"), n * dim);
    const options = { dim, lr: model.get("lr"), decay: model.get("decay") ?? 0, selfEdges: model.get("self_edges") };
    flow = new Flow(n, graph.edges, { ...options, start: noise.map((value) => value * model.get("init_std")) });
    [known, limit] = [spectrum, cutoff].map((of) => of(n, graph.edges, options.selfEdges));
    lists = neighbours(n, graph.edges);
    arms = armsOf(graph, lists);
    along.label.hidden = !arms.length;
    along.input.checked &&= arms.length > 0;
    [frames, shown, hot, wait, owed, since] = [[], 0, -1, film ? FILM.tangle : 0, 0, 0];
    keep();
    explain();
    show(0);
  }

  /** Keep the state as a frame, with the picture of it if that is known; when there are too many, every second one goes. */
  function keep(views = {}) {
    const { n, gram } = flow, longest = Math.sqrt(Math.max(...Array.from({ length: n }, (_, i) => gram[i * n + i])));
    const ends = arms.map((way) => [way[0], way.at(-2)]);
    frames.push({ step: flow.steps, loss: flow.loss, V: flow.V.slice(), longest, cosine: cosine(ends, gram, n), views,
      ...energies(known, gram, n) });
    if (frames.length > FRAMES) frames = frames.filter((_, k) => k % 2 === 0 || k === frames.length - 1);
  }

  /** Places and axes of a frame in the plane that the reader chose; found when it is first looked at. */
  function seen(k) {
    const name = along.input.checked ? "arm" : "all", { V, views } = frames[k], { n, dim } = flow;
    return (views[name] ??= plane({ V, n, dim }, graph.places,
      { among: along.input.checked ? arms[0] : null, warm: frames[k - 1]?.views[name]?.axes }));
  }

  function forward(count) {
    flow.step(count);
    if (Number.isFinite(flow.loss)) keep();
    else { pause(); say("The learning rate is too high: the flow diverged. Lower it and reset."); }
    return Number.isFinite(flow.loss);
  }

  function tick(mine) {
    if (mine !== round) return;
    if (!running || !place.isConnected) return void pause();
    const now = performance.now(), seconds = Math.min(0.5, (now - then) / 1000), { top, bottom } = map.canvas.getBoundingClientRect();
    then = now;
    if (!film || (bottom > 0 && top < innerHeight)) play(seconds); // nobody sees a film that was scrolled away
    if (running) calm() ? setTimeout(tick, 500, mine) : requestAnimationFrame(() => tick(mine));
  }

  /** Early steps one by one, later ones in strides, so that both are seen; never more than 12 ms a picture. */
  function play(seconds) {
    wait -= seconds;
    if (wait > 0) return;
    if (film && flow.steps >= FILM.steps) return void restart();
    owed += PACE.growth * 2 ** speed.input.value * seconds * (since + PACE.early);
    const end = performance.now() + 12, before = flow.steps;
    for (; owed >= 1 && Number.isFinite(flow.loss) && performance.now() < end; owed--, since++) flow.step();
    owed = Math.min(owed, 1); // what a slow machine cannot do is not made up for
    if (flow.steps === before) return;
    if (!forward(0)) return;
    show(frames.length - 1);
    if (film && flow.steps >= FILM.steps) wait = FILM.end;
    if (flow.steps >= LAST) pause();
  }

  function go(asFilm = false) {
    if (!Number.isFinite(flow.loss)) restart();
    [running, film, wait, then] = [true, asFilm, asFilm ? FILM.tangle : 0, performance.now()];
    run.textContent = "Pause";
    tick(++round);
  }

  function pause() {
    const stopped = running;
    [running, film] = [false, false];
    run.textContent = "Run";
    if (!stopped) return;
    set("step", flow.steps);
    set("loss", Number.isFinite(flow.loss) ? flow.loss : null);
    show(shown);
  }

  /** The reader has changed something: no film any more, and first slow steps, so that one sees what it does. */
  function handed() { [film, wait, owed, since] = [false, 0, 0, 0]; }

  // A node in the reader's hand
  function grab(x, y) {
    const node = nearest(xy, x, y);
    if (node < 0) return false;
    held = { node, from: [x, y], moved: false, ran: running };
    touch(node);
    return true;
  }

  function drag(x, y) {
    if (!held.moved && Math.hypot(x - held.from[0], y - held.from[1]) < 4) return;
    if (!held.moved) { pause(); rewind(); held.moved = true; }
    const { width, height, zoom } = scale, inside = (value, size) => Math.min(Math.max(value, 16), size - 16);
    moveTo(held.node, [(inside(x, width) - width / 2) / zoom, (height / 2 - inside(y, height)) / zoom]);
  }

  function letGo() {
    const { moved, ran } = held;
    held = null;
    if (moved && (ran || !calm())) go();
    handed();
  }

  function nudge([x, y]) {
    rewind();
    const [px, py] = seen(shown).places[hot], size = scale.reach / 20;
    moveTo(hot, [px + x * size, py + y * size]);
    handed();
  }

  /** Take up the flow at the frame that is shown, as a new frame that may be changed. */
  function rewind() {
    const view = seen(shown);
    flow.rewind(frames[shown].step, frames[shown].V);
    frames.length = shown + 1;
    keep({ [along.input.checked ? "arm" : "all"]: view });
    shown = frames.length - 1;
  }

  /** Move a node of the last frame: its row of the table moves along the two axes of the picture. */
  function moveTo(node, [x, y]) {
    const { places, axes } = seen(frames.length - 1), moved = places.slice();
    flow.move(node, [x - places[node][0], y - places[node][1]], axes);
    moved[node] = [x, y];
    frames.pop();
    keep({ [along.input.checked ? "arm" : "all"]: { places: moved, axes } });
    show(frames.length - 1);
  }

  function touch(node) { if (node !== hot) { hot = node; show(shown); } }

  const isEmpty = ({ longest }) => flow.decay >= limit && longest < 0.01;

  /** What a frame shows, in words. */
  function told(f) {
    const share = Number.isFinite(f.shares[0]) ? `${(100 * f.shares[0]).toFixed(0)} % of the non-trivial energy in the slowest eigenspace`
      : "no energy outside the trivial direction";
    const parts = [`Step ${f.step.toLocaleString("en")}: loss ${f.loss.toFixed(3)}; ${isEmpty(f) ? "the table is empty" : share}.`];
    if (Number.isFinite(f.cosine) && !isEmpty(f)) parts.push(`Leaf and first hop: cosine ${signed(f.cosine)}.`);
    if (flow.decay >= limit) parts.push(`A decay of ${flow.decay.toFixed(2)} is above ${limit.toFixed(2)}, the strongest pull that this graph has: every row shrinks to zero.`);
    return parts.join(" ");
  }

  function show(k) {
    shown = Math.min(k, frames.length - 1);
    time.set(shown, frames.length - 1);
    const f = frames[shown], text = told(f), percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "none");
    const chosen = hot < 0 ? "" : ` Node ${graph.labels[hot]}: ${route().map((v) => graph.labels[v]).join(" – ")}.`;
    say(text + chosen, !running);
    map.describe(`Embedding of ${flow.n} nodes of the graph ${graph.name}. ${text} Arrow keys step through the nodes, with Shift they move one.`);
    energy.describe(`Energy in the eigenspaces over ${frames.length} frames. Now ${f.shares.slice(0, SLOW).map(percent).join(", ")
      } of the non-trivial energy in the slowest ones; ${percent(f.trivial)} of all energy is trivial.`);
    losses.describe(`Loss over ${frames.length} frames. Now ${f.loss.toFixed(3)} nats.`);
    [map, energy, losses].forEach((part) => part.redraw());
  }

  const follow = { graph: restart, edges: () => { own.value = model.get("edges"); restart(); },
    lr: () => { rate.set(Math.log10(model.get("lr"))); flow.lr = model.get("lr"); },
    decay: () => { decay.set(model.get("decay")); flow.decay = model.get("decay"); show(shown); },
    init_std: () => { spread.set(Math.log10(model.get("init_std"))); restart(); }, width: () => { wide.set(model.get("width")); restart(); },
    seed: () => { seed.set(model.get("seed"), Math.max(20, model.get("seed"))); restart(); },
    self_edges: () => { self.input.checked = model.get("self_edges"); restart(); } };
  for (const [name, act] of Object.entries(follow)) model.on(`change:${name}`, act);
  restart();
  if (model.get("running") && !calm()) go(true);
  const ahead = (count) => { if (forward(count)) show(frames.length - 1); };
  place.explorable = { flow: () => flow, frames: () => frames, forward: ahead, seen, xy: () => xy };
  return () => { pause(); [map, energy, losses].forEach((part) => part.stop()); };
}
