// What all explorables share: elements, controls, boards to draw on, and the colours of the book.

/**
 * One colour for one thing: `lookUp` and `map` are those of geomem/reporting/figures.py, and none of the others is a model's.
 * All of them are told from a white page and from a dark one.
 */
export const COLORS = { lookUp: "#7a7a7a", map: "#009e73", chosen: "#d81b60", beside: "#3f9fd6", violet: "#7b61c9", brown: "#9c6b30" };
/** Of the eigenspaces by rank, slow to fast, as in the book's figures. */
export const RANKS = ["#440154", "#453581", "#34618d", "#24878e"];

/** What the book's style makes of a colour in the dark: its light is turned over and its hue is kept. */
export function turnedOver(hex) {
  const [r, g, b] = [1, 3, 5].map((k) => 0.93 - (0.86 * parseInt(hex.slice(k, k + 2), 16)) / 255);
  const rows = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]];
  return `rgb(${rows.map(([x, y, z]) => Math.round(255 * Math.min(1, Math.max(0, 1.15 * (x * r + y * g + z * b))))).join()})`;
}

/** Whether a computed colour is a light one, as that of text on a dark page. */
export const isLight = (color) => { const [r, g, b] = color.match(/[\d.]+/g).map(Number); return 0.299 * r + 0.587 * g + 0.114 * b > 140; };
const TWILIGHT = ["#e2d9e2", "#9ebbc9", "#6785be", "#5e43a5", "#421257", "#501444", "#84304f", "#ad6a57", "#ceac94"];

const STYLE = `
.explorable-box { font: 0.9rem/1.45 system-ui, sans-serif; color: var(--pst-color-text-base, inherit); margin: 0.5rem 0; }
.explorable-box .controls { display: flex; flex-wrap: wrap; gap: 0.35rem 1rem; align-items: center; margin: 0.4rem 0; }
.explorable-box label { display: inline-flex; gap: 0.4rem; align-items: center; margin: 0; }
.explorable-box :is(button, select, textarea, input[type="number"]) { font: inherit; color: inherit; background: transparent;
  border: 1px solid currentColor; border-radius: 0.35rem; padding: 0.15rem 0.6rem; }
.explorable-box option { color: #000; background: #fff; }
.explorable-box button { cursor: pointer; min-width: 4.2em; }
.explorable-box button[disabled] { opacity: 0.55; cursor: default; }
.explorable-box :is(button, select, summary, textarea, input, canvas):focus-visible { outline: 3px solid #1f77d0; outline-offset: 2px; }
.explorable-box input[type="range"] { accent-color: var(--pst-color-primary, #5b6770); width: 8.5rem; }
.explorable-box label.wide { flex: 1 1 16rem; }
.explorable-box label.wide input { flex: 1; width: auto; }
.explorable-box output { font-variant-numeric: tabular-nums; min-width: 3.2em; }
.explorable-box .boards { display: flex; flex-wrap: wrap; gap: 0.75rem; }
.explorable-box :is(.board, .column) { flex: 1 1 17rem; min-width: 0; margin: 0; }
.explorable-box canvas { display: block; width: 100%; touch-action: pan-y; }
.explorable-box .status { min-height: 1.45em; margin: 0.3rem 0 0; font-variant-numeric: tabular-nums; }
.explorable-box summary { cursor: pointer; width: fit-content; }
.explorable-box .column .status { min-height: 2.9em; }
.explorable-box textarea { box-sizing: border-box; width: 100%; min-height: 5em; font-family: ui-monospace, monospace; }
.explorable-box table { border-collapse: collapse; margin: 0.4rem 0; font-variant-numeric: tabular-nums; width: auto; }
.explorable-box :is(th, td) { padding: 0.15rem 0.9rem 0.15rem 0; text-align: left; font-weight: normal; border: 0; vertical-align: top; }
.explorable-box thead th { border-bottom: 1px solid currentColor; }
html[data-theme="dark"] .explorable-box .rank, body[data-jp-theme-light="false"] .explorable-box .rank { filter: invert(0.93) hue-rotate(180deg) brightness(1.15); }
.explorable-box [hidden] { display: none !important; }
@media print { .explorable-box .controls { display: none; } }`;

const KEYED = ["button", "canvas", "input", "select", "summary", "textarea"];

/** Make an element; attributes are set as text, functions as listeners, children are elements or text. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (KEYED.includes(tag)) node.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Empty the place of an explorable and give it the common style. */
export function frame(place, name) {
  const box = element("div", { class: "explorable-box", role: "group", "aria-label": name }, element("style", {}, STYLE));
  place.replaceChildren(box);
  return box;
}

/** A slider with its name and its value; `format` turns the number of the slider into what is shown. */
export function slider(name, { min, max, step, value, format = String, wide = false, change }) {
  const shown = element("output", {}, format(value));
  const input = element("input", { type: "range", min, max, step, "aria-label": name });
  const tell = () => { shown.value = format(+input.value); input.setAttribute("aria-valuetext", shown.value); };
  input.value = value;
  input.addEventListener("input", () => { tell(); change(+input.value); });
  const label = element("label", { class: wide ? "wide" : "" }, name, input, shown);
  tell();
  return { label, input, set(value, limit) { if (limit !== undefined) input.max = limit; input.value = value; tell(); } };
}

export function chooser(name, options, value, change) {
  const input = element("select", { "aria-label": name, change: () => change(input.value) }, ...options.map((text) => element("option", {}, text)));
  input.value = value;
  return { label: element("label", {}, name, input), input };
}

export function checkbox(name, value, change) {
  const input = element("input", { type: "checkbox", change: () => change(input.checked) });
  input.checked = value;
  return { label: element("label", {}, input, name), input };
}

/** What folds further controls away, until the reader asks for more. */
export function folded(name, open, ...rows) {
  return element("details", { open }, element("summary", {}, name), ...rows);
}

export const button = (name, click) => element("button", { type: "button", click }, name);
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * A line of text that says what is seen; read aloud at most every second and a half, and always at its last word. What plays by
 * itself is said with `aloud` false: a voice that never stops helps nobody.
 */
export function status(box) {
  const seen = element("p", { class: "status" }), heard = element("span", { role: "status", style:
    "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)" });
  let waiting = null;
  box.append(seen, heard);
  return (text, aloud = true) => {
    seen.textContent = text;
    if (aloud) waiting ??= setTimeout(() => { heard.textContent = seen.textContent; waiting = null; }, 1500);
  };
}

/** A table: the first cell of a row is its header. */
export function table(header, rows) {
  const row = (tag, scope) => (cells) => element("tr", {}, ...cells.map((text, k) =>
    (tag === "th" || !k ? element("th", { scope }, text) : element("td", {}, text))));
  return element("table", {}, element("thead", {}, row("th", "col")(header)), element("tbody", {}, ...rows.map(row("td", "row"))));
}

/**
 * A canvas that is redrawn when its size or the page's theme changes: `draw(context, width, height, ink)`. A pointer hovers,
 * `point(x, y)`, unless `grab(x, y)` takes what lies there: then it is moved, `drag(x, y)`, until it is let go, `drop()`.
 */
export function board(boards, { label, ratio = 0.75, draw, keys = null, point = null, leave = null, grab = null, drag, drop }) {
  const canvas = element("canvas", { role: "img", "aria-label": label, tabindex: keys ? 0 : null });
  const figure = element("figure", { class: "board" }, canvas);
  let waiting = 0;
  boards.append(figure);
  function paint() {
    waiting = 0;
    const width = canvas.clientWidth, height = Math.round(width * ratio), scale = devicePixelRatio || 1;
    if (!width) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    draw(context, width, height, getComputedStyle(canvas).color);
  }
  const redraw = () => { waiting ||= requestAnimationFrame(paint); };
  const size = new ResizeObserver(redraw), theme = new MutationObserver(redraw);
  size.observe(canvas);
  for (const root of [document.documentElement, document.body]) {
    theme.observe(root, { attributes: true, attributeFilter: ["data-theme", "data-mode", "data-jp-theme-light", "class"] });
  }
  const place = (event) => { const r = canvas.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  let held = false;
  if (point) canvas.addEventListener("pointermove", (event) => (held ? drag : point)(...place(event), event));
  if (point) canvas.addEventListener("pointerdown", (event) => point(...place(event), event));
  if (leave) canvas.addEventListener("pointerleave", leave);
  if (grab) {
    canvas.addEventListener("pointerdown", (event) => {
      held = event.button === 0 && grab(...place(event));
      if (held) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("touchstart", (event) => { if (held) event.preventDefault(); }, { passive: false }); // no scrolling
    canvas.addEventListener("lostpointercapture", () => { if (held) { held = false; drop(); } });
  }
  if (keys) canvas.addEventListener("keydown", (event) => { if (keys(event.key, event)) event.preventDefault(); });
  return { canvas, redraw, describe: (text) => canvas.setAttribute("aria-label", text),
    stop() { size.disconnect(); theme.disconnect(); cancelAnimationFrame(waiting); } };
}

/** Put points of any scale into a box, with equal aspect; returns pixels, `[[x, y], ...]`. */
export function fit(points, width, height, margin = 18) {
  const all = (k) => points.map((p) => p[k]), mid = (v) => (Math.max(...v) + Math.min(...v)) / 2;
  const [x, y] = [mid(all(0)), mid(all(1))];
  const reach = (v, m) => Math.max(...v.map((u) => Math.abs(u - m)), 1e-12);
  const zoom = Math.min((width / 2 - margin) / reach(all(0), x), (height / 2 - margin) / reach(all(1), y));
  return points.map((p) => [width / 2 + (p[0] - x) * zoom, height / 2 - (p[1] - y) * zoom]);
}

/** Say how long the vectors of a picture are that always fills its board: a bar of a round length, `zoom` pixels a unit. */
export function drawBar(context, height, { reach, zoom, ink }) {
  const length = +(reach / 2).toPrecision(1);
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = 1;
  context.strokeRect(4, height - 5, length * zoom, 0);
  context.font = "12px system-ui, sans-serif";
  [context.textAlign, context.textBaseline] = ["left", "bottom"];
  context.fillText(String(length), 4, height - 8);
}

/** Draw a graph at pixels `xy`. `hot` holds nodes to stress, `edges` between two of them are stressed too. */
export function drawGraph(context, xy, { edges, colors, labels, ink, hot = new Set(), ring = new Set(), depth = null }) {
  const size = Math.max(4, Math.min(9, 60 / Math.sqrt(xy.length)));
  for (const [a, b] of edges) {
    const stressed = hot.has(a) && hot.has(b);
    context.strokeStyle = stressed ? COLORS.chosen : ink;
    context.globalAlpha = stressed ? 1 : 0.35;
    context.lineWidth = stressed ? 3 : 1;
    context.beginPath();
    context.moveTo(...xy[a]);
    context.lineTo(...xy[b]);
    context.stroke();
  }
  context.globalAlpha = 1;
  const order = xy.map((_, node) => node);
  if (depth) order.sort((a, b) => depth[a] - depth[b]);
  for (const node of order) {
    context.beginPath();
    context.arc(...xy[node], hot.has(node) ? size * 1.3 : size, 0, 7);
    context.fillStyle = colors[node];
    context.fill();
    context.strokeStyle = hot.has(node) ? COLORS.chosen : ring.has(node) ? COLORS.beside : ink;
    context.lineWidth = hot.has(node) || ring.has(node) ? 3 : 1;
    context.stroke();
  }
  const short = xy.length <= 20 && labels.every((text) => text.length <= 3);
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const node of order) {
    if (short) {
      context.fillStyle = light(colors[node]) ? "#000" : "#fff";
      context.font = "10px system-ui, sans-serif";
      context.fillText(labels[node], ...xy[node]);
    } else if (hot.has(node)) {
      const [x, y] = xy[node];
      context.fillStyle = ink;
      context.font = "12px system-ui, sans-serif";
      context.fillText(labels[node].slice(0, 40), x, y - size * 2.2);
    }
  }
}

function light(hex) {
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

/** Draw curves over a common axis; a curve is `{x, y, color, dash, name}`. `cursor` is a place on the axis. */
export function drawCurves(context, width, height, { curves, ink, low = 0, high = 1, cursor = null, log = true, what, over }) {
  const [left, right, top, bottom] = [36, width - 8, 20, height - 32];
  const bend = (x) => (log ? Math.log10(1 + x) : x);
  const last = bend(Math.max(1, ...curves.map((c) => c.x.at(-1) ?? 0)));
  const px = (x) => left + (bend(x) / last) * (right - left);
  const py = (y) => bottom - ((Math.min(Math.max(y, low), high) - low) / (high - low || 1)) * (bottom - top);
  context.fillStyle = context.strokeStyle = ink;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, top);
  context.lineTo(left, bottom);
  context.lineTo(right, bottom);
  context.stroke();
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const y of [low, (low + high) / 2, high]) context.fillText(+y.toPrecision(2), left - 4, py(y));
  context.textAlign = "left";
  context.fillText(what, left, 8);
  context.textAlign = "center";
  const ticks = log ? [0, 10, 100, 1000, 10000, 100000] : [0, 0.5, 1].map((share) => Math.round(share * last));
  for (const x of ticks.filter((x) => bend(x) <= last)) {
    const half = context.measureText(String(x)).width / 2;
    context.fillText(String(x), Math.min(px(x), width - half), bottom + 11);
  }
  context.fillText(over, (left + right) / 2, bottom + 25);
  for (const { x, y, color, dash = [] } of curves) {
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.beginPath();
    x.forEach((at, k) => context[Number.isFinite(y[k - 1]) ? "lineTo" : "moveTo"](px(at), py(y[k]))); // a gap where there is no number
    context.stroke();
  }
  context.setLineDash([]);
  if (cursor !== null) {
    context.strokeStyle = ink;
    context.globalAlpha = 0.6;
    context.beginPath();
    context.moveTo(px(cursor), top);
    context.lineTo(px(cursor), bottom);
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** A legend of names in their colours, as text. */
export function legend(entries) {
  const line = (dash) => (dash ? "┄" : "━");
  return element("div", { class: "controls" }, ...entries.map(({ name, color, dash }) =>
    element("span", {}, element("span", { style: `color:${color}`, class: RANKS.includes(color) ? "rank" : null, "aria-hidden": "true" }, line(dash)), ` ${name}`)));
}

/** The node within reach of a pixel, or -1. */
export function nearest(xy, x, y, reach = 20) {
  let best = -1, least = reach * reach;
  xy.forEach((p, node) => { const d = (p[0] - x) ** 2 + (p[1] - y) ** 2; if (d < least) [best, least] = [node, d]; });
  return best;
}

/** Turn arrow keys into a walk over n nodes; Home and Escape too. */
export function walk(key, node, n) {
  const moves = { ArrowRight: (node + 1) % n, ArrowDown: (node + 1) % n, ArrowLeft: (node + n - 1 + (node < 0)) % n,
    ArrowUp: (node + n - 1 + (node < 0)) % n, Home: 0, End: n - 1, Escape: -1 };
  return key in moves ? moves[key] : null;
}

export function neighbours(n, edges) {
  const lists = Array.from({ length: n }, () => []);
  for (const [a, b] of edges) { lists[a].push(b); lists[b].push(a); }
  return lists;
}

/** The nodes from `from` to `to` on a shortest path, both included; empty when there is none. */
export function path(lists, from, to) {
  const before = Array(lists.length).fill(-1), queue = [to];
  before[to] = to;
  for (const u of queue) for (const v of lists[u]) if (before[v] < 0) { before[v] = u; queue.push(v); }
  if (before[from] < 0) return [];
  const found = [from];
  while (found.at(-1) !== to) found.push(before[found.at(-1)]);
  return found;
}

/** The book's colour of an angle, in turns. */
export function hue(turns) {
  const at = (((turns % 1) + 1) % 1) * TWILIGHT.length, k = Math.floor(at) % TWILIGHT.length, share = at - Math.floor(at);
  const parts = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  const [a, b] = [parts(TWILIGHT[k]), parts(TWILIGHT[(k + 1) % TWILIGHT.length])];
  return `#${a.map((v, i) => Math.round(v + share * (b[i] - v)).toString(16).padStart(2, "0")).join("")}`;
}

/** Read numbers that came as base64: `decode(text, Float32Array)`. */
export function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}
