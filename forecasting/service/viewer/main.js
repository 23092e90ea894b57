// The page: what was opened, which model and frame were chosen, and the forecast of them.
import { forecastPlayer } from "./player/player.js";
import { make } from "./player/controls.js";
import { Clip } from "./clip.js";
import { forecastOf } from "./forecasting.js";
import { Opening } from "./opening.js";
import { choicesOf } from "./regions.js";
import { Problem, Server } from "./server.js";
import { WebglPen } from "./webgl.js";
import { aboutModel, facts, momentOf } from "./words.js";

const ASKING = "Asking the model …";
const UNITS = ["m", "cm", "mm", "km", "in", "ft", "px"]; // offered, after the model's own
const PAUSE = 120; // ms without a change before the model is asked
const by = (id) => document.getElementById(id);
const server = new Server(), answers = new WeakMap();
let models = [], held = null, clip = null, player = null, asked = null, waiting = 0;

// ---- what is said -------------------------------------------------------------------------------------------------------

function say(text) { by("status").textContent = text; }

function complain(error, sorry) {
  if (error.name === "AbortError") return;
  say("");
  if (error.status === 401) {
    by("access").hidden = false;
    return by("access").querySelector("input").focus();
  }
  if (opening.ask(error)) return;
  by("problem").querySelector("strong").textContent = sorry;
  const known = error instanceof Problem;
  by("problem").querySelector("p").textContent = known ? error.message : `This page failed (${error.message}). Please load it again.`;
  by("problem").hidden = false;
  by("problem").scrollIntoView({ block: "nearest" });
  if (!known) throw error; // for the browser's console
}

function calm() { by("problem").hidden = true; }

// Does one thing at a time: a newer one ends the one before.
async function attempt(words, sorry, work) {
  asked?.abort();
  const mine = asked = new AbortController();
  say(words);
  by("view").setAttribute("aria-busy", "true");
  try {
    await work(mine.signal);
    if (asked === mine) { calm(); say(""); }
  } catch (error) {
    if (asked === mine) complain(error, sorry);
  }
  if (asked === mine) by("view").removeAttribute("aria-busy");
}

// ---- what is shown ------------------------------------------------------------------------------------------------------

const model = () => models.find((each) => each.package === by("package").value);

function penOf() { // WebGL where the browser has it, with smooth edges where it is quick
  const has = (options) => Boolean(document.createElement("canvas").getContext("webgl2", options));
  return has() ? { pen: new WebglPen(has({ failIfMajorPerformanceCaveat: true })) } : {};
}

// Forecasts a clip from a frame and shows it; what was shown before stays where that fails.
async function forecast(of, anchor, signal) {
  const chosen = by("region").value && JSON.parse(by("region").value);
  const { scene, answer } = await forecastOf(server, of, anchor, chosen, signal);
  answers.set(scene, answer);
  by("welcome").hidden = true;
  by("view").hidden = false;
  if (player) player.show([scene]);
  else player = forecastPlayer(by("player"), [scene], { ...penOf(), answer: (each, degrees) => answers.get(each)(each, degrees) });
  by("facts").replaceChildren(...facts(of, anchor, scene).map((line) => make("li", {}, line)));
}

function soon() {
  window.clearTimeout(waiting);
  const anchor = Number(by("anchor").value), from = clip;
  waiting = window.setTimeout(() => attempt(ASKING, `No forecast from frame ${anchor + 1}`, (signal) => forecast(from, anchor, signal)), PAUSE);
}

function follow(next) { // its frames can be chosen
  clip = next;
  Object.assign(by("anchor"), { min: String(clip.first), max: String(clip.last), value: String(clip.start) });
  moment();
}

function moment() {
  const text = momentOf(clip, Number(by("anchor").value));
  by("moment").textContent = text;
  by("anchor").setAttribute("aria-valuetext", text);
}

// ---- what is opened -----------------------------------------------------------------------------------------------------

async function opened({ title, answer, signal }) {
  if (!answer.scenes.length) throw new Problem({ detail: `${title} holds no scene.` });
  const first = new Clip(answer.scenes[0], model());
  await forecast(first, first.start, signal);
  held = { title, answer };
  follow(first);
  by("scene").replaceChildren(...answer.scenes.map((scene, index) => make("option", { value: String(index) }, String(scene.scene ?? index))));
  by("scenes").hidden = answer.scenes.length < 2;
  by("title").textContent = title;
  if (navigator.userActivation.hasBeenActive) by("title").scrollIntoView({ block: "nearest" }); // on telephones it is far below
  const lines = (answer.findings ?? []).map(({ text }) => text);
  by("findings").hidden = !lines.length;
  by("findings").querySelector("summary").textContent = `${lines.length} ${lines.length === 1 ? "remark" : "remarks"} on this file`;
  by("findings").querySelector("ul").replaceChildren(...lines.map((line) => make("li", {}, line)));
}

function afresh() { // another model
  if (held) attempt(ASKING, `${held.title} cannot be forecast with this model`, (signal) => opened({ ...held, signal }));
}

const opening = new Opening(server, { attempt, opened, afresh, model });

function chooseModel() {
  by("about").textContent = aboutModel(model());
  by("units").replaceChildren(...[...new Set([model().unit, ...UNITS])].map((unit) => make("option", {}, unit)));
  const { choices, chosen } = choicesOf(model());
  by("region").replaceChildren(...choices.map(({ value, text }) => make("option", { value }, text)));
  by("regions").hidden = choices.length < 2;
  by("region").value = choices.length < 2 ? "" : chosen;
}

async function start() {
  models = await server.models();
  const examples = await server.examples();
  by("package").replaceChildren(...models.map((each) => make("option", { value: each.package }, each.name ?? each.package)));
  by("package").value = (models.find((each) => each.default) ?? models[0]).package;
  by("models").hidden = false;
  chooseModel();
  opening.offer(examples);
}

by("package").addEventListener("change", () => { chooseModel(); opening.list(); opening.again(); });
by("scene").addEventListener("change", () => { follow(new Clip(held.answer.scenes[by("scene").value], model())); soon(); });
by("anchor").addEventListener("input", () => { moment(); soon(); });
by("region").addEventListener("change", soon);
by("choice").addEventListener("submit", (event) => event.preventDefault());
by("models").addEventListener("submit", (event) => event.preventDefault());
by("access").addEventListener("submit", (event) => {
  event.preventDefault();
  server.key = by("access").querySelector("input").value;
  by("access").hidden = true;
  attempt("Looking for models …", "The page could not start", start);
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => player?.redraw());
attempt("Looking for models …", "The page could not start", start);
