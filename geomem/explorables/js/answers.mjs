// What a memory answers: which facts a table of scores gives back, and a node's scores of all the others, near to far.

const TIE = 1e-9; // of a row's largest score: what is closer is tied, as in geomem.edge_recall

/** At `u * n + v` how far v is among u's k highest scores, k its number of neighbours: 1, 0, or by expectation where they tie. */
export function recalled(scores, lists, n) {
  const found = new Float64Array(n * n);
  lists.forEach((near, u) => {
    const others = Array.from({ length: n }, (_, v) => v).filter((v) => v !== u);
    const grain = TIE * Math.max(...others.map((v) => Math.abs(scores[u * n + v]))) || 1;
    const whole = new Map(others.map((v) => [v, Math.round(scores[u * n + v] / grain)]));
    const least = [...whole.values()].sort((a, b) => b - a)[near.length - 1];
    const above = others.filter((v) => whole.get(v) > least), tied = others.filter((v) => whole.get(v) === least);
    for (const v of above) found[u * n + v] = 1;
    for (const v of tied) found[u * n + v] = (near.length - above.length) / tied.length;
  });
  return found;
}

/** The mean over all nodes with a neighbour of the share of their neighbours among their answers. */
export function recallOf(found, lists, n) {
  const asked = lists.map((near, u) => [near, u]).filter(([near]) => near.length);
  return asked.reduce((sum, [near, u]) => sum + near.reduce((part, v) => part + found[u * n + v], 0) / near.length, 0) / asked.length;
}

/** Hop distances, -1 where there is no way, row-major. */
export function distances(lists) {
  const n = lists.length, hops = new Int16Array(n * n).fill(-1);
  for (let u = 0; u < n; u++) {
    const queue = [u];
    hops[u * n + u] = 0;
    for (const v of queue) for (const w of lists[v]) if (hops[u * n + w] < 0) { hops[u * n + w] = hops[u * n + v] + 1; queue.push(w); }
  }
  return hops;
}

/** All nodes but u, near to far; what cannot be reached comes last. */
export function nearToFar(u, hops, n) {
  const away = (v) => (hops[u * n + v] + n + 1) % (n + 1);
  return Array.from({ length: n }, (_, v) => v).filter((v) => v !== u).sort((a, b) => away(a) - away(b) || a - b);
}

/** A bar for each node of `order`; lines set groups of one distance apart, and the last row of bars names the distances. */
export function drawByHops(context, width, height, { ink, order, values, low, high, last, hops, heading, aside, colorOf, marked }) {
  const [top, bottom, left] = [22, height - (last ? 44 : 16), 4], step = (width - 2 * left) / order.length;
  const y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - top);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = ink;
  context.fillText(heading, left, 8, width - 110);
  context.textAlign = "right";
  context.fillText(aside, width - left, 8);
  context.textAlign = "center";
  if (last) context.fillText("hops", width / 2, bottom + 36);
  order.forEach((v, k) => {
    context.fillStyle = colorOf(v);
    const tall = y(values[k]) - y(0), x = left + k * step;
    context.fillRect(x + 0.1 * step, y(0), 0.8 * step, Math.abs(tall) < 1 ? -1 : tall);
    const here = hops(v), first = !k || hops(order[k - 1]) !== here;
    context.fillStyle = ink;
    if (marked(v)) context.fillText("▲", x + step / 2, bottom + 8);
    if (!first) return;
    const wide = order.filter((w) => hops(w) === here).length * step;
    if (last) context.fillText(here < 0 ? "none" : here, x + wide / 2, bottom + 21);
    context.globalAlpha = 0.3;
    if (k) context.fillRect(x - 0.5, top, 1, bottom - top);
    context.globalAlpha = 1;
  });
  context.globalAlpha = 0.6;
  context.fillRect(left, y(0) - 0.5, width - 2 * left, 1);
  context.globalAlpha = 1;
}
