// Draws marks on a plain canvas; needs nothing of the machine.
import { isNow } from "./marks.js";
import { placesAt, radiiAt, shapesAt, span } from "./moments.js";

export class CanvasPen {
  constructor() {
    this.canvas = document.createElement("canvas");
  }

  load(view, marks, floor, colours) { // floor: pairs of ends
    Object.assign(this, { scene: view.scene, marks, floor, colours });
  }

  draw(view, moment) {
    const pixels = window.devicePixelRatio || 1;
    this.canvas.width = view.width * pixels;
    this.canvas.height = view.height * pixels;
    const pen = this.canvas.getContext("2d");
    pen.scale(pixels, pixels);
    pen.lineCap = "round";
    this.#path(pen, this.colours.floor, 1, 1, []);
    for (const ends of this.floor) this.#line(pen, view, ends);
    pen.stroke();
    for (const mark of this.marks) {
      const { width, dash } = mark.way, colour = this.colours[mark.name], here = span(this.scene.times, mark, moment);
      this.#path(pen, colour, 0.22 * mark.opacity, width, dash);
      this.#paths(pen, view, mark, mark.frames.length - 1, null);
      const places = here && placesAt(mark, here), seen = here ? here.index : moment > 0 ? mark.frames.length - 1 : 0;
      this.#path(pen, colour, mark.opacity, width, dash);
      this.#paths(pen, view, mark, seen, places);
      if (here && isNow(mark, moment)) {
        if (mark.radii) this.#regions(pen, view, mark, places, radiiAt(mark, here), shapesAt(mark, here));
        this.#bodies(pen, view, mark, places);
      }
    }
    pen.globalAlpha = 1;
  }

  #path(pen, colour, opacity, width, dash) {
    pen.strokeStyle = pen.fillStyle = colour;
    pen.globalAlpha = opacity;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.beginPath();
  }

  #line(pen, view, [from, to]) {
    pen.moveTo(...view.project(from));
    pen.lineTo(...view.project(to));
  }

  #paths(pen, view, mark, last, places) { // every node's, up to a frame and on to a place
    mark.frames[0].forEach((_, node) => {
      let drawing = false;
      for (let index = 0; index <= last; index += 1) {
        const point = mark.frames[index][node];
        if (point) pen[drawing ? "lineTo" : "moveTo"](...view.project(point));
        drawing = Boolean(point);
      }
      if (drawing && places?.[node]) pen.lineTo(...view.project(places[node]));
    });
    pen.stroke();
  }

  #regions(pen, view, mark, places, radii, shapes) {
    this.#path(pen, this.colours[mark.name], mark.veil, 1, []);
    places.forEach((place, node) => {
      if (!place) return;
      const [x, y] = view.project(place), [long, wide, angle] = shapes ? view.outline(shapes[node]) : [1, 1, 0];
      const size = radii[node] * view.size;
      pen.moveTo(x + size * long * Math.cos(angle), y + size * long * Math.sin(angle));
      pen.ellipse(x, y, size * long, size * wide, angle, 0, 2 * Math.PI);
    });
    pen.fill();
  }

  #bodies(pen, view, mark, places) {
    const at = places.map((place) => place && view.project(place)), colour = this.colours[mark.name], { body } = mark.way;
    if (body === "none") return;
    this.#path(pen, colour, mark.opacity, 1.3, []);
    for (const [a, b] of this.scene.edges ?? []) if (places[a] && places[b]) this.#line(pen, view, [places[a], places[b]]);
    pen.stroke();
    if (body === "bones") return;
    const size = mark.name === "truth" ? 3.4 : 2.8;
    pen.beginPath();
    for (const [x, y] of at.filter(Boolean)) {
      if (body === "box") pen.rect(x - size, y - size, 2 * size, 2 * size);
      else { pen.moveTo(x + size, y); pen.arc(x, y, size, 0, 7); }
    }
    pen.fill();
  }
}
