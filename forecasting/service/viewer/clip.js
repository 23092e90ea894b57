// One scene of a file as a model wants it: frames at the model's rate up to the one that is forecast from.

const CLOCK = 0.01; // share of a frame by which clocks may differ

export class Clip {
  constructor(scene, model) {
    this.scene = scene;
    this.model = model;
    this.times = scene.time ?? scene.positions.map((_, index) => index * scene.dt);
    this.dt = this.times.length > 1 ? (this.times.at(-1) - this.times[0]) / (this.times.length - 1) : model.dt;
    const ratio = model.dt / this.dt, whole = Math.round(ratio);
    this.stride = whole > 1 && Math.abs(ratio - whole) < CLOCK * whole ? whole : 1; // every so many frames are shown to the model
  }

  get ids() { return this.scene.node_ids ?? this.scene.positions[0].map((_, node) => node); }

  get last() { return this.times.length - 1; }

  get first() { // the first frame with a whole history; in a shorter clip, the last frame
    return Math.min((this.model.frames - 1) * this.stride, this.last);
  }

  get start() { // where there is a truth to compare with, if there can be one
    const ahead = Math.max(...this.model.horizon) * this.model.step * this.stride;
    return Math.max(this.first, this.last - ahead);
  }

  // Indices of the frames that the model sees.
  seen(anchor) {
    const all = Array.from({ length: this.model.frames }, (_, back) => anchor - back * this.stride);
    return all.filter((index) => index >= 0).reverse();
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
