// What all pages share: the models to choose from, the form, the answer, the raw JSON, the curl line and the times.

import { Problem, ask, curl, key, setKey, times } from "./api.js";
import { events } from "./events.js";
import { cosine, element, show, written } from "./render.js";

const find = (id) => document.getElementById(id);
const form = find("ask"), result = find("result"), raw = find("raw"), line = find("curl"), spent = find("times");
const wanted = (document.body.dataset.tasks ?? "").split(" ").filter(Boolean);
const kind = document.body.dataset.kind ?? "";
let going = null;

function say(error) {
  const text = [error.message, error.field && `(${error.field})`, error.hint].filter(Boolean).join(" ");
  const made = element("p", { class: "problem", tabindex: -1 }, text);
  result.replaceChildren(made);
  if (error.status === 401) askForKey();
  else made.focus();
}

function askForKey() {
  find("key-part").hidden = false;
  find("key").focus();
}

find("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(find("key").value.trim());
  find("key-part").hidden = true;
  begin();
});

async function begin() {
  try {
    const found = await (await ask("v1/models")).json();
    if (kind === "home") return home(found);
    const choices = kind === "search"
      ? (await (await ask("v1/collections")).json()).data
      : found.data.filter((model) => wanted.includes(model.task));
    fill(choices);
  } catch (error) {
    say(error);
  }
}

async function home(found) {
  const ready = await fetch(new URL("../health/ready", import.meta.url)).then((reply) => reply.json());
  const rows = found.data.map((model) => element(
    "tr", {}, element("th", { scope: "row" }, model.name), element("td", {}, model.task), element("td", {}, model.revision),
  ));
  const head = element("tr", {}, ...["Model", "Task", "Revision"].map((name) => element("th", { scope: "col" }, name)));
  const state = ready.reason ?? "ready";
  result.replaceChildren(
    element("p", {}, `The server is ${state}; ${ready.queue.items} inputs are under way.`),
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
    element("p", {}, `Collections: ${found.collections.join(", ") || "none yet"}.`),
  );
}

function fill(choices) {
  const box = find("model");
  box.replaceChildren(...choices.map((choice) => element("option", { value: choice.name }, choice.name)));
  for (const option of box.options) {
    const choice = choices.find((each) => each.name === option.value);
    for (const name of ["task", "reader", "streams"]) option.dataset[name] = choice[name] ?? "";
  }
  find("send").disabled = !choices.length;
  if (!choices.length) {
    const what = kind === "search" ? "a collection (yet)" : wanted.join(" or ");
    result.replaceChildren(element("p", { class: "hint" }, `This server has no ${what}.`));
  }
  restore();
}

/** The fields of the form as values, by their ids. */
function values() {
  const found = {};
  for (const field of form.elements) {
    if (!field.id || field.tagName === "BUTTON") continue;
    found[field.id] = field.type === "checkbox" ? field.checked : field.value;
  }
  return found;
}

/** The state is in the fragment, which browsers do not send, so that texts do not get into logs. */
function keep() {
  history.replaceState(null, "", `#${new URLSearchParams(values())}`);
}

function restore() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const field = find(name);
    if (!field || !form.contains(field)) continue;
    if (field.type === "checkbox") field.checked = value === "true";
    else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
  }
}

const lines = (text) => text.split("\n").map((each) => each.trim()).filter(Boolean);

/** The path and the body that the form asks for. */
function request(given) {
  const chosen = find("model").selectedOptions[0];
  const task = chosen.dataset.task, path = `v1/models/${given.model}/${task}`;
  if (kind === "search") {
    if (given.read && chosen.dataset.reader) {
      return [`v1/collections/${given.model}:answer`, { question: given.text, max_answers: 3, mode: given.mode }, "answers"];
    }
    const body = { query: given.text, top_k: Number(given.count), mode: given.mode };
    return [`v1/collections/${given.model}:search`, body, "passages"];
  }
  if (kind === "zero-shot") {
    const options = { labels: lines(given.labels), multi_label: given.several };
    if (given.template) options.template = given.template;
    return [path, { input: given.text, options }, task];
  }
  if (kind === "answer") return [path, { input: { question: given.text, passage: given.passage } }, task];
  if (kind === "encode" && given.other) return [path, { inputs: [given.text, ...lines(given.other)], truncate: true }, "similar"];
  if (kind === "classify" && given.pair) return [path, { input: { text: given.text, pair: given.pair } }, task];
  if (kind === "generate") return [path, { input: given.text, stream: given.stream && chosen.dataset.streams === "true" }, "written"];
  return [path, { input: given.text, ...(kind === "encode" ? { truncate: true } : {}) }, task];
}

async function send(event) {
  event?.preventDefault();
  if (find("send").disabled || !form.reportValidity()) return;
  going?.abort();
  const mine = (going = new AbortController());
  const given = values(), [path, body, how] = request(given);
  keep();
  line.textContent = curl(path, body);
  raw.textContent = "";
  result.setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    const response = await ask(path, body, mine.signal);
    if (response.headers.get("content-type").startsWith("text/event-stream")) await streamed(response);
    else {
      const found = await response.json();
      raw.textContent = JSON.stringify(found, null, 2);
      result.replaceChildren(...elements(found, how, given, body));
    }
    tell(times(response), performance.now() - began);
  } catch (error) {
    if (error.name !== "AbortError") say(error);
  } finally {
    if (going === mine) result.setAttribute("aria-busy", "false");
  }
}

function elements(found, how, given, body) {
  if (how === "similar") {
    const [first, ...others] = found.results;
    const bad = found.results.find((each) => each.status !== 200);
    if (bad) throw new Problem(bad.status, bad.error);
    const texts = lines(given.other);
    const scored = others.map((other, place) => [texts[place], cosine(first.answer.vector, other.answer.vector)]);
    const rows = scored.sort((one, other) => other[1] - one[1]).map(([text, score]) => element(
      "tr", {}, element("td", {}, score.toFixed(4)), element("td", { dir: "auto" }, text),
    ));
    const head = element("tr", {}, element("th", { scope: "col" }, "Cosine"), element("th", { scope: "col" }, "Text"));
    return [element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))];
  }
  if (how === "written") return written(found.answer);
  const made = (show[how] ?? written)(found.answer ?? found, body);
  if (found.truncated) made.push(element("p", { class: "hint" }, "The end of the text was not read: it is too long."));
  return made;
}

async function streamed(response) {
  const text = element("p", { class: "text", dir: "auto" });
  result.replaceChildren(text);
  const all = [];
  for await (const { name, data } of events(response.body)) {
    all.push(`${name} ${JSON.stringify(data)}`);
    if (name === "token") text.append(data.text);
    if (name === "error") throw new Problem(500, data.error);
  }
  raw.textContent = all.join("\n");
}

function tell(stages, total) {
  const parts = Object.entries(stages).map(([name, value]) => `${name} ${value.toFixed(1)} ms`);
  spent.textContent = [...parts, `there and back ${total.toFixed(1)} ms`].join(", ");
}

form?.addEventListener("submit", send);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form) send(event);
});
for (const example of document.querySelectorAll("button[data-example]")) {
  example.addEventListener("click", () => {
    for (const [name, value] of Object.entries(JSON.parse(example.dataset.example))) find(name).value = value;
    send();
  });
}
find("stop")?.addEventListener("click", () => going?.abort());
if (!key()) find("key-part")?.setAttribute("hidden", "");
begin();
