// Draws marks with WebGL, as canvas.js does without it: lit bodies in depth, and thousands of them.
import {
  AmbientLight, BoxGeometry, Color, ColorManagement, DirectionalLight, DynamicDrawUsage, Group, InstancedMesh, LinearSRGBColorSpace,
  MeshBasicMaterial, MeshLambertMaterial, OrthographicCamera, Scene, SphereGeometry, WebGLRenderer,
} from "./three/three.min.js";
import { Lines } from "./lines.js";
import { rootOf } from "./player/geometry.js";
import { isNow } from "./player/marks.js";
import { placesAt, radiiAt, shapesAt, span } from "./player/moments.js";

ColorManagement.enabled = false; // colours as the style sheet says them
const MANY = 300; // nodes, from which on round things are coarser
const ROUND = { few: [[12, 8], [20, 14]], many: [[6, 4], [9, 6]] }; // segments around and along, of bodies and of regions
const BALL = 4, BOX = 6.4; // pixels: a radius, a side

export class WebglPen {
  constructor(antialias) { // fails where the browser has no WebGL
    this.renderer = new WebGLRenderer({ alpha: true, antialias });
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    this.canvas = this.renderer.domElement;
    this.camera = new OrthographicCamera();
    this.stage = new Scene();
    this.world = Object.assign(new Group(), { matrixAutoUpdate: false });
    const sun = new DirectionalLight(0xffffff, 2);
    sun.position.set(-1, 2, 3);
    this.stage.add(this.world, new AmbientLight(0xffffff, 1.6), sun);
    this.drawn = [];
  }

  load(view, marks, floor, colours) {
    for (const one of this.drawn) one.dispose();
    this.world.clear();
    Object.assign(this, { scene: view.scene, middle: view.box.middle });
    this.lines = [this.#grid(floor, colours.floor)];
    this.marks = marks.map((mark) => this.#mark(mark, new Color(colours[mark.name])));
    this.drawn = [...this.lines, ...this.marks.flatMap((mark) => [mark.balls, mark.regions].filter(Boolean))];
    this.world.add(...this.drawn.map((one) => one.mesh ?? one));
  }

  draw(view, moment) {
    const pixels = window.devicePixelRatio || 1, { size, rows } = view, reach = 4 * view.box.radius * size + view.width;
    this.renderer.setPixelRatio(pixels);
    this.renderer.setSize(view.width, view.height, false);
    const edges = { left: -view.width / 2, right: view.width / 2, top: view.height / 2, bottom: -view.height / 2, near: -reach, far: reach };
    Object.assign(this.camera, edges).updateProjectionMatrix();
    this.world.matrix.set(...rows.flatMap((row) => [...row.map((value) => value * size), 0]), 0, 0, 0, 1);
    for (const lines of this.lines) lines.aim(view, moment, pixels);
    for (const each of this.marks) this.#pose(each, view, moment);
    this.renderer.render(this.stage, this.camera);
  }

  #local(point) {
    return point.map((value, axis) => value - this.middle[axis]);
  }

  #grid(floor, colour) {
    const lines = new Lines(floor.length, { colour: new Color(colour), width: 1 }, 0);
    for (const [from, to] of floor) lines.add(this.#local(from), this.#local(to));
    lines.done();
    return lines;
  }

  #mark(mark, colour) {
    const { width, dash, body } = mark.way, { frames, start, opacity } = mark, { times } = this.scene, nodes = frames[0].length;
    const paths = new Lines(Math.max(frames.length - 1, 1) * nodes, { colour, width, dash, opacity, faint: 0.22 }, 1);
    for (let node = 0; node < nodes; node += 1) {
      let along = 0;
      for (let index = 1; index < frames.length; index += 1) {
        const [a, b] = [frames[index - 1][node], frames[index][node]];
        if (!a || !b) continue;
        const next = along + Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]);
        paths.add(this.#local(a), this.#local(b), [times[start + index - 1], times[start + index]], [along, next]);
        along = next;
      }
    }
    paths.done();
    const bones = new Lines(Math.max(this.scene.edges?.length ?? 0, 1), { colour, width: 1.6, opacity: body === "bones" ? 0.5 : 1 }, 2);
    this.lines.push(paths, bones);
    const [fine, large] = nodes < MANY ? ROUND.few : ROUND.many, solid = new MeshLambertMaterial({ color: colour });
    const shape = body === "box" ? new BoxGeometry(1, 1, 1) : new SphereGeometry(1, ...fine);
    const balls = body === "ball" || body === "box" ? instances(shape, solid, nodes, 0) : null;
    const veil = () => new MeshBasicMaterial({ color: colour, transparent: true, opacity: mark.veil, depthWrite: false });
    const regions = mark.radii ? instances(new SphereGeometry(1, ...large), veil(), nodes, 3) : null;
    return { mark, bones, balls, regions };
  }

  #pose({ mark, bones, balls, regions }, view, moment) { // bodies, their connections and regions at a moment
    const here = isNow(mark, moment) && span(this.scene.times, mark, moment);
    const places = here ? placesAt(mark, here).map((at) => at && this.#local(at)) : [];
    const size = (mark.way.body === "box" ? BOX : BALL) / view.size, around = here && regions;
    const radii = around && radiiAt(mark, here), shapes = around && shapesAt(mark, here);
    bones.clear();
    if (mark.way.body !== "none") {
      for (const [a, b] of this.scene.edges ?? []) if (places[a] && places[b]) bones.add(places[a], places[b]);
    }
    bones.done();
    if (balls) put(balls, places, () => size);
    if (regions) put(regions, places, (node) => radii[node], shapes && ((node) => rootOf(shapes[node])));
  }
}

function instances(geometry, material, room, order) {
  const mesh = new InstancedMesh(geometry, material, Math.max(room, 1));
  mesh.instanceMatrix.setUsage(DynamicDrawUsage);
  mesh.addEventListener("dispose", () => { geometry.dispose(); material.dispose(); });
  return Object.assign(mesh, { frustumCulled: false, renderOrder: order });
}

const BALL_ROOT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

function put(mesh, places, sizeOf, rootAt) {
  const matrices = mesh.instanceMatrix.array;
  mesh.count = 0;
  places.forEach((at, node) => {
    const size = sizeOf(node);
    if (!at || !size) return;
    const root = rootAt ? rootAt(node) : BALL_ROOT;
    const columns = [0, 1, 2].flatMap((column) => [...root.map((row) => size * row[column]), 0]);
    matrices.set([...columns, ...at, 1], 16 * mesh.count);
    mesh.count += 1;
  });
  mesh.instanceMatrix.needsUpdate = true;
}
