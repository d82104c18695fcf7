// Node2Vec in the browser, in float64: the flow of geomem.gradient_flow, and the eigenspaces of geomem.Spectrum.

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

/** One tied layer trained by full-batch gradient descent: V <- V + lr C V, C = (W - P) + (W - P)^T, P = softmax(V V^T). */
export class Flow {
  constructor(n, edges, { dim, lr, selfEdges, start }) {
    Object.assign(this, { n, dim, lr, steps: 0, W: randomWalk(n, edges, selfEdges), V: Float64Array.from(start) });
    this.gram = new Float64Array(n * n);
    this.P = new Float64Array(n * n);
    this.look();
  }

  /** Fill the Gram matrix, P and the loss (mean over nodes, nats) of the table as it is. */
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
    const { n, dim, V, P, W } = this;
    for (let s = 0; s < count; s++) {
      const change = new Float64Array(n * dim);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const c = W[i * n + j] - P[i * n + j] + W[j * n + i] - P[j * n + i];
          for (let k = 0; k < dim; k++) change[i * dim + k] += c * V[j * dim + k];
        }
      }
      for (let k = 0; k < n * dim; k++) V[k] += this.lr * change[k];
      this.steps++;
      this.look();
    }
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

/** The eigenspaces of S = W + W^T, largest eigenvalue first: `[{value, vectors}]`. */
export function eigenspaces(n, edges, selfEdges) {
  const W = randomWalk(n, edges, selfEdges), spaces = [];
  const { values, vectors } = eigen(W.map((value, k) => value + W[(k % n) * n + Math.floor(k / n)]), n);
  values.forEach((value, k) => {
    if (spaces.length && Math.abs(values[k - 1] - value) < TOL) spaces.at(-1).vectors.push(vectors[k]);
    else spaces.push({ value, vectors: [vectors[k]] });
  });
  return spaces;
}

/** The share of the table's energy in every eigenspace; it needs the Gram matrix alone. */
export function energies(spaces, gram, n) {
  let total = 0;
  for (let i = 0; i < n; i++) total += gram[i * n + i];
  return spaces.map(({ vectors }) => {
    let sum = 0;
    for (const e of vectors) for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) sum += e[i] * gram[i * n + j] * e[j];
    return sum / total;
  });
}

/** Two leading principal components of a table, from its Gram matrix; turned to resemble `target`, `[[x, y], ...]`. */
export function plane(gram, n, target, warm) {
  const mean = new Float64Array(n), K = new Float64Array(n * n);
  let whole = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) mean[i] += gram[i * n + j] / n;
  for (let i = 0; i < n; i++) whole += mean[i] / n;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) K[i * n + j] = gram[i * n + j] - mean[i] - mean[j] + whole;
  const times = (v) => v.map((_, i) => { let sum = 0; for (let j = 0; j < n; j++) sum += K[i * n + j] * v[j]; return sum; });
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  let [a, b] = warm ?? [0, 1].map((k) => Float64Array.from({ length: n }, (_, i) => Math.sin(1.3 * (i + 1) * (k + 1)) + 0.1));
  for (let round = 0; round < (warm ? 60 : 300); round++) {
    [a, b] = [times(a), times(b)];
    const la = Math.sqrt(dot(a, a)) || 1;
    a = a.map((v) => v / la);
    const overlap = dot(a, b);
    b = b.map((v, k) => v - overlap * a[k]);
    const lb = Math.sqrt(dot(b, b)) || 1;
    b = b.map((v) => v / lb);
  }
  // Within the plane: the symmetric 2 x 2 matrix of K, whose square root gives coordinates in any basis of the plane.
  const [Ka, Kb] = [times(a), times(b)], p = dot(a, Ka), q = dot(a, Kb), r = dot(b, Kb);
  const det = Math.sqrt(Math.max(p * r - q * q, 0)), scale = Math.sqrt(Math.max(p + r + 2 * det, 1e-300));
  const [s, t, u] = [(p + det) / scale, q / scale, (r + det) / scale];
  const flat = Array.from(a, (_, i) => [a[i] * s + b[i] * t, a[i] * t + b[i] * u]);
  return { places: turned(flat, target), warm: [a, b] };
}

/** Rotate or reflect points in the plane so that they lie best on the target (Procrustes in two dimensions). */
export function turned(flat, target) {
  let [xx, xy, yx, yy] = [0, 0, 0, 0];
  flat.forEach(([x, y], k) => { const [u, v] = target[k]; xx += x * u; xy += x * v; yx += y * u; yy += y * v; });
  const rotation = [xx + yy, xy - yx], mirror = [xx - yy, xy + yx];
  const flip = Math.hypot(...mirror) > Math.hypot(...rotation), [c, s] = flip ? mirror : rotation;
  const length = Math.hypot(c, s) || 1, [cos, sin] = [c / length, s / length];
  return flat.map(([x, y]) => (flip ? [cos * x + sin * y, sin * x - cos * y] : [cos * x - sin * y, sin * x + cos * y]));
}
