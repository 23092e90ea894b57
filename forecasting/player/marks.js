// What is drawn of a scene, whoever draws it: the paths of all nodes, one mark for each kind of path.

export const WAYS = {
  history: { name: "seen", dash: [], width: 2, body: "ball" },
  truth: { name: "what happened", dash: [], width: 2.6, body: "ball" },
  plain: { name: "plain forecast, turned along", dash: [1, 5], width: 2.6, body: "bones" },
  other: { name: "other hypotheses", dash: [2, 3], width: 1.4, body: "none" },
  forecast: { name: "forecast", dash: [7, 4], width: 2.2, body: "box" },
};

// Colours as the page's style sheet says: --player-history and so on.
export function coloursOf(root) {
  const style = window.getComputedStyle(root);
  return Object.fromEntries([...Object.keys(WAYS), "floor"].map((name) => [name, style.getPropertyValue(`--player-${name}`).trim()]));
}

// name, frames (moments × nodes), index of their first moment, opacity, and, where known, radii of regions, the shapes of those that are no balls
// (moments × nodes), and their opacity, the veil.
export function marksOf(scene, turn) {
  const past = scene.history.length, last = scene.history[past - 1], now = turn > 0 && scene.turned[turn]?.forecasts ? scene.turned[turn] : scene;
  const ahead = (frames) => [last, ...frames];
  const radii = (of, hypothesis) => of.radius && [last.map(() => 0), ...of.radius[hypothesis]];
  const shapes = (of, hypothesis) => of.shape && [of.shape[hypothesis][0], ...of.shape[hypothesis]];
  const found = [{ name: "history", frames: scene.history, start: 0, opacity: 1 }];
  if (scene.truth.length) found.push({ name: "truth", frames: ahead(scene.truth), start: past - 1, opacity: 1 });
  if (turn > 0) found.push({ name: "plain", frames: ahead(scene.forecasts[0]), start: past - 1, opacity: 1 });
  if (now === scene && turn > 0) return found; // not answered yet
  now.forecasts.forEach((frames, index) => {
    const opacity = index ? 0.35 + 0.65 * (scene.weights?.[index] ?? 0) : 1, veil = 0.16 * opacity * Math.min(1, Math.sqrt(8 / last.length));
    found.push({
      name: index ? "other" : "forecast", frames: ahead(frames), start: past - 1, opacity, veil, radii: radii(now, index), shapes: shapes(now, index),
    });
  });
  return found;
}

// Whether nodes are drawn at this moment; paths always are.
export function isNow(mark, moment) {
  return mark.name === "history" ? moment <= 0 : moment > 0;
}

// Ends of lines on the ground below a scene in space, a round length apart; in the scene's own directions.
export function floorOf(scene, box, up) {
  if (scene.dim === 2) return [];
  const right = [up[1], up[2], up[0]], deep = [up[2], up[0], up[1]], step = roundLength(box.radius / 3), reach = Math.ceil(box.radius / step);
  const height = box.low - box.middle.reduce((sum, value, axis) => sum + value * up[axis], 0);
  const at = (a, b) => box.middle.map((value, axis) => value + height * up[axis] + (a * right[axis] + b * deep[axis]) * step);
  const found = [];
  for (let line = -reach; line <= reach; line += 1) {
    found.push([at(line, -reach), at(line, reach)], [at(-reach, line), at(reach, line)]);
  }
  return found;
}

// The longest of 1, 2, 5 × 10ⁿ that is not longer than `wish`.
export function roundLength(wish) {
  const power = 10 ** Math.floor(Math.log10(wish));
  return [5, 2, 1].find((n) => n * power <= wish * (1 + 1e-9)) * power;
}
