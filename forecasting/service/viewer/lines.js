// Many lines in one buffer: each has a width in pixels, dashes, and the moment from which it is drawn strongly.
import { BufferAttribute, BufferGeometry, DynamicDrawUsage, Mesh, ShaderMaterial } from "./three/three.min.js";

const CORNERS = [[0, -1, 0], [1, -1, 0], [1, 1, 0], [0, 1, 0]]; // of a line's rectangle: its start or end, its side
const NUMBERS = { position: 3, from: 3, to: 3, moments: 2, along: 2 }; // of each corner; position is the corner itself

const VERTEX = `
  attribute vec3 from;
  attribute vec3 to;
  attribute vec2 moments;
  attribute vec2 along;
  uniform vec2 viewport;
  uniform float width;
  varying float moment, place, side;
  void main() {
    vec4 start = projectionMatrix * modelViewMatrix * vec4(from, 1.0), end = projectionMatrix * modelViewMatrix * vec4(to, 1.0);
    vec2 way = (end.xy - start.xy) * viewport;
    vec2 ahead = length(way) > 1e-6 ? normalize(way) : vec2(1.0, 0.0);
    gl_Position = mix(start, end, position.x);
    gl_Position.xy += vec2(-ahead.y, ahead.x) * position.y * (width + 1.0) / viewport;
    moment = mix(moments.x, moments.y, position.x);
    place = mix(along.x, along.y, position.x);
    side = position.y * (width + 1.0) / 2.0;
  }`;

const FRAGMENT = `
  uniform vec3 colour;
  uniform float width, opacity, faint, now, size;
  uniform vec2 dash;
  varying float moment, place, side;
  void main() {
    float strength = opacity * (moment <= now ? 1.0 : faint) * clamp(width / 2.0 + 0.5 - abs(side), 0.0, 1.0);
    if (dash.y > 0.0 && mod(place * size, dash.x + dash.y) > dash.x + width) discard;
    gl_FragColor = vec4(colour, strength);
  }`;

export class Lines {
  // style: colour (three numbers from 0 to 1), width and dash [pixels], opacity, and `faint` for what is yet to come.
  constructor(room, { colour, width, dash = [], opacity = 1, faint = 1 }, order) {
    this.geometry = new BufferGeometry();
    for (const [name, numbers] of Object.entries(NUMBERS)) {
      this.geometry.setAttribute(name, new BufferAttribute(new Float32Array(4 * numbers * room), numbers).setUsage(DynamicDrawUsage));
    }
    const corners = new Uint32Array(6 * room);
    for (let line = 0; line < room; line += 1) corners.set([0, 1, 2, 0, 2, 3].map((corner) => 4 * line + corner), 6 * line);
    this.geometry.setIndex(new BufferAttribute(corners, 1));
    this.style = { width, dash: dash.length ? dash : [1, 0] };
    const uniforms = { colour, width, opacity, faint, dash: [1, 0], now: 0, size: 1, viewport: [1, 1] };
    this.material = new ShaderMaterial({
      vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true, depthWrite: false, side: 2,
      uniforms: Object.fromEntries(Object.entries(uniforms).map(([name, value]) => [name, { value }])),
    });
    this.mesh = Object.assign(new Mesh(this.geometry, this.material), { frustumCulled: false, renderOrder: order });
    this.clear();
  }

  clear() { this.count = 0; }

  add(from, to, moments = [-Infinity, -Infinity], along = [0, 0]) {
    const { attributes } = this.geometry;
    CORNERS.forEach((corner, index) => {
      const at = 4 * this.count + index;
      attributes.position.array.set(corner, 3 * at);
      attributes.from.array.set(from, 3 * at);
      attributes.to.array.set(to, 3 * at);
      attributes.moments.array.set(moments, 2 * at);
      attributes.along.array.set(along, 2 * at);
    });
    this.count += 1;
  }

  done() { // after the last `add`
    this.geometry.setDrawRange(0, 6 * this.count);
    for (const name of Object.keys(NUMBERS)) this.geometry.attributes[name].needsUpdate = true;
  }

  aim(view, moment, pixels) { // pixels: of the screen for one of the page
    const { uniforms } = this.material;
    uniforms.now.value = moment + 1e-6;
    uniforms.width.value = this.style.width * pixels;
    uniforms.dash.value = this.style.dash.map((length) => length * pixels);
    uniforms.size.value = view.size * pixels;
    uniforms.viewport.value = [view.width * pixels, view.height * pixels];
  }

  dispose() {
    this.geometry.dispose();
    this.material.dispose();
  }
}
