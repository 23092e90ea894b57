// Which regions a model can give, as the choices of a list: value (JSON of level and joint, or empty) and words.

const WANTED = 0.9; // chosen at first

export function choicesOf({ levels }) {
  const found = levels.flatMap((level) => [false, true].map((joint) => ({
    value: JSON.stringify({ level, joint }), text: `${+(100 * level).toPrecision(3)} %, ${joint ? "all steps together" : "each step by itself"}`,
  })));
  const chosen = JSON.stringify({ level: levels.includes(WANTED) ? WANTED : levels[0], joint: false });
  return { choices: [{ value: "", text: "not shown" }, ...found], chosen };
}
