// Replay a run: the snapshots of a training, frame by frame, in two or three components of the embedding.

import { board, button, calm, checkbox, chooser, COLORS, decode, drawBar, drawCurves, drawGraph, element, frame, legend, nearest,
  neighbours, path, slider, status, walk } from "./kit.mjs";

const CURVES = { contrast: COLORS.violet, order: COLORS.brown }, TURN = Math.PI / 12;

export function mount(place, model) {
  const { graph, runs } = model.get("data"), { labels, edges } = graph, n = labels.length, lists = neighbours(n, edges);
  const box = frame(place, "Replay a run");
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  let run, points, near, cosine, k, hot, target, view, xy = [], turn = [0, 0], held = null, timer = 0, spinning = 0, then;

  // Controls
  const row = (...items) => element("div", { class: "controls" }, ...items);
  const pick = chooser("run", runs.map(({ name }) => name), model.get("run"), (name) => { set("run", name); load(); });
  const look = chooser("view", ["2D", "3D"], model.get("view"), (name) => { set("view", name); seen(); });
  const node = chooser("node", ["none", ...labels], "", () => touch(node.input.selectedIndex - 1));
  const goal = chooser("path to", labels, "", () => { set("target", goal.input.selectedIndex); seen(); });
  const play = button("Play", () => (timer ? pause() : start()));
  const one = button("Step", () => { pause(); go(Math.min(k + 1, last())); });
  const again = button("Reset", () => { pause(); turn = [0, 0]; go(0); });
  const time = slider("time", { min: 0, max: 0, step: 1, value: 0, wide: true,
    format: (at) => `step ${(run?.steps[at] ?? 0).toLocaleString("en")}`, change: (at) => { pause(); go(at); } });
  const rotate = checkbox("rotate", false, spin);
  const arrows = [["←", "turn left", -1, 0], ["→", "turn right", 1, 0], ["↑", "tilt up", 0, -1], ["↓", "tilt down", 0, 1]];
  const about = row(rotate.label, ...arrows.map(([sign, name, x, y]) =>
    element("button", { type: "button", "aria-label": name, title: name, click: () => by(x * TURN, y * TURN) }, sign)));
  box.append(row(pick.label, look.label, play, one, again), row(node.label, goal.label), about);

  // Boards
  const boards = element("div", { class: "boards" }), column = element("div", { class: "column" }), key = element("div");
  box.append(boards, row(time.label));
  const say = status(box);
  const map = board(boards, { label: "The embedding", ratio: 0.95,
    draw(context, width, height, ink) {
      const { places, reach } = projected(), zoom = (Math.min(width, height) / 2 - 20) / reach;
      xy = places.map(([x, y]) => [width / 2 + x * zoom, height / 2 - y * zoom]);
      const depth = view === "3D" ? places.map((p) => p[2]) : null;
      drawGraph(context, xy, { ...graph, ink, depth, hot: new Set(route()), ring: new Set(close().map(([v]) => v)) });
      drawBar(context, height, { reach, zoom, ink });
    },
    point(x, y, event) {
      if (view === "3D" && event.buttons & 1) {
        if (event.type === "pointermove" && held) by((x - held[0]) / 100, (y - held[1]) / 100);
        held = [x, y];
        return;
      }
      held = null;
      const found = nearest(xy, x, y);
      if (found >= 0) touch(found);
    },
    keys(name, event) {
      const arrow = { ArrowLeft: 0, ArrowRight: 1, ArrowUp: 2, ArrowDown: 3 }[name];
      if (event.shiftKey && arrow !== undefined) {
        if (view === "3D") by(arrows[arrow][2] * TURN, arrows[arrow][3] * TURN);
        return true;
      }
      const next = walk(name, hot, n);
      if (next !== null) touch(next);
      return next !== null;
    } });
  const curves = board(column, { label: "Curves", ratio: 0.75,
    draw(context, width, height, ink) {
      const all = run.curves.flatMap(({ y }) => y), half = (round, value) => round(2 * value) / 2;
      const [low, high] = [half(Math.floor, Math.min(0, ...all)), half(Math.ceil, Math.max(1, ...all))]; // a contrast can be two
      drawCurves(context, width, height, { ink, low, high, what: "", over: "steps", cursor: run.steps[k],
        curves: run.curves.map(({ name, y }, i) => ({ x: run.steps, y, color: CURVES[name] ?? ink, dash: i ? [] : [6, 4] })) });
    } });
  column.append(key);
  boards.append(column);

  const last = () => run.steps.length - 1;
  const route = () => (hot < 0 ? [] : path(lists, hot, target));
  const hops = (from, to) => { const m = path(lists, from, to).length - 1; return m < 0 ? "no path" : m === 1 ? "1 hop" : `${m} hops`; };
  const named = (v) => `\u2068${labels[v]}\u2069`; // isolated: a name written from right to left turns nothing else around

  /** The chosen node's nearest by cosine in all dimensions: `[node, cosine]`, as Python found them. */
  function close() {
    const m = near.length / run.steps.length / n, at = (k * n + hot) * m;
    return hot < 0 ? [] : Array.from({ length: m }, (_, i) => [near[at + i], cosine[at + i] / 100]);
  }

  /** Places in the plane of the reader's view, and how far the outermost node may come. */
  function projected() {
    const [a, b, c, d] = [Math.cos(turn[0]), Math.sin(turn[0]), Math.cos(turn[1]), Math.sin(turn[1])];
    const axes = view === "3D" ? [[a, 0, b], [b * d, c, -a * d], [-b * c, d, a * c]] : run.plane[k];
    const all = Array.from({ length: n }, (_, i) => [0, 1, 2].map((j) => points[(k * n + i) * 3 + j] * run.scale[k]));
    const places = all.map((p) => axes.map((axis) => axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2]));
    return { places, reach: Math.max(1e-30, ...places.map((p) => Math.hypot(...p))) };
  }

  function load() {
    const before = run && [run.steps[k], k === last()];
    run = runs.find(({ name }) => name === model.get("run")) ?? runs[0];
    [points, near, cosine] = [decode(run.xyz, Int16Array), decode(run.near, Uint8Array), decode(run.cosine, Int8Array)];
    pick.input.value = run.name;
    key.replaceChildren(legend(run.curves.map(({ name }, i) => ({ name, color: CURVES[name] ?? "currentColor", dash: !i }))), run.which ?? "");
    const off = run.steps.map((step) => Math.abs(step - (before?.[0] ?? 0)));
    if (before) go(before[1] ? last() : off.indexOf(Math.min(...off))); // the end stays the end
    else seen();
  }

  function go(at) { set("step", at); seen(); }
  function touch(v) { if (v !== hot) { set("node", v); seen(); } }
  function by(x, y) { turn = [turn[0] + x, Math.max(-1.6, Math.min(1.6, turn[1] + y))]; map.redraw(); }

  function start() {
    if (k === last()) go(0);
    play.textContent = "Pause";
    timer = setInterval(() => (place.isConnected && k < last() ? go(k + 1) : pause()), calm() ? 700 : 160);
  }

  function pause() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  /** Turn by itself while "rotate" is on, in 3D, and never where the reader's system asks for little motion. */
  function spin() {
    cancelAnimationFrame(spinning);
    then = undefined;
    spinning = requestAnimationFrame(function again(now) {
      if (!place.isConnected || !rotate.input.checked || view !== "3D" || calm()) return;
      by((0.3 * Math.min(100, now - (then ?? now))) / 1000, 0);
      then = now;
      spinning = requestAnimationFrame(again);
    });
  }

  /** Show what the model's values say. */
  function seen() {
    [k, hot, target] = [Math.min(model.get("step"), last()), model.get("node"), model.get("target")];
    if (view !== model.get("view")) { view = model.get("view"); spin(); }
    [look.input.value, node.input.selectedIndex, goal.input.selectedIndex] = [view, hot + 1, target];
    about.hidden = view !== "3D";
    rotate.input.disabled = calm();
    time.set(k, last());
    const parts = view === "3D" ? 1 : 0, share = (100 * run.held[k][parts]).toFixed(0), way = route().map(named);
    const numbers = run.curves.map(({ name, y }) => `${name} ${y[k].toFixed(2)}`).join(", ");
    const text = `${run.name}, step ${run.steps[k].toLocaleString("en")}: ${numbers}; the ${2 + parts} components hold ${share} % of the spread.`;
    const short = way.length > 9 ? [...way.slice(0, 4), "…", ...way.slice(-4)] : way;
    const chosen = hot < 0 ? "" : ` Node ${named(hot)} to ${named(target)}, ${hops(hot, target)}${way.length > 2 ? `: ${short.join(" – ")}` : ""
      }. Nearest by cosine: ${close().map(([v, c]) => `${named(v)} (${c.toFixed(2)}, ${hops(hot, v)})`).join("; ")}.`;
    say(text + chosen);
    map.describe(`Embedding of ${n} nodes of the graph ${graph.name}, ${view}. ${text} Arrow keys step through the nodes${
      parts ? ", with Shift they turn the picture" : ""}.`);
    curves.describe(`${run.curves.map(({ name }) => name).join(", ")} over ${run.steps.length} snapshots. ${text}`);
    [map, curves].forEach((part) => part.redraw());
  }

  for (const name of ["step", "node", "target", "view"]) model.on(`change:${name}`, seen);
  model.on("change:run", () => { if (model.get("run") !== run.name) load(); });
  load();
  place.explorable = { projected, turn: () => turn, xy: () => xy, close, route };
  return () => { pause(); cancelAnimationFrame(spinning); [map, curves].forEach((part) => part.stop()); };
}
