// What the page says about a forecast, in sentences.
import { distances } from "./forecasting.js";

const number = (value) => String(+value.toPrecision(3));

export function aboutModel({ model, parameters, unit, dt, frames, horizon, step }) {
  const ahead = Math.max(...horizon) * step * dt;
  return `${model}, ${parameters.toLocaleString("en")} parameters. Sees ${frames} ${frames === 1 ? "frame" : "frames"}, ${number(1 / dt)} a second, and ` +
    `forecasts ${number(ahead)} s ahead. Trained on lengths in ${unit}.`;
}

export function momentOf(clip, anchor) {
  return `frame ${anchor + 1} of ${clip.last + 1}, at ${number(clip.times[anchor])} s`;
}

export function facts(clip, anchor, scene) {
  const found = [], far = distances(scene), { unit } = scene;
  if (!far) found.push("The file ends here, so there is nothing to compare the forecast with; an earlier frame has what happened next.");
  else if (far.forecast !== null) {
    const last = far.last === null ? "" : `, ${number(far.last)} ${unit} at the last step`;
    const straight = far.straight === null ? "" : ` Going straight on would be ${number(far.straight)} ${unit} away.`;
    found.push(`On average the forecast is ${number(far.forecast)} ${unit} from what happened${last}.${straight}`);
  }
  if (scene.weights.length > 1) {
    found.push(`${scene.weights.length} hypotheses, of probability ${scene.weights.map((weight) => `${number(100 * weight)} %`).join(", ")}.`);
  }
  if (scene.history.length < clip.model.frames) found.push(`Only ${scene.history.length} of the ${clip.model.frames} frames that the model wants are there.`);
  if (!scene.turned.length) found.push(`Its axes have units of their own (${unit}), so the scene cannot be turned here.`);
  if (scene.nodes < scene.all) found.push(`${scene.all - scene.nodes} of ${scene.all} nodes were not seen at this frame and have no forecast.`);
  return found;
}
