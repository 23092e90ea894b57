// The elements of a player: picture, legend, and what people take hold of.
import { WAYS } from "./marks.js";

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function controlsIn(root, canvas) {
  const parts = {
    stage: make("div", { class: "player-stage", tabindex: "0", role: "application", "aria-roledescription": "picture" }, canvas),
    ruler: make("span", { class: "player-ruler", "aria-hidden": "true" }),
    up: make("span", { class: "player-up", "aria-hidden": "true" }),
    choose: make("select", { "aria-label": "scene" }),
    play: make("button", { type: "button" }, "Play"),
    scrub: make("input", { type: "range", min: "0", max: "1000", step: "1", "aria-label": "time" }),
    clock: make("output", { class: "player-time" }),
    turner: make("input", { type: "range", min: "0", step: "1", "aria-label": "turn the input" }),
    angle: make("output", { class: "player-turn" }),
    legend: make("ul", { class: "player-legend" }),
    said: make("p", { class: "player-said", "aria-live": "polite" }),
    hint: make("p", { class: "player-hint" }),
  };
  parts.stage.append(parts.ruler, parts.up);
  parts.scenes = make("div", { class: "player-row" }, make("label", {}, "Scene ", parts.choose));
  parts.turning = make("div", { class: "player-row" }, make("span", {}, "Turn the input"), parts.turner, parts.angle);
  root.classList.add("player");
  root.replaceChildren(
    parts.scenes, parts.stage, parts.legend,
    make("div", { class: "player-row" }, parts.play, parts.scrub, parts.clock),
    parts.turning, parts.said, parts.hint,
  );
  return parts;
}

// One line of the legend for each kind of path that is drawn.
export function legendOf(marks, colours, level) {
  const names = Object.keys(WAYS).filter((name) => marks.some((mark) => mark.name === name));
  const lines = names.map((name) => make("li", {}, swatch(WAYS[name], colours[name]), " " + WAYS[name].name));
  if (marks.some((mark) => mark.radii)) {
    lines.push(make("li", {}, disc(colours.forecast), ` where it will be, ${+(100 * level).toPrecision(3)} times in 100`));
  }
  return lines;
}

function swatch({ width, dash }, colour) {
  const { canvas, pen } = small();
  Object.assign(pen, { strokeStyle: colour, lineWidth: width, lineCap: "round" });
  pen.setLineDash(dash);
  pen.moveTo(2, 4);
  pen.lineTo(32, 4);
  pen.stroke();
  return canvas;
}

function disc(colour) {
  const { canvas, pen } = small();
  Object.assign(pen, { fillStyle: colour, globalAlpha: 0.5 });
  pen.arc(17, 4, 4, 0, 7);
  pen.fill();
  return canvas;
}

function small() {
  const canvas = make("canvas", { width: "68", height: "16", "aria-hidden": "true" }), pen = canvas.getContext("2d");
  pen.scale(2, 2);
  pen.beginPath();
  return { canvas, pen };
}
