// Swap two leaves on the map: a share of their Fiedler components is exchanged, and each model is asked for both first hops.

import { board, button, calm, chooser, COLORS, decode, element, fit, frame, legend, slider, status, table } from "./kit.mjs";

const OWN = COLORS.brown, THEIRS = COLORS.chosen, NEITHER = "#9a9a9a", SECONDS = 2;

export function mount(place, model) {
  const { graph, leaves, hops, own, levels, ...data } = model.get("data"), { labels } = graph, n = labels.length, d = hops.length, last = levels - 1;
  const models = data.models.map((m) => ({ name: m.name, answers: decode(m.answers, Uint8Array), chances: decode(m.chances, Uint8Array),
    E: decode(m.table, Float32Array), F: decode(m.parts, Float32Array) }));
  const box = frame(place, "Swap two leaves on the map"), names = leaves.map((leaf) => labels[leaf]);
  const count = (leaves.length * (leaves.length - 1)) / 2;
  let a, b, level, moving = 0;

  // Controls
  const set = (values) => { for (const [name, value] of Object.entries(values)) model.set(name, value); model.save_changes(); show(); };
  const choose = (mine, theirs) => { stop(); set({ one: mine, other: theirs, level: 0 }); };
  const left = chooser("leaf", names, "", () => { const k = left.input.selectedIndex; choose(k, k === b ? a : b); });
  const right = chooser("and leaf", names, "", () => { const k = right.input.selectedIndex; choose(k === a ? b : a, k); });
  const dial = slider("exchanged", { min: 0, max: last, step: 1, value: 0, wide: true, format: (k) => `${Math.round((100 * k) / last)} %`,
    change: (k) => { stop(); set({ level: k }); } });
  const go = button("Exchange", () => glide(level < last ? last : 0));
  box.append(element("div", { class: "controls" }, left.label, right.label, go), element("div", { class: "controls" }, dial.label));

  // Boards: for each model the plane of the exchange, and what it answers
  const boards = element("div", { class: "boards" });
  box.append(boards);
  const drawn = models.flatMap((m) => {
    const column = element("div", { class: "column" });
    boards.append(column);
    return [board(column, { label: m.name, ratio: 0.7, draw: (...at) => drawPlane(m, ...at) }),
      ...[0, 1].map((side) => board(column, { label: m.name, ratio: 0.3, draw: (...at) => drawBars(m, side, ...at) }))];
  });
  box.append(legend([{ name: "its own first hop", color: OWN }, { name: "the other leaf’s", color: THEIRS }, { name: "any other", color: NEITHER }]));
  const say = status(box), rest = element("div", { role: "region", "aria-label": "Answers over all pairs" });
  box.append(rest);

  /** Where a pair is in the data: pairs (i, j) with i < j, in order. */
  const pairAt = (i, j) => { const [low, high] = [Math.min(i, j), Math.max(i, j)]; return low * (2 * leaves.length - low - 1) / 2 + high - low - 1; };
  const asked = (side) => ((pairAt(a, b) * levels + level) * 2 + ((a < b) === (side === 0) ? 0 : 1));
  const answer = (m, side) => m.answers[asked(side)];
  const kind = (hop, side) => (hop === own[side ? b : a] ? "its own" : hop === own[side ? a : b] ? "the other’s" : "neither");
  const color = (hop, side) => ({ "its own": OWN, "the other’s": THEIRS, neither: NEITHER })[kind(hop, side)];

  /** Every node in the plane that the two Fiedler components span; the two leaves are moved by what is exchanged. */
  function drawPlane({ name, E, F }, context, width, height, ink) {
    const m = E.length / n, row = (X, k) => X.subarray(k * m, k * m + m), dot = (x, y) => x.reduce((sum, value, k) => sum + value * y[k], 0);
    const unit = (x) => { const size = Math.sqrt(dot(x, x)) || 1; return x.map((value) => value / size); };
    const across = unit(row(F, a)), up = unit(row(F, b).map((value, k) => value - dot(row(F, b), across) * across[k]));
    const flat = (x) => [dot(x, across), dot(x, up)], at = labels.map((_, v) => flat(row(E, v)));
    const parts = [flat(row(F, a)), flat(row(F, b))], share = level / last;
    const moved = [0, 1].map((side) => { const [x, y] = at[leaves[side ? b : a]], to = parts[1 - side], from = parts[side];
      return [x + share * (to[0] - from[0]), y + share * (to[1] - from[1])]; });
    const ends = [0, 1].map((side) => { const [x, y] = at[leaves[side ? b : a]]; return [x + parts[1 - side][0] - parts[side][0], y + parts[1 - side][1] - parts[side][1]]; });
    const xy = fit([...at, ...moved, ...ends], width, height - 20, 24).map(([x, y]) => [x, y + 20]);
    const dots = (spot, size, fill, edge) => {
      context.beginPath();
      context.arc(...spot, size, 0, 7);
      [context.fillStyle, context.strokeStyle, context.lineWidth] = [fill, edge, 1.5];
      context.fill();
      context.stroke();
    };
    context.globalAlpha = 0.35;
    [context.strokeStyle, context.lineWidth] = [ink, 1];
    const here = (v) => (v === leaves[a] ? xy[n] : v === leaves[b] ? xy[n + 1] : xy[v]);
    for (const [u, v] of graph.edges) { context.beginPath(); context.moveTo(...here(u)); context.lineTo(...here(v)); context.stroke(); }
    context.globalAlpha = 1;
    labels.forEach((_, v) => { if (v !== leaves[a] && v !== leaves[b]) dots(xy[v], hops.includes(v) ? 4.5 : 3, graph.colors[v], ink); });
    [context.textBaseline, context.textAlign] = ["middle", "center"];
    [0, 1].forEach((side) => {
      const k = side ? b : a, spot = xy[n + side], [x, y] = xy[hops[own[k]]];
      dots(spot, 7, graph.colors[leaves[k]], ink);
      context.fillStyle = ink;
      context.fillText(`leaf ${names[k].slice(0, 12)}`, Math.min(Math.max(spot[0], 24), width - 24), spot[1] - 13);
      dots([x, y], 6, graph.colors[hops[own[k]]], ink);
      context.fillStyle = ink;
      context.fillText(labels[hops[own[k]]].slice(0, 12), x, y + 13);
    });
    [context.textAlign, context.fillStyle] = ["left", ink];
    context.fillText(name, 4, 8, width - 8);
  }

  /** How sure the model is of every first hop. */
  function drawBars(m, side, context, width, height, ink) {
    const [top, bottom] = [22, height - 16], step = (width - 8) / d, said = answer(m, side);
    [context.fillStyle, context.textAlign, context.textBaseline] = [ink, "left", "middle"];
    context.fillText(`leaf ${names[side ? b : a].slice(0, 12)} is answered with ${labels[hops[said]].slice(0, 12)}, ${kind(said, side)}`, 4, 8, width - 8);
    context.textAlign = "center";
    for (let hop = 0; hop < d; hop++) {
      const tall = (m.chances[asked(side) * d + hop] / 255) * (bottom - top), x = 4 + hop * step;
      context.fillStyle = color(hop, side);
      context.fillRect(x + 0.1 * step, bottom, 0.8 * step, -Math.max(tall, 1));
      context.fillStyle = ink;
      if (step > 14) context.fillText(labels[hops[hop]].slice(0, 3), x + step / 2, bottom + 9);
    }
  }

  const stop = () => cancelAnimationFrame(moving);

  function glide(goal) {
    stop();
    if (calm()) return set({ level: goal });
    const from = level, begun = performance.now();
    (function next() {
      const share = Math.min(1, (performance.now() - begun) / (1000 * SECONDS));
      set({ level: Math.round(from + share * (goal - from)) });
      if (share < 1 && place.isConnected) moving = requestAnimationFrame(next);
    })();
  }

  /** Of all pairs at this share, both leaves: how many answers are the other's and how many still the own. */
  function tally({ answers }) {
    const found = { theirs: 0, own: 0 };
    for (let i = 0; i < leaves.length; i++) for (let j = i + 1; j < leaves.length; j++) {
      [[i, j], [j, i]].forEach(([mine, theirs], side) => {
        const said = answers[(pairAt(i, j) * levels + level) * 2 + side];
        found.theirs += said === own[theirs];
        found.own += said === own[mine];
      });
    }
    return found;
  }

  function show() {
    [a, b, level] = ["one", "other", "level"].map((name) => model.get(name));
    [left.input.selectedIndex, right.input.selectedIndex] = [a, b];
    dial.set(level);
    go.textContent = level < last ? "Exchange" : "Back";
    const told = models.map((m) => `${m.name}: ${[0, 1].map((side) => `leaf ${names[side ? b : a]} is answered with ${labels[hops[answer(m, side)]]}, ${kind(answer(m, side), side)}`).join("; ")}.`);
    const text = `${Math.round((100 * level) / last)} % exchanged. ${told.join(" ")}`;
    say(text, level === 0 || level === last);
    rest.replaceChildren(table(["all pairs, at this share", "the other’s", "still its own", "answers"],
      models.map((m) => { const { theirs, own: kept } = tally(m); return [m.name, `${theirs}`, `${kept}`, `${2 * count}`]; })));
    drawn.forEach((part, k) => {
      const m = models[Math.floor(k / 3)];
      part.describe(k % 3 ? `${m.name}: ${told[Math.floor(k / 3)]}` : `${m.name}: the plane of the exchange. ${text}`);
      part.redraw();
    });
  }

  for (const name of ["one", "other", "level"]) model.on(`change:${name}`, show);
  show();
  place.explorable = { tally: () => models.map(tally), answers: () => models.map((m) => [0, 1].map((side) => hops[answer(m, side)])) };
  return () => { stop(); drawn.forEach((part) => part.stop()); };
}
