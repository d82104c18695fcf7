// Edit a fact: one edge is replaced in a look-up and in a map, and the reader sees which answers change in each.

import { board, button, calm, checkbox, chooser, decode, drawGraph, element, fit, frame, nearest, neighbours, status, table, walk } from "./kit.mjs";
import { Flow, plane } from "./node2vec.mjs";

const MOST = 3000, FRAME = 12; // steps of the map at most, and in one picture

export function mount(place, model) {
  const { graph, width, dim, lr, ...data } = model.get("data"), { labels } = graph, n = labels.length;
  const phi = decode(data.phi, Float64Array), start = decode(data.table, Float64Array);
  const lists = neighbours(n, graph.edges), box = frame(place, "Edit a fact");
  let { node, old, next } = { node: model.get("node"), old: model.get("old"), next: model.get("next") };
  let edges, written, flow, lookUp, before, done = false, timer = 0, xy = [];

  // Controls
  const who = chooser("node", labels, "", () => choose(who.input.selectedIndex));
  const leaves = element("select", { "aria-label": "no longer", change: () => choose(node, +leaves.value, next) });
  const joins = element("select", { "aria-label": "but now", change: () => choose(node, old, +joins.value) });
  const go = button("Edit", edit), undo = button("Undo", () => choose(node, old, next));
  const rehearse = checkbox("rehearse all other facts in the map", model.get("rehearse"), (value) => {
    model.set("rehearse", value);
    model.save_changes();
    choose(node, old, next);
  });
  box.append(element("div", { class: "controls" }, who.label, element("label", {}, "no longer", leaves),
    element("label", {}, "but now", joins), go, undo), element("div", { class: "controls" }, rehearse.label));

  // Boards
  const boards = element("div", { class: "boards" }), answers = element("div", { role: "region", "aria-label": "Answers that changed" });
  box.append(boards);
  const say = status(box);
  box.append(answers);
  const pictures = ["The look-up", "The map"].map((label, k) => board(boards, { label, ratio: 0.85,
    draw(context, w, height, ink) {
      xy[k] = fit(k ? plane(flow, graph.places).places : graph.places, w, height - 20, 22).map(([x, y]) => [x, y + 20]);
      drawGraph(context, xy[k], { ...graph, edges, ink, hot: new Set([node, done ? next : old]), ring: new Set(changed(k).map(([u]) => u)) });
      context.font = "12px system-ui, sans-serif";
      [context.fillStyle, context.textAlign, context.textBaseline] = [ink, "left", "middle"];
      context.fillText(label, 4, 8);
    },
    point: (x, y, event) => { if (event.type === "pointerdown") take(nearest(xy[k], x, y)); },
    keys(key) {
      const strangers = others(), at = walk(key, strangers.indexOf(next), strangers.length);
      if (at !== null && at >= 0) choose(node, old, strangers[at]);
      return at !== null;
    } }));

  const others = () => labels.map((_, v) => v).filter((v) => v !== node && !lists[node].includes(v));
  const take = (v) => { if (v >= 0 && others().includes(v)) choose(node, old, v); };
  const option = (chosen) => (v) => element("option", { value: v, selected: v === chosen }, labels[v]);
  const names = (list) => (list.length ? list.map((v) => labels[v]).join(", ") : "nobody");

  /** Take an edit into the controls and set both memories back. */
  function choose(u, v = lists[u][0], w = -1) {
    cancelAnimationFrame(timer);
    [node, old] = [u, lists[u].includes(v) ? v : lists[u][0]];
    next = others().includes(w) ? w : others().at(-1);
    for (const [name, value] of Object.entries({ node, old, next })) model.set(name, value);
    model.save_changes();
    who.input.selectedIndex = node;
    leaves.replaceChildren(...lists[node].map(option(old)));
    joins.replaceChildren(...others().map(option(next)));
    [edges, done] = [graph.edges, false];
    flow = new Flow(n, edges, { dim, lr, start });
    lookUp = products();
    before = [lookUp, flow.gram].map((scores) => asked(scores, lists));
    show();
  }

  /** Scores of the look-up as it was written, Phi W^T Phi^T with W the sum of Phi(v) Phi(u)^T over the facts. */
  function products() {
    const gram = new Float64Array(n * n), scores = new Float64Array(n * n);
    for (let i = 0; i < n * n; i++) for (let k = 0; k < width; k++) gram[i] += phi[Math.floor(i / n) * width + k] * phi[(i % n) * width + k];
    for (const [a, b] of graph.edges) for (const [u, v] of [[a, b], [b, a]]) write(scores, gram, u, v, 1);
    return Object.assign(scores, { gram });
  }

  /** One rank-one change of W: every node that looks a little like u is answered a little more like v. */
  function write(scores, gram, u, v, weight) {
    for (let x = 0; x < n; x++) for (let y = 0; y < n; y++) scores[x * n + y] += weight * gram[x * n + u] * gram[v * n + y];
  }

  /** The k highest scores of every node but itself, k its number of neighbours. */
  function asked(scores, whose) {
    return labels.map((_, u) => labels.map((_, v) => v).filter((v) => v !== u)
      .sort((a, b) => scores[u * n + b] - scores[u * n + a] || a - b).slice(0, whose[u].length).sort((a, b) => a - b));
  }

  function edit() {
    if (done) return choose(node, old, next);
    const same = ([a, b]) => (a === node && b === old) || (a === old && b === node);
    edges = [...graph.edges.filter((edge) => !same(edge)), [node, next]];
    written = neighbours(n, edges);
    for (const [u, v, weight] of [[node, old, -1], [old, node, -1], [node, next, 1], [next, node, 1]]) write(lookUp, lookUp.gram, u, v, weight);
    const facts = rehearse.input.checked ? null : [[node, next], [next, node]];
    flow = new Flow(n, edges, { dim, lr, start, facts });
    done = true;
    calm() ? (forward(MOST), show()) : play();
  }

  /** Whether the map recalls the new edge, and with rehearsal every edge. */
  function learned() {
    const told = asked(flow.gram, written), knows = (u) => written[u].every((v) => told[u].includes(v));
    return rehearse.input.checked ? labels.every((_, u) => knows(u)) : told[node].includes(next) && told[next].includes(node);
  }

  function forward(count) {
    for (let k = 0; k < count && flow.steps < MOST && !learned(); k++) flow.step();
    return flow.steps < MOST && !learned();
  }

  function play() {
    const more = forward(FRAME);
    show(!more);
    if (more && place.isConnected) timer = requestAnimationFrame(play);
  }

  /** What a memory now answers otherwise: `[node, before, now]`. */
  function changed(k) {
    if (!done) return [];
    const now = asked(k ? flow.gram : lookUp, written);
    return labels.flatMap((_, u) => (`${now[u]}` === `${before[k][u]}` ? [] : [[u, before[k][u], now[u]]]));
  }

  function show(aloud = true) {
    const named = [node, old, next], rows = [0, 1].map(changed), aside = rows.map((row) => row.filter(([u]) => !named.includes(u)).length);
    const wrong = rows.map((row) => row.filter(([u, , now]) => !named.includes(u) && written[u].some((v) => !now.includes(v))).length);
    const count = (k) => `${rows[k].length} ${rows[k].length === 1 ? "node answers" : "nodes answer"} differently, ${aside[k]} of them not named in the edit, ${wrong[k]} of these wrongly`;
    const text = done
      ? `The look-up, after one change: ${count(0)}. The map, after ${flow.steps} steps${flow.steps >= MOST ? ", and still not done" : ""}: ${count(1)}.`
      : `${labels[node]} no longer knows ${labels[old]}, but ${labels[next]}: press Edit.`;
    say(text, aloud);
    undo.disabled = !done;
    go.disabled = done;
    const touched = labels.map((_, u) => u).filter((u) => rows.some((row) => row.some(([v]) => v === u)));
    const cell = (k, u) => { const row = rows[k].find(([v]) => v === u); return row ? `${names(row[1])} → ${names(row[2])}` : "as before"; };
    answers.replaceChildren(done ? table(["asked for", "the look-up answers", "the map answers", "the graph now says"],
      touched.map((u) => [labels[u], cell(0, u), cell(1, u), names([...written[u]].sort((a, b) => a - b))])) : "");
    pictures.forEach((picture, k) => {
      picture.describe(`${["The look-up, drawn on the graph", "The map, drawn from its table"][k]} ${graph.name}. ${done ? count(k) : text} ` +
        "Arrow keys choose the new neighbour.");
      picture.redraw();
    });
  }

  for (const name of ["node", "old", "next"]) model.on(`change:${name}`, () => choose(model.get("node"), model.get("old"), model.get("next")));
  model.on("change:rehearse", () => { rehearse.input.checked = model.get("rehearse"); choose(node, old, next); });
  choose(node, old, next);
  place.explorable = { scores: () => [lookUp, flow.gram].map((scores) => [...scores]), steps: () => flow.steps, changed, edit: () => [node, old, next] };
  return () => { cancelAnimationFrame(timer); pictures.forEach((picture) => picture.stop()); };
}
