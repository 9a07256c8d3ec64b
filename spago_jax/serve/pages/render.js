// Answers as elements. Texts become text nodes and never markup.

import { pieces } from "./offsets.js";

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const colours = new Map();

/** The colour of a label; the label is written beside it. */
function colour(label) {
  if (!colours.has(label)) colours.set(label, `l${colours.size % 8}`);
  return colours.get(label);
}

export function marked(text, spans) {
  const made = element("p", { class: "text", dir: "auto" });
  for (const [piece, span] of pieces(text, spans)) {
    if (span === null) made.append(piece);
    else made.append(element("mark", { class: colour(span.label) }, piece, element("span", { class: "label" }, span.label)));
  }
  return made;
}

export function bars(pairs) {
  const rows = pairs.map(([label, score]) => {
    const share = Math.min(Math.max(score, 0), 1);
    const text = `${(100 * score).toFixed(1)}%`;
    return element(
      "tr", {}, element("th", { scope: "row", dir: "auto" }, label),
      element("td", {}, element("meter", { min: 0, max: 1, value: share, "aria-label": label }, text)), element("td", {}, text),
    );
  });
  const score = element("th", { scope: "colgroup", colspan: 2 }, "Score"); // a bar, and the number beside it
  const head = element("tr", {}, element("th", { scope: "col" }, "Label"), score);
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** A ranking as pairs, the best first: objects put names that are numbers before all others. */
function ranked(ranking) {
  return Object.entries(ranking).sort((one, other) => other[1] - one[1]);
}

function list(values) {
  return element("ol", { class: "hits" }, ...values.map((value) => element("li", {}, value)));
}

export const show = {
  "token-classification": (answer) => {
    const spans = answer.spans.length
      ? answer.spans
      : answer.tags.map((label, place) => ({ label, start: answer.offsets[place][0], end: answer.offsets[place][1] }))
        .filter((span) => span.label !== "O");
    const said = spans.length ? [] : [element("p", { class: "hint" }, "Nothing was found.")];
    return [marked(answer.text, spans), ...said];
  },
  "replaced-token-detection": (answer) => [
    marked(answer.text, answer.words.filter((word) => word.label === "FAKE")),
  ],
  "text-classification": (answer) => {
    if (answer.ranking === undefined) return [element("p", {}, String(answer.value))];
    return [bars(ranked(answer.ranking))];
  },
  "zero-shot-classification": (answer) => [bars(ranked(answer.ranking))],
  "question-answering": (answer, asked) => {
    if (!answer.answers.length) return [element("p", { class: "hint" }, "The passage does not say.")];
    const spans = answer.answers.map((span, place) => ({ ...span, label: `${place + 1}` }));
    return [bars(answer.answers.map((span) => [span.text || "(no answer)", span.score])), marked(asked.input.passage, spans)];
  },
  "fill-mask": (answer) => answer.masks.map((mask) => bars(mask.map((filling) => [filling.token, filling.score]))),
  "text-encoding": (answer) => [
    element("p", {}, `${answer.vector.length} numbers`),
    element("pre", { tabindex: 0, "aria-label": "vector" }, answer.vector.map((value) => value.toFixed(4)).join(" ")),
  ],
  passages: (answer) => [
    list(answer.passages.map((hit) => element(
      "span", {}, element("strong", {}, `${Number(hit.score.toPrecision(3))}  ${hit.title || hit.id}`), element("br"),
      element("span", { dir: "auto" }, hit.text),
    ))),
  ],
  answers: (answer) => {
    if (!answer.answers.length) return [element("p", { class: "hint" }, "The passages do not say.")];
    return [list(answer.answers.map((found) => element(
      "div", {}, element("strong", {}, found.passage.title || found.passage.id),
      marked(found.passage.text, [{ ...found, label: found.score.toFixed(1) }]),
    )))];
  },
};

export function written(answer) {
  const text = answer.text ?? answer.continuation ?? JSON.stringify(answer);
  return [element("p", { class: "text", dir: "auto" }, text)];
}

/** The cosine of two vectors. */
export function cosine(one, other) {
  let dot = 0, first = 0, second = 0;
  one.forEach((value, place) => {
    dot += value * other[place];
    first += value * value;
    second += other[place] * other[place];
  });
  return dot / Math.sqrt(first * second || 1);
}
