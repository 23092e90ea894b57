// Directions, turning, and how a scene is looked at.

export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

// The direction that is up on the screen; +z where the data have none.
export function upOf(scene) {
  const up = [0, 0, 0];
  if (scene.up && scene.up !== "none") up["xyz".indexOf(scene.up[1])] = scene.up[0] === "-" ? -1 : 1;
  else up[2] = 1;
  return up;
}

// Three rows of the matrix that turns a vector about an axis of length 1 (Rodrigues).
export function rotation(axis, degrees) {
  const radians = degrees * Math.PI / 180, cos = Math.cos(radians), sin = Math.sin(radians);
  return [0, 1, 2].map((row) => [0, 1, 2].map((column) => {
    const third = 3 - row - column, sign = (column - row + 3) % 3 === 1 ? -1 : 1;
    return axis[row] * axis[column] * (1 - cos) + (row === column ? cos : sign * sin * axis[third]);
  }));
}

// Middle and radius of everything there is to draw in a scene.
export function boxOf(scene) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  const all = [scene.history, scene.truth, ...scene.forecasts];
  const each = (visit) => { for (const frames of all) for (const frame of frames) for (const point of frame) if (point) visit(point); };
  each((point) => point.forEach((value, axis) => {
    low[axis] = Math.min(low[axis], value);
    high[axis] = Math.max(high[axis], value);
  }));
  const middle = low.map((value, axis) => (value + high[axis]) / 2);
  let radius = 0;
  each((point) => { radius = Math.max(radius, Math.hypot(...point.map((value, axis) => value - middle[axis]))); });
  return { middle, radius: radius || 1, low: Math.min(dot(low, upOf(scene)), dot(high, upOf(scene))) };
}

// An orthographic view; up is up on the screen. Planar scenes are seen from above.
export class View {
  constructor(yaw = 0.5, pitch = 0.3, zoom = 1) {
    Object.assign(this, { yaw, pitch, zoom, width: 1, height: 1 });
  }

  look(scene, box, degrees) {
    Object.assign(this, { scene, box, degrees });
    this.aim();
  }

  aim() { // rows: right, up and towards the eye, in the scene's own directions before it was turned
    let rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    if (this.scene.dim === 3) {
      const up = upOf(this.scene), right = [up[1], up[2], up[0]], deep = cross(up, right);
      const mix = (a, b, c) => right.map((value, axis) => a * value + b * deep[axis] + c * up[axis]);
      const [cos, sin, level, tilt] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
      rows = [mix(cos, -sin, 0), mix(tilt * sin, tilt * cos, level), mix(-level * sin, -level * cos, tilt)];
      if (this.scene.handedness === "left") rows[0] = rows[0].map((value) => -value);
    }
    const turn = rotation(this.scene.axis ?? upOf(this.scene), this.degrees);
    const columns = [0, 1, 2].map((column) => turn.map((row) => row[column]));
    this.rows = rows.map((row) => columns.map((column) => dot(row, column)));
  }

  get size() { // pixels for a unit of length
    return Math.min(this.width, this.height) / 2 * 0.92 * this.zoom / this.box.radius;
  }

  orbit(yaw, pitch) {
    if (this.scene.dim === 2) return;
    this.yaw += yaw;
    this.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.pitch + pitch));
    this.aim();
  }

  magnify(factor) {
    this.zoom = Math.max(0.2, Math.min(20, this.zoom * factor));
  }

  outline(shape) { // of an ellipsoid as it is seen: its half axes [scene's unit], and the angle of the first, clockwise
    const [[a, b], [, d]] = this.rows.slice(0, 2).map((row) => {
      const along = shape.map((each) => dot(each, row));
      return this.rows.map((other) => dot(along, other));
    });
    const mean = (a + d) / 2, apart = Math.hypot((a - d) / 2, b);
    return [Math.sqrt(mean + apart), Math.sqrt(Math.max(mean - apart, 0)), -Math.atan2(b, (a - d) / 2) / 2];
  }

  project(point) { // pixels from the left and the top
    const at = point.map((value, axis) => value - this.box.middle[axis]);
    return [this.width / 2 + dot(this.rows[0], at) * this.size, this.height / 2 - dot(this.rows[1], at) * this.size];
  }
}

// Lower triangle L with L Lᵀ = a positive matrix (three rows): takes the unit ball to the ellipsoid xᵀ S⁻¹ x ≤ 1.
export function rootOf([[a], [b, c], [d, e, f]]) {
  const first = Math.sqrt(a), below = b / first, deep = d / first, second = Math.sqrt(c - below ** 2), third = (e - below * deep) / second;
  return [[first, 0, 0], [below, second, 0], [deep, third, Math.sqrt(Math.max(f - deep ** 2 - third ** 2, 0))]];
}
