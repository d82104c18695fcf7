// Graphs as the page needs them: edges that a reader types, where their nodes lie, and the arms of a star.

import { hue, path } from "./kit.mjs";
import { spectrum } from "./node2vec.mjs";

export const OWN = "your own edges";
export const EXAMPLE = "Ada, Ben\nBen, Cyd\nCyd, Dan\nDan, Eve\nEve, Ada\nEve, Fay\nFay, Gus";
const MOST = 60, LETTERS = 20_000;

/** Read edges, one a line, two names apart by a comma or a space; throws an error that says what is wrong. */
export function typed(text) {
  if (text.length > LETTERS) throw new Error(`The edges may have ${LETTERS.toLocaleString("en")} letters here, got ${text.length.toLocaleString("en")}. Take a part of them.`);
  const labels = [], edges = new Map();
  const node = (name) => { if (!labels.includes(name)) labels.push(name); return labels.indexOf(name); };
  text.split("\n").forEach((line, number) => {
    if (!line.trim() || line.trim().startsWith("#")) return;
    const names = line.split(line.includes(",") ? "," : /\s+/).map((name) => name.trim()).filter(Boolean);
    if (names.length !== 2) throw new Error(`Line ${number + 1} must hold two names, got ${names.length}.`);
    const [a, b] = names.map(node);
    if (a === b) throw new Error(`Line ${number + 1} joins a node to itself; tick “self edges” instead.`);
    edges.set(`${Math.min(a, b)} ${Math.max(a, b)}`, [a, b]);
  });
  if (labels.length < 3) throw new Error(`An own graph must have at least 3 nodes, got ${labels.length}.`);
  if (labels.length > MOST) throw new Error(`An own graph may have ${MOST} nodes here, got ${labels.length}.`);
  return { name: OWN, labels, edges: [...edges.values()], root: null };
}

/** Lay an own graph out by its slow eigenvectors, and colour each node by its angle there. */
export function laidOut(graph) {
  const n = graph.labels.length, { trivial, spaces } = spectrum(n, graph.edges, false);
  const slow = [...trivial, ...spaces.flatMap(({ vectors }) => vectors)].slice(1, 3);
  const places = Array.from({ length: n }, (_, i) => [slow[0][i], slow[1][i]]);
  return { ...graph, places, colors: places.map(([x, y]) => hue(Math.atan2(y, x) / (2 * Math.PI) + 0.15)) };
}

/** The ways from every leaf to the root, in a graph that has one. */
export function armsOf({ labels, root }, lists) {
  if (root === null) return [];
  const leaves = labels.map((_, node) => node).filter((node) => node !== root && lists[node].length === 1);
  return leaves.map((leaf) => path(lists, leaf, root)).filter((way) => way.length > 2);
}
