// Node2Vec in the browser, in float64: the flow of geomem.gradient_flow, and the eigenspaces of geomem.Spectrum.

import { neighbours } from "./kit.mjs";

const TOL = 1e-8; // eigenvalues closer than this share an eigenspace

/** Standard normal numbers from a seed (mulberry32, Box and Muller). */
export function normal(seed, count) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return Float64Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** W = D^-1 A, row-major n x n; a node without neighbours keeps a row of zeros. */
export function randomWalk(n, edges, selfEdges) {
  const W = new Float64Array(n * n);
  for (const [a, b] of edges) W[a * n + b] = W[b * n + a] = 1;
  for (let u = 0; selfEdges && u < n; u++) W[u * n + u] = 1;
  for (let u = 0; u < n; u++) {
    const row = W.subarray(u * n, u * n + n), degree = row.reduce((a, b) => a + b, 0);
    if (degree) row.forEach((value, v) => { row[v] = value / degree; });
  }
  return W;
}

/**
 * One tied layer, full-batch gradient descent: V <- V + lr (C V - decay V), C = (W - P) + (W - P)^T, P = softmax(V V^T). With
 * `facts`, pairs u, v, nothing but these is trained, and of C only their own rows count.
 */
export class Flow {
  constructor(n, edges, { dim, lr, decay = 0, selfEdges = false, start, facts = null }) {
    Object.assign(this, { n, dim, lr, decay, steps: 0, W: randomWalk(n, edges, selfEdges), V: Float64Array.from(start) });
    this.rows = new Float64Array(n).fill(facts ? 0 : 1);
    if (facts) this.W.fill(0);
    for (const [u, v] of facts ?? []) this.W[u * n + v] = this.rows[u] = 1;
    this.gram = new Float64Array(n * n);
    this.P = new Float64Array(n * n);
    this.look();
  }

  /** Fill the Gram matrix, P and the loss (mean over nodes, nats, without the decay's penalty) of the table as it is. */
  look() {
    const { n, dim, V, gram, P, W } = this;
    for (let i = 0; i < n; i++) {
      for (let j = i; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < dim; k++) sum += V[i * dim + k] * V[j * dim + k];
        gram[i * n + j] = gram[j * n + i] = sum;
      }
    }
    let loss = 0;
    for (let i = 0; i < n; i++) {
      let top = -Infinity, total = 0;
      for (let j = 0; j < n; j++) top = Math.max(top, gram[i * n + j]);
      for (let j = 0; j < n; j++) total += P[i * n + j] = Math.exp(gram[i * n + j] - top);
      for (let j = 0; j < n; j++) {
        loss -= W[i * n + j] * (gram[i * n + j] - top - Math.log(total));
        P[i * n + j] /= total;
      }
    }
    this.loss = loss / n;
  }

  step(count = 1) {
    const { n, dim, V, P, W, rows } = this;
    for (let s = 0; s < count; s++) {
      const change = new Float64Array(n * dim);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const c = W[i * n + j] - rows[i] * P[i * n + j] + W[j * n + i] - rows[j] * P[j * n + i];
          for (let k = 0; k < dim; k++) change[i * dim + k] += c * V[j * dim + k];
        }
      }
      for (let k = 0; k < n * dim; k++) V[k] += this.lr * (change[k] - this.decay * V[k]);
      this.steps++;
      this.look();
    }
  }

  /** Move one row of the table, by so much along each of two axes. */
  move(node, [x, y], [right, up]) {
    for (let k = 0; k < this.dim; k++) this.V[node * this.dim + k] += x * right[k] + y * up[k];
    this.look();
  }

  /** Go back to a table that was there before. */
  rewind(steps, V) {
    this.steps = steps;
    this.V.set(V);
    this.look();
  }
}

/** Eigenvalues and orthonormal eigenvectors (as rows) of a symmetric matrix, largest first, by Jacobi's rotations. */
export function eigen(matrix, n) {
  const A = Float64Array.from(matrix), Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) Q[i * n + i] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += A[p * n + q] ** 2;
    if (off < 1e-26) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(A[p * n + q]) < 1e-300) continue;
        const angle = (A[q * n + q] - A[p * n + p]) / (2 * A[p * n + q]);
        const t = (angle >= 0 ? 1 : -1) / (Math.abs(angle) + Math.hypot(1, angle)), c = 1 / Math.hypot(1, t), s = t * c;
        for (let k = 0; k < n; k++) {
          const [a, b] = [A[k * n + p], A[k * n + q]];
          [A[k * n + p], A[k * n + q]] = [c * a - s * b, s * a + c * b];
        }
        for (let k = 0; k < n; k++) {
          const [a, b] = [A[p * n + k], A[q * n + k]];
          [A[p * n + k], A[q * n + k]] = [c * a - s * b, s * a + c * b];
          const [x, y] = [Q[p * n + k], Q[q * n + k]];
          [Q[p * n + k], Q[q * n + k]] = [c * x - s * y, s * x + c * y];
        }
      }
    }
  }
  const order = Array.from({ length: n }, (_, k) => k).sort((a, b) => A[b * n + b] - A[a * n + a]);
  return { values: order.map((k) => A[k * n + k]), vectors: order.map((k) => Q.subarray(k * n, k * n + n)) };
}

/** S = W + W^T, whose eigenspaces are the directions in which a table learns fast or slowly. */
export function symmetricWalk(n, edges, selfEdges) {
  return randomWalk(n, edges, selfEdges).map((value, k, W) => value + W[(k % n) * n + Math.floor(k / n)]);
}

/**
 * The spectrum of S as geomem.Spectrum has it: `trivial` holds the top eigenvector of every connected component, `spaces` the
 * eigenspaces of all other directions, largest eigenvalue first, `[{value, vectors}]`.
 */
export function spectrum(n, edges, selfEdges) {
  const S = symmetricWalk(n, edges, selfEdges), trivial = [], others = [], spaces = [];
  for (const nodes of components(n, edges)) {
    const m = nodes.length, part = Float64Array.from({ length: m * m }, (_, k) => S[nodes[Math.floor(k / m)] * n + nodes[k % m]]);
    const { values, vectors } = eigen(part, m);
    vectors.forEach((short, k) => {
      const vector = new Float64Array(n);
      nodes.forEach((node, i) => { vector[node] = short[i]; });
      if (k) others.push({ value: values[k], vector });
      else trivial.push(vector);
    });
  }
  others.sort((a, b) => b.value - a.value).forEach(({ value, vector }, k) => {
    if (k && others[k - 1].value - value < TOL) spaces.at(-1).vectors.push(vector);
    else spaces.push({ value, vectors: [vector] });
  });
  return { trivial, spaces };
}

function components(n, edges) {
  const lists = neighbours(n, edges), seen = new Set(), found = [];
  for (let start = 0; start < n; start++) {
    if (seen.has(start)) continue;
    const nodes = [start];
    seen.add(start);
    for (const u of nodes) for (const v of lists[u]) if (!seen.has(v)) { seen.add(v); nodes.push(v); }
    found.push(nodes);
  }
  return found;
}

/** The decay from which on the table dies out: the largest eigenvalue of C at V = 0, which is S - (2 / n) 1 1^T. */
export function cutoff(n, edges, selfEdges) {
  return eigen(symmetricWalk(n, edges, selfEdges).map((value) => value - 2 / n), n).values[0];
}

/**
 * Where the table's energy lies; it needs the Gram matrix alone. `trivial` is a share of all energy, `shares` are those of the
 * non-trivial energy, one an eigenspace, as in Spectrum.cumulative_energy; NaN where there is no energy to share out.
 */
export function energies({ trivial, spaces }, gram, n) {
  const along = (e) => e.reduce((sum, ei, i) => sum + ei * e.reduce((row, ej, j) => row + gram[i * n + j] * ej, 0), 0);
  const total = (vectors) => vectors.reduce((sum, e) => sum + along(e), 0);
  const idle = total(trivial), parts = spaces.map(({ vectors }) => total(vectors)), rest = parts.reduce((a, b) => a + b, 0);
  return { trivial: idle / (idle + rest), shares: parts.map((part) => (rest > 1e-12 * idle ? part / rest : NaN)) };
}

/** The mean cosine of rows a and b of a table, over pairs; NaN where there is no pair or a row is zero. */
export function cosine(pairs, gram, n) {
  const one = ([a, b]) => gram[a * n + b] / Math.sqrt(gram[a * n + a] * gram[b * n + b]);
  return pairs.reduce((sum, pair) => sum + one(pair), 0) / pairs.length;
}

/**
 * A table on the two leading principal components of some of its rows (all, if `among` is null), turned to resemble `target`,
 * `[[x, y], ...]`. Returns places and the two axes; the axes of the picture before, `warm`, make the next one a small change.
 */
export function plane({ V, n, dim }, target, { among = null, warm = null } = {}) {
  const row = (i) => V.subarray(i * dim, i * dim + dim), rows = Array.from(among ?? Array(n).keys(), row);
  const mean = Float64Array.from({ length: dim }, (_, k) => rows.reduce((sum, v) => sum + v[k], 0) / rows.length);
  const centred = rows.map((v) => v.map((value, k) => value - mean[k]));
  const times = (axis) => {
    const sum = new Float64Array(dim);
    for (const v of centred) { const along = dot(v, axis); for (let k = 0; k < dim; k++) sum[k] += along * v[k]; }
    return sum;
  };
  let axes = warm ?? [1, 2].map((k) => Float64Array.from({ length: dim }, (_, i) => Math.sin(1.3 * (i + 1) * k) + 0.1));
  for (let round = warm ? 60 : 300; round >= 0; round--) axes = orthonormal(round ? axes.map(times) : axes, axes);
  const flat = Array.from({ length: n }, (_, i) => axes.map((axis) => dot(row(i), axis) - dot(mean, axis)));
  const turn = turned(flat, target), turns = ([a, b]) => turn.map(([x, y]) => x * a + y * b);
  return { places: flat.map(turns), axes: turn.map(([x, y]) => axes[0].map((value, k) => x * value + y * axes[1][k])) };
}

const dot = (a, b) => { let sum = 0; for (let k = 0; k < a.length; k++) sum += a[k] * b[k]; return sum; };

/** Make two vectors orthonormal; one that is lost, as in a table of a single direction, is replaced by one of `before`. */
function orthonormal([a, b], before) {
  const unit = (v) => { const size = Math.sqrt(dot(v, v)); return size > 0 ? v.map((value) => value / size) : null; };
  const first = unit(a) ?? unit(before[0]);
  for (const v of [b, before[1], before[0]].map(unit)) {
    const rest = v?.map((value, k) => value - dot(v, first) * first[k]);
    if (rest && dot(rest, rest) > 1e-16) return [first, unit(rest)];
  }
  return [first, before[1]];
}

/** The rotation or reflection of the plane that lays points best on the target (Procrustes in two dimensions), 2 x 2. */
function turned(flat, target) {
  let [xx, xy, yx, yy] = [0, 0, 0, 0];
  flat.forEach(([x, y], k) => { const [u, v] = target[k]; xx += x * u; xy += x * v; yx += y * u; yy += y * v; });
  const rotation = [xx + yy, xy - yx], mirror = [xx - yy, xy + yx];
  const flip = Math.hypot(...mirror) > Math.hypot(...rotation), [c, s] = flip ? mirror : rotation, length = Math.hypot(c, s);
  const [cos, sin] = length > 0 ? [c / length, s / length] : [1, 0];
  return flip ? [[cos, sin], [sin, -cos]] : [[cos, -sin], [sin, cos]];
}
