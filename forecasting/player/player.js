// Plays scenes back: what was seen, what came, what the model says, and what it says when the input is turned. No library, no network.
import { CanvasPen } from "./canvas.js";
import { controlsIn, legendOf, make } from "./controls.js";
import { boxOf, upOf, View } from "./geometry.js";
import { coloursOf, floorOf, marksOf, roundLength, WAYS } from "./marks.js";

const SECONDS = 4; // to play a scene
const NOTHING = 1e-4; // a residual that is only rounding

// Fills an element. `scenes` are as evaluation/playback.py makes them; those with `radius` (hypotheses × steps × nodes) of `level` show regions,
// balls, or ellipsoids xᵀ S⁻¹ x ≤ radius² with a `shape` S (three rows) for each.
// `pen` draws (canvas.js; another has the same three members). `answer(scene, degrees)` promises what `turned` has not: forecasts, residual.
// Gives `show(scenes)`, which keeps the view and the turn for a scene of the same name, and `redraw()`.
export function forecastPlayer(root, scenes, { pen = new CanvasPen(), answer = null } = {}) {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const parts = controlsIn(root, pen.canvas), view = new View();
  let scene, colours, time, turn = 0, playing = false, before = 0, wanted = null, trouble = "";

  // ---- drawing --------------------------------------------------------------------------------------------------------

  function load() { // what moments do not change
    colours = coloursOf(root);
    const marks = marksOf(scene, turn).map((mark) => ({ ...mark, way: WAYS[mark.name] }));
    view.look(scene, view.box, scene.turned?.[turn]?.degrees ?? 0);
    pen.load(view, marks, floorOf(scene, view.box, upOf(scene)), colours);
    parts.legend.replaceChildren(...legendOf(marks, colours, scene.level));
    draw();
  }

  function draw() {
    view.width = parts.stage.clientWidth;
    view.height = parts.stage.clientHeight;
    if (!view.width) return;
    pen.draw(view, time);
    const length = roundLength(80 / view.size);
    parts.ruler.style.width = `${length * view.size}px`;
    parts.ruler.textContent = `${+length.toPrecision(1)} ${scene.unit}`;
    parts.up.textContent = scene.dim === 2 ? "" : `↑ ${scene.up && scene.up !== "none" ? `up (${scene.up})` : "+z"}`;
    words();
  }

  function words() {
    const from = scene.times[0], whole = scene.times.at(-1) - from || 1, now = scene.turned?.[turn];
    parts.clock.textContent = `${time >= 0 ? "+" : "−"}${Math.abs(time).toPrecision(3)} s`;
    parts.scrub.value = String(Math.round((time - from) / whole * 1000));
    parts.scrub.setAttribute("aria-valuetext", parts.clock.textContent + " from the last frame seen");
    parts.angle.textContent = now ? `${now.degrees}°` : "";
    parts.turner.value = String(turn);
    parts.turner.setAttribute("aria-valuetext", parts.angle.textContent);
    const said = trouble || (turn && now ? sentence(now) : "");
    if (parts.said.textContent !== said) parts.said.textContent = said;
    parts.stage.setAttribute("aria-label", `Scene ${scene.scene}, ${parts.clock.textContent} from the last frame seen, input turned by ` +
      `${now?.degrees ?? 0} degrees. ${said}`);
    parts.stage.dataset.time = time.toFixed(4);
  }

  function sentence({ degrees, residual, forecasts }) {
    if (!forecasts) return `Input turned by ${degrees}°: asking the model …`;
    if (residual < NOTHING) {
      return `Input turned by ${degrees}°: the forecast turns along exactly (residual ${residual ? residual.toExponential(0) : 0}).`;
    }
    return `Input turned by ${degrees}°: the forecast differs from the plain one turned along by ${(100 * residual).toPrecision(2)} % of its ` +
      `motion (residual ${residual.toPrecision(2)}).`;
  }

  // ---- playing --------------------------------------------------------------------------------------------------------

  function stop() { playing = false; parts.play.textContent = "Play"; }

  function tick(stamp) {
    if (!playing) return;
    const last = scene.times.at(-1), whole = last - scene.times[0];
    const wait = calm.matches ? 500 : 0; // without motion: from frame to frame, twice a second
    if (stamp - before >= wait) {
      const next = calm.matches ? scene.times.find((each) => each > time + 1e-9) ?? last
        : time + Math.min(stamp - before, 100) / 1000 * whole / SECONDS;
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
    parts.play.textContent = "Pause";
    before = window.performance.now();
    window.requestAnimationFrame(tick);
  }

  function step(forward) { // to the next frame
    stop();
    const later = scene.times.find((each) => each > time + 1e-9), earlier = scene.times.findLast((each) => each < time - 1e-9);
    time = (forward ? later : earlier) ?? time;
    draw();
  }

  // ---- turning --------------------------------------------------------------------------------------------------------

  function turnTo(index) {
    turn = index;
    trouble = "";
    load();
    ask();
  }

  async function ask() { // one question at a time; the last one wanted is asked next
    const of = scene, at = of.turned?.[turn];
    if (!answer || !turn || !at || at.forecasts || wanted) return;
    wanted = at;
    try {
      Object.assign(at, await answer(of, at.degrees));
    } catch (error) {
      if (scene === of && of.turned[turn] === at) trouble = `Input turned by ${at.degrees}°: ${error.message}`;
    }
    wanted = null;
    load();
    if (!trouble) ask();
  }

  // ---- scenes ---------------------------------------------------------------------------------------------------------

  function open(index) {
    stop();
    const same = scene?.scene === scenes[index].scene && scene.turned?.length === scenes[index].turned?.length;
    scene = scenes[index];
    if (!same) {
      Object.assign(view, new View());
      turn = 0;
    }
    view.box = boxOf(scene);
    time = scene.times.at(-1);
    trouble = "";
    const turns = scene.turned?.length ?? 0;
    parts.turner.max = String(Math.max(turns - 1, 0));
    parts.turning.hidden = turns < 2;
    const more = scene.nodes > scene.history[0].length ? `The first ${scene.history[0].length} of ${scene.nodes} nodes are drawn. ` : "";
    const around = scene.dim === 2 ? "" : "Drag, or hold Shift and use the arrow keys, to look around. ";
    const turner = turns < 2 ? "" : ", [ and ] turn the input";
    const zooms = "+ and − zoom (or the wheel, once the picture is clicked)";
    parts.hint.textContent = `${more}${around}Space plays, ← and → go from frame to frame${turner}, ${zooms}.`;
    load();
    ask();
  }

  function show(given) {
    scenes = given;
    parts.choose.replaceChildren(...scenes.map((each, index) => make("option", { value: String(index) },
      each.anchor_time == null ? each.scene : `${each.scene} at ${+each.anchor_time.toPrecision(5)} s`)));
    parts.scenes.hidden = scenes.length < 2;
    open(0);
  }

  // ---- what people do -------------------------------------------------------------------------------------------------

  const orbit = (yaw, pitch) => { view.orbit(yaw, pitch); draw(); };
  const zoom = (factor) => { view.magnify(factor); draw(); };
  const turnBy = (steps) => {
    const turns = scene.turned?.length ?? 0;
    if (turns > 1) turnTo((turn + steps + turns) % turns);
  };
  const keys = {
    ArrowLeft: () => step(false), ArrowRight: () => step(true), "[": () => turnBy(-1), "]": () => turnBy(1),
    " ": toggle, "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15),
  };
  const shifted = {
    ArrowLeft: () => orbit(-0.1, 0), ArrowRight: () => orbit(0.1, 0), ArrowUp: () => orbit(0, 0.1), ArrowDown: () => orbit(0, -0.1),
  };
  parts.stage.addEventListener("keydown", (event) => {
    const act = (event.shiftKey && shifted[event.key]) || keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  parts.stage.addEventListener("pointerdown", (event) => parts.stage.setPointerCapture(event.pointerId));
  parts.stage.addEventListener("pointermove", (event) => {
    if (event.buttons) orbit(event.movementX * 0.01, event.movementY * 0.01);
  });
  parts.stage.addEventListener("wheel", (event) => {
    if (document.activeElement !== parts.stage) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.001));
  }, { passive: false });
  parts.play.addEventListener("click", toggle);
  parts.choose.addEventListener("change", () => open(Number(parts.choose.value)));
  parts.scrub.addEventListener("input", () => {
    stop();
    time = scene.times[0] + parts.scrub.value / 1000 * (scene.times.at(-1) - scene.times[0]);
    draw();
  });
  parts.turner.addEventListener("input", () => turnTo(Number(parts.turner.value)));
  new ResizeObserver(draw).observe(parts.stage);
  window.addEventListener("beforeprint", draw);
  show(scenes);
  return { show, redraw: load };
}
