// The phase diagram: a map over training's knobs, the embedding of every cell, and the call that trains it again.

import { board, button, chooser, decode, drawGraph, element, fit, frame, status, table } from "./kit.mjs";

const LOST = "diverged or went to zero";

export function mount(place, model) {
  const data = model.get("data"), { graph, axes } = data, [nx, ny, nb] = axes.map((axis) => axis.values.length);
  const n = graph.labels.length, [across, up, by] = axes;
  const measures = data.measures.map((m) => ({ ...m, values: decode(m.values, Float32Array), sd: m.sd && decode(m.sd, Float32Array) }));
  const places = decode(data.places, Int16Array), lost = decode(data.lost, Uint8Array), forgot = decode(data.forgot, Uint8Array);
  const box = frame(place, "The phase diagram");
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  let chosen = [...model.get("cell")], seen = chosen, area = null;

  const index = ([i, j, k]) => (k * ny + j) * nx + i;
  const measure = () => measures.find((m) => m.name === model.get("measure")) ?? measures[0];
  const call = () => data.call.map((part) => (typeof part === "number" ? axes[part].values[chosen[part]] : part)).join("");
  const hovering = () => index(seen) !== index(chosen);
  const number = (v) => (Number.isFinite(v) ? String(+v.toPrecision(3)) : "–");
  const knobs = ([i, j, k]) => [[across, i], [up, j], [by, k]].filter(([axis]) => axis.name)
    .map(([axis, at]) => `${axis.name} ${+axis.values[at]}`).join(", ");
  const told = (m, at) => `${number(m.values[at])}${m.sd && Number.isFinite(m.sd[at]) ? ` ± ${number(m.sd[at])}` : ""}`;

  // Controls
  const colour = chooser("colour", measures.map((m) => m.name), "", () => { set("measure", measures[colour.input.selectedIndex].name); show(); });
  const third = chooser(by.name || "none", by.values.map((v) => `${+v}`), "", () => pick([chosen[0], chosen[1], third.input.selectedIndex]));
  third.label.hidden = nb < 2;
  box.append(element("div", { class: "controls" }, colour.label, third.label));

  // Boards
  const boards = element("div", { class: "boards" });
  box.append(boards);
  const cellAt = (x, y) => {
    if (!area) return null;
    const i = Math.floor((x - area.left) / area.wide), j = ny - 1 - Math.floor((y - area.top) / area.high);
    return i >= 0 && i < nx && j >= 0 && j < ny ? [i, j, chosen[2]] : null;
  };
  const map = board(boards, { label: "The map", ratio: 0.9, draw: drawMap,
    point(x, y, event) {
      const cell = cellAt(x, y);
      if (cell && event.type === "pointerdown") pick(cell);
      else look(cell ?? chosen);
    },
    leave: () => look(chosen),
    keys(key) {
      const [i, j, k] = chosen, cell = { ArrowRight: [i + 1, j], ArrowLeft: [i - 1, j], ArrowUp: [i, j + 1], ArrowDown: [i, j - 1],
        Home: [0, j], End: [nx - 1, j] }[key];
      if (cell) pick([Math.min(Math.max(cell[0], 0), nx - 1), Math.min(Math.max(cell[1], 0), ny - 1), k]);
      return Boolean(cell);
    } });
  const picture = board(boards, { label: "The embedding", ratio: 0.9,
    draw(context, width, height, ink) {
      const at = index(seen), points = Array.from({ length: n }, (_, v) => [...places.subarray(2 * (at * n + v), 2 * (at * n + v) + 2)]);
      context.fillStyle = ink;
      context.textAlign = "center";
      if (points.flat().some(Boolean)) drawGraph(context, fit(points, width, height), { ...graph, ink });
      else context.fillText(`This training ${LOST}: no embedding.`, width / 2, height / 2, width - 10);
    } });
  const key = element("p", { style: "margin:0.2rem 0" }, data.seeds > 1
    ? `The embedding is that of the first of ${data.seeds} seeds, drawn to fill its frame.` : "The embedding is drawn to fill its frame.");
  if (forgot.some(Boolean)) key.append(` × edge recall below ${data.known}.`);
  if (lost.some(Boolean)) key.append(` ╱ a training ${LOST}.`);
  const answers = element("div", { role: "region", "aria-label": "Numbers of the cell" });
  const text = element("textarea", { readonly: true, "aria-label": "the call that trains the pinned cell again", spellcheck: "false", style: "field-sizing:content;min-height:0" });
  const copy = button("Copy the call", async () => {
    try {
      await navigator.clipboard.writeText(call());
      say("Copied.");
    } catch { // not allowed here: the reader copies
      text.focus();
      text.select();
      say("The call is selected: copy it with Ctrl+C.");
    }
  });
  const whose = element("p", { style: "margin:0.4rem 0 0.2rem" });
  box.append(key);
  const say = status(box);
  box.append(answers, whose, text, element("div", { class: "controls" }, copy));

  function drawMap(context, width, height, ink) {
    const m = measure(), [left, top, bar] = [50, 22, 12], bottom = height - 84, right = width - 8;
    const wide = (right - left) / nx, high = (bottom - top) / ny;
    area = { left, top, wide, high };
    const strip = context.createLinearGradient(left, 0, right, 0);
    m.colors.forEach((color, k) => strip.addColorStop(k / (m.colors.length - 1), color));
    const cross = (x, y, a, b) => {
      for (const [color, lineWidth] of [["#fff", 4], ["#000", 2]]) {
        Object.assign(context, { strokeStyle: color, lineWidth });
        context.beginPath();
        for (const [dx, dy] of [a, b]) { context.moveTo(x - dx, y - dy); context.lineTo(x + dx, y + dy); }
        context.stroke();
      }
    };
    for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
      const at = index([i, j, chosen[2]]), value = m.values[at], [x, y] = [left + i * wide, bottom - (j + 1) * high], d = Math.min(wide, high) / 4;
      context.fillStyle = Number.isFinite(value) ? mixed(m, value) : "#b0b0b0";
      context.fillRect(x, y, wide + 0.5, high + 0.5);
      const [cx, cy] = [x + wide / 2, y + high / 2];
      if (lost[at]) cross(cx, cy, [d, -d], [d, -d]);
      else if (forgot[at]) cross(cx, cy, [d, d], [d, -d]);
    }
    // The pinned cell has a solid frame; the one under the pointer a dashed one.
    const outline = ([i, j], dash, frames) => {
      for (const [color, lineWidth] of frames) {
        Object.assign(context, { strokeStyle: color, lineWidth });
        context.setLineDash(color === "#fff" ? dash : []);
        context.strokeRect(left + i * wide + 1, bottom - (j + 1) * high + 1, wide - 2, high - 2);
      }
      context.setLineDash([]);
    };
    if (hovering()) outline(seen, [4, 4], [["#000", 2], ["#fff", 2]]);
    outline(chosen, [], [["#000", 5], ["#fff", 2]]);
    // Names of the values where there is room, the names of the knobs, and the scale
    context.fillStyle = ink;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const every = Math.ceil(15 / high);
    up.values.forEach((v, j) => { if (j % every === 0) context.fillText(+v, left - 5, bottom - (j + 0.5) * high); });
    context.textAlign = "center";
    const room = Math.ceil((Math.max(...across.values.map((v) => context.measureText(`${+v}`).width)) + 8) / wide);
    across.values.forEach((v, i) => { if (i % room === 0) context.fillText(+v, left + (i + 0.5) * wide, bottom + 11); });
    context.fillText(`${across.name} →`, (left + right) / 2, bottom + 27);
    context.textAlign = "left";
    context.fillText(`↑ ${up.name}`, 2, 9);
    context.fillStyle = strip;
    context.fillRect(left, bottom + 44, right - left, bar);
    context.fillStyle = ink;
    [m.low, (m.low + m.high) / 2, m.high].forEach((v, k) => {
      context.textAlign = ["left", "center", "right"][k];
      context.fillText(+v.toPrecision(2), left + (k / 2) * (right - left), bottom + 66);
    });
    context.textAlign = "right";
    context.fillText("colour", left - 5, bottom + 50);
  }

  /** The colour of a value between two stops. */
  function mixed({ colors, low, high }, v) {
    const at = Math.min(Math.max((v - low) / (high - low), 0), 1) * (colors.length - 1), k = Math.min(Math.floor(at), colors.length - 2);
    const parts = (hex) => [1, 3, 5].map((p) => parseInt(hex.slice(p, p + 2), 16)), [a, b] = [parts(colors[k]), parts(colors[k + 1])];
    return `rgb(${a.map((c, p) => Math.round(c + (at - k) * (b[p] - c))).join()})`;
  }

  function look(cell) { if (index(cell) !== index(seen)) { seen = cell; show(); } }

  function pick(cell) {
    const changed = index(cell) !== index(chosen);
    chosen = seen = cell;
    if (changed) set("cell", cell);
    show();
  }

  function show() {
    const at = index(seen), m = measure(), gone = lost[at];
    colour.input.selectedIndex = measures.indexOf(m);
    third.input.selectedIndex = chosen[2];
    const warning = gone ? (data.seeds > 1 ? ` ${gone} of ${data.seeds} members ${LOST}.` : ` This training ${LOST}.`) : "";
    const line = `${knobs(seen)}: ${m.name} ${told(m, at)}.${warning}`;
    say(`${hovering() ? "Under the pointer (dashed)" : "Pinned"}: ${line}`);
    whose.textContent = `This call trains the pinned cell again (solid frame): ${knobs(chosen)}.${
      hovering() ? " The picture and the numbers above are those of the cell under the pointer; click to pin it." : ""}`;
    answers.replaceChildren(table(["measure", data.seeds > 1 ? `mean of ${data.seeds} seeds ± sd` : "value"],
      measures.map((each) => [each.name, told(each, at)])));
    text.value = call();
    map.describe(`A map of ${m.name} over ${across.name} and ${up.name}, ${nx} by ${ny} cells. ${line} Arrow keys choose a cell.`);
    picture.describe(`The embedding of ${graph.name} at ${knobs(seen)}.${warning}`);
    map.redraw();
    picture.redraw();
  }

  model.on("change:cell", () => { chosen = seen = [...model.get("cell")]; show(); });
  model.on("change:measure", show);
  show();
  place.explorable = { measures, places, chosen: () => chosen, call };
  return () => { map.stop(); picture.stop(); };
}
