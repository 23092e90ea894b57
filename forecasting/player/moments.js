// Where things are between two frames.

// The frames of a mark before and after a moment, and how far between them it is; null outside.
export function span(times, mark, moment) {
  const first = mark.start, last = mark.start + mark.frames.length - 1;
  if (moment < times[first] - 1e-9 || moment > times[last] + 1e-9) return null;
  let index = first;
  while (index < last && times[index + 1] <= moment + 1e-9) index += 1;
  const share = index < last ? Math.max(0, (moment - times[index]) / (times[index + 1] - times[index])) : 0;
  return { index: index - first, share };
}

// Positions (nodes) at a span, null where unknown.
export function placesAt(mark, { index, share }) {
  const next = mark.frames[index + 1];
  return mark.frames[index].map((at, node) => {
    const to = next?.[node];
    return at && to && share ? at.map((value, axis) => value + share * (to[axis] - value)) : at;
  });
}

// Radii (nodes) of a mark's regions at a span.
export function radiiAt(mark, { index, share }) {
  const next = mark.radii[index + 1];
  return mark.radii[index].map((radius, node) => next ? radius + share * (next[node] - radius) : radius);
}

// Shapes (nodes) of a mark's regions at a span: those of the next frame.
export function shapesAt(mark, { index }) {
  return mark.shapes?.[Math.min(index + 1, mark.shapes.length - 1)];
}
