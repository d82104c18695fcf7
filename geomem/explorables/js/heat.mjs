// The dial between look-up and map: heat spreads on a graph, and the reader turns the time.

import { distances, drawByHops, nearToFar, recalled, recallOf } from "./answers.mjs";
import { board, button, chooser, COLORS, element, frame, neighbours, slider, status, table, walk } from "./kit.mjs";
import { eigen, symmetricWalk } from "./node2vec.mjs";

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

export function mount(place, model) {
  const { graph, edge, low, high } = model.get("data"), { labels } = graph, n = labels.length, lists = neighbours(n, graph.edges);
  const hops = distances(lists), { values, vectors } = eigen(symmetricWalk(n, graph.edges, false), n);
  const box = frame(place, "The dial between look-up and map");
  let time, node, scores, cosine, found, cell = 1;

  /** exp(t S): every direction grows by its own eigenvalue. The highest is taken out, which changes no rank and no cosine. */
  function spread(t) {
    const G = new Float64Array(n * n);
    values.forEach((value, k) => {
      const weight = Math.exp(t * (value - values[0])), v = vectors[k];
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) G[i * n + j] += weight * v[i] * v[j];
    });
    return G;
  }

  // Controls
  const dial = slider("time t", { min: Math.log10(low), max: Math.log10(high), step: 0.02, value: 0, wide: true, format: (x) => (10 ** x).toPrecision(2),
    change: (x) => turn(+(10 ** x).toPrecision(3)) });
  const who = chooser("node", labels, "", () => choose(who.input.selectedIndex));
  const marks = [["look-up", low], ["last time with all facts", edge], ["too smooth", high]].filter(([, t]) => t);
  const jumps = marks.map(([name, t]) => button(name, () => turn(t)));
  box.append(element("div", { class: "controls" }, dial.label), element("div", { class: "controls" }, who.label, ...jumps));

  // Boards
  const boards = element("div", { class: "boards" }), answers = element("div", { role: "region", "aria-label": "Answers by rank" });
  box.append(boards);
  const say = status(box);
  box.append(answers);
  const keys = (key) => { const next = walk(key, node, n); if (next !== null && next >= 0) choose(next); return next !== null; };
  const map = board(boards, { label: "Cosines", ratio: 0.9, keys,
    draw(context, width, height, ink) {
      cell = Math.min(width, height - 20) / n;
      const shade = (share) => {
        const at = Math.min(Math.max(share, 0), 1) * 4, k = Math.min(Math.floor(at), 3);
        return `rgb(${VIRIDIS[k].map((c, p) => Math.round(c + (at - k) * (VIRIDIS[k + 1][p] - c))).join()})`;
      };
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
        context.fillStyle = i === j ? "#b0b0b0" : shade(cosine[i * n + j]);
        context.fillRect(j * cell, 20 + i * cell, cell + 0.5, cell + 0.5);
      }
      context.strokeStyle = COLORS.chosen;
      context.lineWidth = 2.5;
      context.strokeRect(1, 20 + node * cell, n * cell - 2, cell);
      [context.fillStyle, context.textAlign, context.textBaseline] = [ink, "left", "middle"];
      context.fillText("cosine of every two nodes, dark 0 to bright 1", 0, 8, width);
    },
    point(x, y, event) {
      const row = Math.floor((y - 20) / cell);
      if (event.type === "pointerdown" && x < n * cell && row >= 0 && row < n) choose(row);
    } });
  const bars = board(boards, { label: "Scores by hops", ratio: 0.9,
    draw(context, width, height, ink) {
      const order = nearToFar(node, hops, n), all = order.map((v) => scores[node * n + v]), most = Math.max(...all, 1e-300);
      drawByHops(context, width, height, { ink, order, values: all.map((v) => v / most), low: 0, high: 1, last: true, hops: (v) => hops[node * n + v],
        heading: `scores for node ${labels[node].slice(0, 20)}; grey: told, green: never told`, aside: "▲ its answers",
        colorOf: (v) => (hops[node * n + v] === 1 ? COLORS.lookUp : COLORS.map), marked: (v) => found[node * n + v] > 0 });
    } });

  function turn(t) {
    time = Math.min(Math.max(t, low), high);
    model.set("t", time);
    model.save_changes();
    show();
  }

  function choose(v) {
    node = v;
    model.set("node", v);
    model.save_changes();
    show();
  }

  function show() {
    [time, node] = [model.get("t"), model.get("node")];
    dial.set(Math.log10(time));
    who.input.selectedIndex = node;
    scores = spread(time);
    cosine = scores.map((value, k) => value / Math.sqrt(scores[Math.floor(k / n) * (n + 1)] * scores[(k % n) * (n + 1)]));
    found = recalled(scores, lists, n);
    const ranked = nearToFar(node, hops, n).sort((a, b) => scores[node * n + b] - scores[node * n + a]).slice(0, 6);
    const far = (v) => (hops[node * n + v] < 0 ? "no way" : hops[node * n + v]), three = cosine.filter((_, k) => hops[k] === 3);
    const reach = three.length ? ` Three hops apart: cosine ${(three.reduce((a, b) => a + b, 0) / three.length).toFixed(2)} in the mean.` : "";
    const text = `t = ${time.toPrecision(2)}: ${(100 * recallOf(found, lists, n)).toFixed(0)} % of the facts recalled.${reach}`;
    say(text);
    answers.replaceChildren(table(["rank", `for node ${labels[node]}`, "hops", "score, in shares of the highest"], ranked.map((v, k) =>
      [`${k + 1}`, labels[v], far(v), (scores[node * n + v] / scores[node * n + ranked[0]]).toFixed(2)])));
    map.describe(`Cosines of all nodes of ${graph.name}. ${text} Arrow keys choose a node: ${labels[node]}.`);
    bars.describe(`Scores for node ${labels[node]}: ${ranked.map((v) => `${labels[v]}, ${far(v)} hops`).join("; ")}.`);
    map.redraw();
    bars.redraw();
  }

  for (const name of ["t", "node"]) model.on(`change:${name}`, show);
  show();
  place.explorable = { time: () => time, scores: () => scores, cosine: () => cosine, recall: () => recallOf(found, lists, n), found: () => found };
  return () => { map.stop(); bars.stop(); };
}
