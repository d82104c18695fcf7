// Ask the memory: two nodes, and what every memory says of the pair.

import { board, button, chooser, COLORS, decode, drawGraph, element, fit, frame, nearest, neighbours, path, status, table } from "./kit.mjs";
import { drawByHops, nearToFar } from "./answers.mjs";

export function mount(place, model) {
  const data = model.get("data"), { graph } = data, { labels } = graph, n = labels.length;
  const hops = decode(data.hops, Int8Array), hopRanks = decode(data.hop_ranks, Uint8Array);
  const memories = data.memories.map((m) => ({ ...m, scores: decode(m.scores, Float32Array), ranks: decode(m.ranks, Uint8Array) }));
  const lists = neighbours(n, graph.edges), box = frame(place, "Ask the memory");
  const same = (text) => memories.filter((m) => m.name === text).length > 1;
  let [source, target] = [model.get("source"), model.get("target")], order = [], xy = [], second = false, racing = false;

  // Controls
  const from = chooser("from", labels, "", () => pick(from.input.selectedIndex, target));
  const to = chooser("to", labels, "", () => pick(source, to.input.selectedIndex));
  const swap = button("Swap", () => pick(target, source));
  const surprise = button("Surprise me", () => {
    const any = () => Math.floor(Math.random() * n);
    let [u, v] = [any(), any()];
    for (let k = 0; k < 200 && (u === v || hops[u * n + v] === 1 || (u === source && v === target)); k++) [u, v] = [any(), any()];
    pick(u, v);
  });
  const bar = chooser("bars", ["scores", "ranks"], "scores", () => show());
  const race = button("Which first hop wins?", () => { racing = true; show(); });
  const starts = graph.root === null ? [] : lists[graph.root]; // the first hops of a star
  race.hidden = starts.length < 2;
  box.append(element("div", { class: "controls" }, from.label, to.label, swap, surprise, bar.label, race),
    element("p", { style: "margin:0.2rem 0" }, "“From” is the node that is asked who belongs to it. “To” is one candidate among all the others, " +
      "marked ▲ in the bars. Clicks on the picture choose the two in turn."));

  // Boards
  const boards = element("div", { class: "boards" }), column = element("div", { class: "column" });
  const answers = element("div", { role: "region", "aria-label": "Scores and ranks" });
  box.append(boards, answers);
  const say = status(box);
  const picture = board(boards, { label: "The graph", ratio: 0.8,
    draw(context, width, height, ink) {
      xy = fit(graph.places, width, height, 30);
      drawGraph(context, xy, { ...graph, ink, hot: new Set([source, target]), ring: new Set(racing ? starts : path(lists, source, target)) });
      context.font = "bold 12px system-ui, sans-serif";
      context.fillStyle = ink;
      for (const [node, text] of [[source, "from"], [target, "to"]]) {
        const [x, y] = xy[node]; // its label is above, unless it is in the node
        context.fillText(text, x, y + (n <= 20 && labels.every((label) => label.length <= 3) ? -19 : 19));
      }
    },
    point(x, y, event) {
      const node = event.type === "pointerdown" ? nearest(xy, x, y) : -1;
      if (node < 0) return;
      if (second) pick(source, node); else pick(node, target);
      second = !second;
    },
    keys(key) {
      const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
      const next = (node, by, other) => { let k = node; do k = (k + by + n) % n; while (by && k === other && n > 1); return k; };
      if (move) pick(next(source, move[0], target), next(target, move[1], source));
      return Boolean(move);
    } });
  boards.append(column);
  const bars = memories.map((memory, k) => board(column, { label: memory.name, ratio: Math.min(0.42, 0.75 / memories.length + 0.1 + 0.04 * (k === memories.length - 1)),
    draw: (context, width, height, ink) => drawBars(context, width, height, ink, memory, k === memories.length - 1),
    point(x, y, event) {
      const at = Math.floor(((x - 4) / (bars[k].canvas.clientWidth - 8)) * order.length);
      if (event.type === "pointerdown" && order[at] !== undefined) pick(source, order[at]);
    } }));

  const heading = (m) => (same(m.name) ? `${m.name}, ${m.what}` : m.name);

  /** The scores of all other nodes, or how many they outrank. */
  function drawBars(context, width, height, ink, { scores, ranks, color, ...memory }, last) {
    const ranked = bar.input.value === "ranks";
    const values = order.map((v) => (ranked ? n - ranks[source * n + v] / 2 : scores[source * n + v])), all = [0, ...values];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    drawByHops(context, width, height, { ink, order, values, low, high, last, hops: (v) => hops[source * n + v], heading: heading(memory),
      aside: ranked ? "high: first in rank" : `${short(low)} to ${short(high)}`,
      colorOf: (v) => (racing ? (starts.includes(v) ? COLORS.beside : color) : v === target ? COLORS.chosen : color),
      marked: (v) => (racing ? winners(ranks).includes(v) : v === target) });
  }

  const short = (v) => (Math.abs(v) < 5e-4 ? "0" : Math.abs(v) < 1e4 ? v.toFixed(3).replace(/\.?0+$/, "") : v.toExponential(2));

  /** The first hops that score highest for “from”, itself left out; several where they tie. */
  function winners(ranks) {
    const others = starts.filter((v) => v !== source), best = Math.min(...others.map((v) => ranks[source * n + v]));
    return others.filter((v) => ranks[source * n + v] === best);
  }

  /** Which arm a memory sends “from” to, beside the arm it lies on. */
  function raced() {
    const way = path(lists, source, graph.root), own = way.at(-2);
    if (way.length < 3) return say(`${labels[source]} is no node behind a first hop. Choose one as “from”, the end of an arm, say.`);
    const won = memories.map((m) => winners(m.ranks)), names = (list) => list.map((v) => labels[v]).join(", ");
    const verdict = (list) => (!list.includes(own) ? "another arm’s" : list.length > 1 ? `a tie of ${list.length}` : "its own arm’s");
    answers.replaceChildren(table(["memory", "kind of score", "winning first hop", "which is"],
      [["the graph itself", "the arm it lies on", labels[own], "its own arm’s"], ...memories.map((m, k) => [m.name, m.what, names(won[k]), verdict(won[k])])]));
    say(`Which of the first hops ${names(starts)} leads to ${labels[source]}? ${memories.map((m, k) => `${heading(m)}: ${names(won[k])}, ${verdict(won[k])}`).join("; ")}.`);
  }

  function pick(u, v) {
    racing = false;
    if (u === v) [u, v] = u === source ? [target, source] : v === target ? [target, source] : [source, target];
    if (u !== source || v !== target) {
      [source, target] = [u, v];
      model.set("source", u);
      model.set("target", v);
      model.save_changes();
    }
    show();
  }

  function show() {
    const at = source * n + target, far = hops[at] < 0 ? "no path" : `${hops[at]} ${hops[at] === 1 ? "hop" : "hops"}`;
    [from.input.selectedIndex, to.input.selectedIndex] = [source, target];
    order = nearToFar(source, hops, n);
    const rows = memories.map((m) => [m.name, m.what, short(m.scores[at]), `${m.ranks[at] / 2}`]);
    answers.replaceChildren(table(["memory", "kind of score", "score of the pair", `rank of “to” among ${n - 1}`],
      [["the graph itself", "hop distance, near first", far, `${hopRanks[at] / 2}`], ...rows]));
    const text = `From ${labels[source]} to ${labels[target]}: ${far}. ` +
      memories.map((m, k) => `${heading(m)}: ${rows[k][2]}, rank ${rows[k][3]}`).join("; ") + ".";
    if (racing) raced();
    else say(text);
    picture.describe(`The graph ${graph.name}. ${text} Left and right arrows change “to”, up and down change “from”.`);
    bars.forEach((part, k) => part.describe(`${heading(memories[k])}: scores of all other nodes for ${labels[source]}, near to far. ` +
      `That of ${labels[target]} is ${rows[k][2]}, rank ${rows[k][3]} of ${n - 1}.`));
    [picture, ...bars].forEach((part) => part.redraw());
  }

  for (const name of ["source", "target"]) {
    model.on(`change:${name}`, () => { [source, target] = [model.get("source"), model.get("target")]; show(); });
  }
  show();
  place.explorable = { memories, hops, pair: () => [source, target] };
  return () => [picture, ...bars].forEach((part) => part.stop());
}
