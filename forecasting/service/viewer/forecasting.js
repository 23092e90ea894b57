// Asks for forecasts and makes of them what the player plays.
import { residual, transposed, turnedPositions, turnedScene, turnedShapes, turnOf } from "./turning.js";

const ANGLES = 24; // of the turning; the first is 0°

// Promises a scene for the player, with `answer` (see the player) beside it. chosen: level and joint of regions, or null.
export async function forecastOf(server, clip, anchor, chosen, signal) {
  const sent = clip.upTo(anchor), { model } = clip;
  const request = (scene) => ({ package: model.package, scenes: [scene], ...(chosen ? { interval: chosen } : {}) });
  const [plain] = (await server.predict(request(sent), signal)).forecasts;
  const order = plain.weights.map((_, index) => index).sort((a, b) => plain.weights[b] - plain.weights[a]);
  const answer = async (_, degrees) => {
    const matrix = turnOf(sent, degrees), turned = turnedScene(sent, matrix, model.fields);
    const [said] = (await server.predict(request(turned))).forecasts;
    const unturn = transposed(matrix), back = turnedPositions(unturn, said.positions);
    return {
      forecasts: frames(back, order), radius: radii(said, order), shape: shapes(turnedShapes(unturn, said.interval?.shape), order),
      residual: residual(plain.positions, back, plain.anchor),
    };
  };
  return { scene: played(clip, anchor, plain, order), answer };
}

function played(clip, anchor, plain, order) {
  const { scene } = clip, dim = plain.anchor[0].length, index = new Map(clip.ids.map((id, node) => [String(id), node]));
  const nodes = plain.node_ids.map((id) => index.get(String(id))), place = new Map(nodes.map((node, drawn) => [node, drawn]));
  const drawn = (frame) => nodes.map((node) => spatial(frame?.[node] ?? null));
  const truth = plain.time.map((time) => drawn(clip.at(time)));
  const seen = clip.seen(anchor);
  return {
    scene: scene.scene, unit: plain.unit, up: plain.up, handedness: plain.handedness, dim, anchor_time: plain.anchor_time,
    times: [...seen.map((each) => clip.times[each]), ...plain.time].map((time) => time - clip.times[anchor]),
    history: seen.map((each) => drawn(scene.positions[each])),
    truth: truth.some((frame) => frame.some(Boolean)) ? truth : [],
    forecasts: frames(plain.positions, order), radius: radii(plain, order), shape: shapes(plain.interval?.shape, order), level: plain.interval?.level,
    weights: order.map((hypothesis) => plain.weights[hypothesis]),
    edges: (scene.edges ?? []).map((pair) => pair.map((node) => place.get(node))).filter(([a, b]) => a !== undefined && b !== undefined),
    nodes: nodes.length, all: clip.ids.length,
    turned: scene.unit.includes("=") ? [] : Array.from({ length: ANGLES }, (_, step) => ({ degrees: step * 360 / ANGLES })),
  };
}

// nodes × hypotheses × steps -> hypotheses (likely ones first) × steps × nodes
function arranged(values, order, made) {
  return order.map((hypothesis) => values[0][hypothesis].map((_, step) => values.map((node) => made(node[hypothesis][step]))));
}

const frames = (positions, order) => arranged(positions, order, spatial);
const radii = ({ interval }, order) => interval && arranged(interval.radius, order, (radius) => radius ?? 0);
const shapes = (given, order) => given && arranged(given, order, (shape) =>
  shape.length === 3 ? shape : [[...shape[0], 0], [...shape[1], 0], [0, 0, 1]]);

// Planar positions lie at z = 0; those that are not wholly known are not drawn.
function spatial(at) {
  return at && at.every(Number.isFinite) ? [...at, 0].slice(0, 3) : null;
}

// Mean distances from what happened [unit]: of the forecast, at its last step, and of going on at the last velocity. Null without a truth.
export function distances(scene) {
  const { times, history, truth, forecasts } = scene, now = history.at(-1), before = history.at(-2);
  const lead = times.slice(history.length), tick = times[history.length - 1] - times[history.length - 2];
  const straight = lead.map((time) => now.map((at, node) => at && before?.[node] && at.map((value, axis) =>
    value + (value - before[node][axis]) / tick * time)));
  return truth.length ? { forecast: mean(forecasts[0], truth), last: mean(forecasts[0].slice(-1), truth.slice(-1)), straight: mean(straight, truth) } : null;
}

function mean(frames, truth) {
  let sum = 0, count = 0;
  truth.forEach((frame, step) => frame.forEach((at, node) => {
    const said = frames[step][node];
    if (!at || !said) return;
    sum += Math.hypot(...at.map((value, axis) => value - said[axis]));
    count += 1;
  }));
  return count ? sum / count : null;
}
