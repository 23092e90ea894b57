// Plays scenes back on a canvas: what was seen, what came, what the model says, and what it says when the input is turned.
// forecastPlayer(element, scenes) fills the element; scenes are as evaluation/playback.py makes them. No library, no network.
"use strict";

function forecastPlayer(root, scenes) {
  const WAYS = {
    history: { name: "seen", colour: "#7a7a7a", dash: [], width: 2 },
    truth: { name: "what happened", colour: "#111111", dash: [], width: 2.6 },
    forecast: { name: "forecast", colour: "#0072b2", dash: [7, 4], width: 2.2 },
    other: { name: "other hypotheses", colour: "#cc79a7", dash: [2, 3], width: 1.4 },
    plain: { name: "plain forecast, turned along", colour: "#d55e00", dash: [1, 5], width: 2.6 },
  };
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const seconds = 4; // to play a scene
  let scene, camera, box, time, turn, playing = false, before = 0;

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const canvas = make("canvas", { tabindex: "0", role: "img" });
  const choose = make("select", { "aria-label": "scene" });
  const play = make("button", { type: "button" }, "Play");
  const scrub = make("input", { type: "range", min: "0", max: "1000", step: "1", "aria-label": "time" });
  const clock = make("output", { class: "player-time" });
  const turner = make("input", { type: "range", min: "0", step: "1", "aria-label": "turn the input" });
  const angle = make("output", { class: "player-turn" });
  const legend = make("ul", { class: "player-legend" });
  const hint = make("p", { class: "player-hint" });
  const said = make("p", { class: "player-said", "aria-live": "polite" });
  root.replaceChildren(
    make("div", { class: "player-row" }, make("label", {}, "Scene ", choose)),
    canvas,
    legend,
    make("div", { class: "player-row" }, play, scrub, clock),
    make("div", { class: "player-row player-turner" }, make("span", {}, "Turn the input"), turner, angle),
    said,
    hint,
  );
  scenes.forEach((each, index) => choose.append(make("option", { value: String(index) },
    each.anchor_time == null ? each.scene : `${each.scene} at ${+each.anchor_time.toPrecision(5)} s`)));
  choose.parentNode.parentNode.hidden = scenes.length < 2;

  // ---- geometry -------------------------------------------------------------------------------------------------------

  const upVector = () => {
    const up = [0, 0, 0];
    if (scene.up && scene.up !== "none") up["xyz".indexOf(scene.up[1])] = scene.up[0] === "-" ? -1 : 1;
    else up[2] = 1;
    return up;
  };
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

  function turned(point) { // about the scene's axis and the middle of what is drawn (Rodrigues)
    const radians = (scene.turned?.[turn]?.degrees ?? 0) * Math.PI / 180;
    const axis = scene.axis ?? upVector(), at = point.map((value, index) => value - box.middle[index]);
    const cos = Math.cos(radians), sin = Math.sin(radians), side = cross(axis, at), along = dot(axis, at) * (1 - cos);
    return at.map((value, index) => value * cos + side[index] * sin + axis[index] * along);
  }

  function project(point) { // orthographic; up is up on the screen
    const at = turned(point);
    let x, y;
    if (scene.dim === 2) [x, y] = at;
    else {
      const up = upVector(), right = [up[1], up[2], up[0]], deep = cross(up, right);
      const a = dot(at, right), b = dot(at, deep), cos = Math.cos(camera.yaw), sin = Math.sin(camera.yaw);
      x = a * cos - b * sin;
      y = dot(at, up) * Math.cos(camera.pitch) + (a * sin + b * cos) * Math.sin(camera.pitch);
    }
    const size = Math.min(canvas.clientWidth, canvas.clientHeight) / 2 * 0.92 * camera.zoom / box.radius;
    return [canvas.clientWidth / 2 + x * size, canvas.clientHeight / 2 - y * size];
  }

  function measure() {
    const all = [scene.history, scene.truth, ...scene.forecasts].flat(2).filter(Boolean);
    const low = [0, 1, 2].map((axis) => all.reduce((found, point) => Math.min(found, point[axis]), Infinity));
    const high = [0, 1, 2].map((axis) => all.reduce((found, point) => Math.max(found, point[axis]), -Infinity));
    const middle = low.map((value, index) => (value + high[index]) / 2);
    const far = (point) => Math.hypot(...point.map((value, index) => value - middle[index]));
    return { middle, radius: all.reduce((found, point) => Math.max(found, far(point)), 0) || 1 };
  }

  // ---- drawing --------------------------------------------------------------------------------------------------------

  function ways() { // name, frames × nodes, first time index, opacity
    const past = scene.history.length, last = scene.history[past - 1];
    const now = scene.turned?.length ? scene.turned[turn].forecasts : scene.forecasts;
    const found = [["history", scene.history, 0, 1], ["truth", [last, ...scene.truth], past - 1, 1]];
    if (turn > 0) found.push(["plain", [last, ...scene.forecasts[0]], past - 1, 1]);
    now.slice(1).forEach((each, index) =>
      found.push(["other", [last, ...each], past - 1, 0.35 + 0.65 * (scene.weights?.[index + 1] ?? 0)]));
    found.push(["forecast", [last, ...now[0]], past - 1, 1]);
    return found;
  }

  function placeAt(frames, start, node, moment) { // between two frames
    const times = scene.times, first = frames.length + start - 1;
    if (moment < times[start] || moment > times[first] + 1e-9) return null;
    let index = start;
    while (index < first && times[index + 1] <= moment) index += 1;
    const a = frames[index - start][node], b = frames[index - start + 1]?.[node];
    if (!a || !b || moment <= times[index]) return a;
    const share = (moment - times[index]) / (times[index + 1] - times[index]);
    return a.map((value, axis) => value + share * (b[axis] - value));
  }

  function stroke(pen, frames, start, node, until) {
    pen.beginPath();
    let drawing = false;
    frames.forEach((frame, index) => {
      if (scene.times[start + index] > until + 1e-9) return;
      const point = frame[node];
      if (!point) { drawing = false; return; }
      pen[drawing ? "lineTo" : "moveTo"](...project(point));
      drawing = true;
    });
    const end = drawing && placeAt(frames, start, node, until);
    if (end) pen.lineTo(...project(end));
    pen.stroke();
  }

  function body(pen, name, frames, start, moment) { // dots and connections at this moment
    const places = frames[0].map((_, node) => placeAt(frames, start, node, moment)).map((at) => at && project(at));
    pen.setLineDash([]);
    pen.lineWidth = 1.3;
    pen.beginPath();
    for (const [a, b] of scene.edges ?? []) {
      if (places[a] && places[b]) { pen.moveTo(...places[a]); pen.lineTo(...places[b]); }
    }
    pen.stroke();
    const size = name === "truth" ? 3.4 : 2.8;
    for (const at of places) {
      if (!at) continue;
      pen.beginPath();
      if (name === "forecast") pen.rect(at[0] - size, at[1] - size, 2 * size, 2 * size);
      else pen.arc(at[0], at[1], size, 0, 7);
      pen.fill();
    }
  }

  function draw() {
    const scale = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    pen.lineCap = "round";
    for (const [name, frames, start, opacity] of ways()) {
      const way = WAYS[name];
      pen.strokeStyle = pen.fillStyle = way.colour;
      for (const [until, strength] of [[Infinity, 0.22], [time, 1]]) {
        pen.globalAlpha = strength * opacity;
        pen.lineWidth = way.width;
        pen.setLineDash(way.dash);
        frames[0].forEach((_, node) => stroke(pen, frames, start, node, until));
      }
      const isNow = name === "history" ? time <= 0 : time > 0;
      if (isNow && name !== "other" && name !== "plain") body(pen, name, frames, start, time);
    }
    pen.globalAlpha = 1;
    ruler(pen);
    words();
  }

  function ruler(pen) { // a length, and where up is
    const pixel = Math.min(canvas.clientWidth, canvas.clientHeight) / 2 * 0.92 * camera.zoom / box.radius;
    const wish = 80 / pixel, power = 10 ** Math.floor(Math.log10(wish)), length = [5, 2, 1].find((n) => n * power <= wish) * power;
    const y = canvas.clientHeight - 12;
    pen.setLineDash([]);
    pen.strokeStyle = pen.fillStyle = "#333";
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(10, y); pen.lineTo(10 + length * pixel, y);
    pen.stroke();
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(`${+length.toPrecision(1)} ${scene.unit}`, 10, y - 5);
    if (scene.dim === 3) {
      const name = scene.up && scene.up !== "none" ? `up (${scene.up})` : "+z", x = canvas.clientWidth - 12;
      pen.textAlign = "right";
      pen.fillText(`↑ ${name}`, x, 18);
      pen.textAlign = "left";
    }
  }

  function words() {
    const from = scene.times[0], whole = scene.times.at(-1) - from || 1;
    clock.textContent = `${time >= 0 ? "+" : "−"}${Math.abs(time).toPrecision(3)} s`;
    scrub.value = String(Math.round((time - from) / whole * 1000));
    scrub.setAttribute("aria-valuetext", clock.textContent + " from the last frame seen");
    const now = scene.turned?.[turn];
    angle.textContent = now ? `${now.degrees}°` : "";
    turner.setAttribute("aria-valuetext", angle.textContent);
    const residual = now?.residual, percent = residual == null ? "" : `${(100 * residual).toPrecision(2)} %`;
    said.textContent = !turn || !now ? "" : residual < 1e-4
      ? `Input turned by ${now.degrees}°: the forecast turns along exactly (residual ${residual ? residual.toExponential(0) : 0}).`
      : `Input turned by ${now.degrees}°: the forecast differs from the plain one turned along by ${percent} of its motion ` +
        `(residual ${residual.toPrecision(2)}).`;
    canvas.setAttribute("aria-label", `Scene ${scene.scene}, ${clock.textContent} from the last frame seen, input turned by ` +
      `${now?.degrees ?? 0} degrees. ${said.textContent}`);
    canvas.dataset.time = time.toFixed(4);
  }

  function explain() {
    legend.replaceChildren(...Object.entries(WAYS).filter(([name]) =>
      (name !== "other" || scene.forecasts.length > 1) && (name !== "plain" || turn > 0)).map(([, way]) => {
      const swatch = make("canvas", { width: "68", height: "16", "aria-hidden": "true" }), pen = swatch.getContext("2d");
      pen.scale(2, 2);
      Object.assign(pen, { strokeStyle: way.colour, lineWidth: way.width, lineCap: "round" });
      pen.setLineDash(way.dash);
      pen.beginPath(); pen.moveTo(2, 4); pen.lineTo(32, 4); pen.stroke();
      return make("li", {}, swatch, " " + way.name);
    }));
  }

  // ---- what people do -------------------------------------------------------------------------------------------------

  function stop() { playing = false; play.textContent = "Play"; }

  function tick(stamp) {
    if (!playing) return;
    const last = scene.times.at(-1), whole = last - scene.times[0];
    const wait = calm.matches ? 500 : 0; // without motion: from frame to frame, twice a second
    if (stamp - before >= wait) {
      const next = calm.matches ? scene.times.find((each) => each > time + 1e-9) ?? last
        : time + Math.min(stamp - before, 100) / 1000 * whole / seconds;
      before = stamp;
      time = Math.min(next, last);
      draw();
      if (time >= last) stop();
    }
    window.requestAnimationFrame(tick);
  }

  function toggle() {
    if (playing) return stop();
    if (time >= scene.times.at(-1)) time = scene.times[0];
    playing = true;
    play.textContent = "Pause";
    before = window.performance.now();
    window.requestAnimationFrame(tick);
  }

  function orbit(yaw, pitch) {
    if (scene.dim === 2) return;
    camera.yaw += yaw;
    camera.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, camera.pitch + pitch));
    draw();
  }

  function zoom(factor) {
    camera.zoom = Math.max(0.2, Math.min(20, camera.zoom * factor));
    draw();
  }

  function show(index) {
    stop();
    scene = scenes[index];
    box = measure();
    camera = { yaw: 0.5, pitch: 0.3, zoom: 1 };
    time = scene.times.at(-1);
    turn = 0;
    const turns = scene.turned?.length ?? 0;
    turner.max = String(Math.max(turns - 1, 0));
    turner.value = "0";
    turner.parentNode.hidden = turns < 2;
    const more = scene.nodes > scene.history[0].length ? `The first ${scene.history[0].length} of ${scene.nodes} nodes are drawn. ` : "";
    const around = scene.dim === 2 ? "" : "Drag or use the arrow keys to look around. ";
    hint.textContent = `${more}${around}Space plays, + and − zoom (or the wheel, once the picture is clicked).`;
    explain();
    draw();
  }

  const keys = {
    ArrowLeft: () => orbit(-0.1, 0), ArrowRight: () => orbit(0.1, 0), ArrowUp: () => orbit(0, 0.1), ArrowDown: () => orbit(0, -0.1),
    " ": toggle, "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15),
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) orbit(event.movementX * 0.01, event.movementY * 0.01);
  });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.001));
  }, { passive: false });
  play.addEventListener("click", toggle);
  choose.addEventListener("change", () => show(Number(choose.value)));
  scrub.addEventListener("input", () => {
    stop();
    time = scene.times[0] + scrub.value / 1000 * (scene.times.at(-1) - scene.times[0]);
    draw();
  });
  turner.addEventListener("input", () => { turn = Number(turner.value); explain(); draw(); });
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  show(0);
}
