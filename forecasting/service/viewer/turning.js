// Turning what the model sees, and turning its answer back.
import { rotation, upOf } from "./player/geometry.js";

// Rows of the matrix that turns a scene about its up axis (z where it has none, and in the plane).
export const turnOf = (scene, degrees) => rotation(upOf(scene), degrees);
export const transposed = (matrix) => matrix.map((_, row) => matrix.map((each) => each[row]));

// A vector of two or three numbers, or nulls.
export function turnVector(matrix, vector) {
  return vector && vector.map((value, row) => value === null ? null : vector.reduce((sum, each, column) => sum + matrix[row][column] * each, 0));
}

// The scene with positions and fields turned. kinds: of fields, name -> {irreps, per_frame}.
export function turnedScene(scene, matrix, kinds) {
  const fields = Object.fromEntries(Object.entries(scene.fields ?? {}).map(([name, values]) => {
    const kind = kinds[name];
    if (!kind || !/1|2|3|4|5|6|7|8|9/.test(kind.irreps.replace(/\d+x/g, ""))) return [name, values]; // scalars
    const turn = (row) => turnParts(matrix, row, kind.irreps, name);
    return [name, kind.per_frame ? values.map((frame) => frame.map(turn)) : values.map(turn)];
  }));
  return { ...scene, fields, positions: scene.positions.map((frame) => frame.map((at) => turnVector(matrix, at))) };
}

function turnParts(matrix, row, irreps, name) {
  if (!row) return row;
  const vector = row.length === 2 && /^(1x)?1[eo]$/.test(irreps) ? 2 : 3, found = [];
  for (const term of irreps.replaceAll(" ", "").split("+")) {
    const [, count, degree] = term.match(/^(?:(\d+)x)?(\d+)[eo]$/) ?? [];
    if (!(Number(degree) <= 1)) throw new Error(`the field ${name} (${irreps}) cannot be turned on this page; only numbers and vectors can`);
    for (let copy = 0; copy < Number(count ?? 1); copy += 1) {
      const part = row.slice(found.length, found.length + (degree === "1" ? vector : 1));
      found.push(...(degree === "1" ? turnVector(matrix, part) : part));
    }
  }
  return found;
}

// Positions (nodes × hypotheses × steps × coordinates) turned.
export const turnedPositions = (matrix, positions) =>
  positions.map((node) => node.map((hypothesis) => hypothesis.map((at) => turnVector(matrix, at))));

// Shapes of regions (nodes × hypotheses × steps × matrices) turned.
export const turnedShapes = (matrix, shapes) => shapes?.map((node) => node.map((hypothesis) => hypothesis.map((shape) =>
  transposed(transposed(shape.map((row) => turnVector(matrix, row))).map((column) => turnVector(matrix, column))))));

// √(Σ|back − plain|² / Σ|plain − anchor|²): how far the answer to the turned scene, turned back, is from the plain answer.
export function residual(plain, back, anchor) {
  let apart = 0, motion = 0;
  plain.forEach((node, n) => node.forEach((hypothesis, k) => hypothesis.forEach((at, step) => at.forEach((value, axis) => {
    apart += (back[n][k][step][axis] - value) ** 2;
    motion += (value - anchor[n][axis]) ** 2;
  }))));
  return motion > 0 ? Math.sqrt(apart / motion) : 0;
}
