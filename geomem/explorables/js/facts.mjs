// Paste your own edges: Node2Vec trains on them in the page, and every fact is shown as far as the map holds it.

import { recalled, recallOf } from "./answers.mjs";
import { board, button, calm, COLORS, decode, drawGraph, element, frame, fit, nearest, neighbours, status, table, walk } from "./kit.mjs";
import { Flow, normal, plane } from "./node2vec.mjs";
import { laidOut, typed } from "./own.mjs";

const LATE = 3000, SHOWN = 8, RATE = 0.02, START = 0.1; // steps of one run, rows of the table, learning rate, start scale
const NONE = "#b0b0b0";

export function mount(place, model) {
  const { graph: first, width, start } = model.get("data"), box = frame(place, "Your own facts");
  let graph, lists, flow, found, chance, xy = [], hot = -1, running = false, round = 0, axes = null;

  // Controls
  const own = element("textarea", { "aria-label": "your edges, one a line: two names with a space or a comma between them", spellcheck: "false" });
  own.value = model.get("edges");
  const run = button("Train", () => (running ? pause() : go()));
  const use = button("Use these", () => { model.set("edges", own.value); model.save_changes(); read(own.value); });
  box.append(own, element("div", { class: "controls" }, use, run));

  // Boards
  const boards = element("div", { class: "boards" }), rest = element("div", { role: "region", "aria-label": "Facts that the map has least of" });
  box.append(boards);
  const say = status(box);
  box.append(rest);
  const touch = (v) => { if (v !== hot) { hot = v; show(); } };
  const keys = (key) => { const next = walk(key, hot, flow.n); if (next !== null) touch(next); return next !== null; };
  const facts = board(boards, { label: "The facts", ratio: 0.85, keys, point: (x, y) => touch(nearest(xy[0] ?? [], x, y)), draw(context, w, h, ink) {
    xy[0] = drawn(context, graph.places, w, h, ink, "the facts; green halves are on the map");
  } });
  const map = board(boards, { label: "The map", ratio: 0.85, keys, point: (x, y) => touch(nearest(xy[1] ?? [], x, y)), draw(context, w, h, ink) {
    const view = plane(flow, graph.places, { warm: axes });
    axes = view.axes;
    xy[1] = drawn(context, view.places, w, h, ink, `the map after ${flow.steps.toLocaleString("en")} steps`);
  } });

  /** Nodes, and every edge in two halves: the half at u says whether the map answers u with v. */
  function drawn(context, places, w, h, ink, title) {
    const spots = fit(places, w, h - 20, 22).map(([x, y]) => [x, y + 20]);
    context.lineWidth = 3;
    for (const [a, b] of graph.edges) {
      const middle = [(spots[a][0] + spots[b][0]) / 2, (spots[a][1] + spots[b][1]) / 2];
      for (const [u, v] of [[a, b], [b, a]]) {
        const share = held(u, v);
        for (const [color, alpha] of [[NONE, 1], [COLORS.map, share]]) {
          [context.strokeStyle, context.globalAlpha] = [color, alpha];
          context.beginPath();
          context.moveTo(...spots[u]);
          context.lineTo(...middle);
          context.stroke();
        }
      }
    }
    context.globalAlpha = 1;
    drawGraph(context, spots, { ...graph, edges: [], ink, hot: new Set(hot < 0 ? [] : [hot]), ring: new Set(hot < 0 ? [] : lists[hot]) });
    context.font = "12px system-ui, sans-serif";
    [context.fillStyle, context.textAlign, context.textBaseline] = [ink, "left", "middle"];
    context.fillText(title, 4, 8, w - 8);
    return spots;
  }

  /** How far a fact is on the map beyond chance, as in the chapter: 0 is chance, 1 is always. */
  function held(u, v) {
    const lucky = lists[u].length / (flow.n - 1);
    return lucky < 1 ? Math.min(Math.max((found[u * flow.n + v] - lucky) / (1 - lucky), 0), 1) : 1;
  }

  function read(text) {
    pause();
    try {
      begin(laidOut(typed(text)));
    } catch (error) {
      say(error.message);
      return;
    }
    if (!calm()) go();
  }

  function begin(next, noise = null) {
    [graph, hot, axes, xy] = [next, -1, null, []];
    const n = graph.labels.length;
    lists = neighbours(n, graph.edges);
    flow = new Flow(n, graph.edges, { dim: width, lr: RATE, start: (noise ?? normal(0, n * width)).map((value) => value * START) });
    chance = lists.reduce((sum, near) => sum + near.length, 0) / n / (n - 1);
    show();
  }

  function forward(count) {
    for (let k = 0; k < count && flow.steps < LATE; k++) flow.step();
    show();
  }

  function go() {
    if (flow.steps >= LATE) begin(graph);
    running = true;
    run.textContent = "Pause";
    if (calm()) { forward(LATE); pause(); } else tick(++round);
  }

  function tick(mine) {
    if (mine !== round || !running) return;
    const end = performance.now() + 12, goal = Math.min(LATE, Math.ceil(flow.steps * 1.02) + 1);
    while (flow.steps < goal && performance.now() < end) flow.step();
    show();
    if (flow.steps < LATE && place.isConnected) requestAnimationFrame(() => tick(mine));
    else pause();
  }

  function pause() {
    const stopped = running;
    running = false;
    run.textContent = "Train";
    if (stopped) show();
  }

  const name = (v) => `\u2068${graph.labels[v].slice(0, 40)}\u2069`; // isolated: a name written from right to left turns nothing else around

  function show() {
    const { n, gram } = flow;
    found = recalled(gram, lists, n);
    const recall = recallOf(found, lists, n), share = chance < 1 ? Math.min(Math.max((recall - chance) / (1 - chance), 0), 1) : 1;
    const all = lists.flatMap((near, u) => near.map((v) => [u, v, held(u, v)])), whole = all.filter(([, , s]) => s > 0.999).length;
    const text = `${flow.steps.toLocaleString("en")} steps: the map's share is ${share.toFixed(2)}, and ${whole} of ${all.length} facts are on the map in full.`;
    const chosen = hot < 0 ? "" : ` ${name(hot)} is asked for its ${lists[hot].length}: ${lists[hot].map((v) => `${name(v)} ${held(hot, v).toFixed(2)}`).slice(0, 12).join(", ")}.`;
    say(text + chosen, !running);
    const least = all.sort((a, b) => a[2] - b[2]).slice(0, SHOWN).filter(([, , s]) => s <= 0.999);
    rest.replaceChildren(least.length ? table(["asked about", "for its neighbour", "on the map"], least.map(([u, v, s]) => [name(u), name(v), s.toFixed(2)])) : "");
    facts.describe(`The facts of ${graph.name}. ${text} Arrow keys step through the nodes.`);
    map.describe(`The map of ${n} nodes. ${text}`);
    facts.redraw();
    map.redraw();
  }

  model.on("change:edges", () => { own.value = model.get("edges"); read(own.value); });
  begin(first, decode(start, Float64Array));
  place.explorable = { flow: () => flow, forward, held: (u, v) => held(u, v), lists: () => lists };
  return () => { pause(); facts.stop(); map.stop(); };
}
