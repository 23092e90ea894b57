// One scene of a file, with the model that forecasts it: which frames the model sees, and what comes after.

export class Clip {
  constructor(scene, model) {
    this.scene = scene;
    this.model = model;
    this.times = scene.time ?? scene.positions.map((_, index) => index * scene.dt);
    this.dt = this.times.length > 1 ? (this.times.at(-1) - this.times[0]) / (this.times.length - 1) : model.dt;
  }

  get ids() { return this.scene.node_ids ?? this.scene.positions[0].map((_, node) => node); }

  get last() { return this.times.length - 1; }

  get first() { // the first frame with a whole history; in a shorter clip, the last frame
    return Math.min(this.model.frames - 1, this.last);
  }

  get start() { // where there is a truth to compare with, if there can be one
    return Math.max(this.first, this.last - Math.max(...this.model.horizon) * this.model.step);
  }

  // Indices of the frames that the model sees.
  seen(anchor) {
    const first = Math.max(anchor + 1 - this.model.frames, 0);
    return Array.from({ length: anchor + 1 - first }, (_, index) => first + index);
  }

  // The scene as it is sent.
  upTo(anchor) {
    const seen = this.seen(anchor), { dt, ...scene } = this.scene;
    const fields = Object.entries(scene.fields ?? {}).filter(([name]) => name in this.model.fields);
    const cut = ([name, values]) => [name, this.model.fields[name].per_frame ? seen.map((index) => values[index]) : values];
    return {
      ...scene, time: seen.map((index) => this.times[index]), positions: seen.map((index) => scene.positions[index]),
      fields: Object.fromEntries(fields.map(cut)),
    };
  }

  // Positions (nodes, null where unknown) at a time; null where the clip has no such frame.
  at(time) {
    const near = Math.round((time - this.times[0]) / this.dt);
    const index = [near - 1, near, near + 1].find((each) => Math.abs(this.times[each] - time) < 0.3 * this.dt);
    return index === undefined ? null : this.scene.positions[index];
  }
}
