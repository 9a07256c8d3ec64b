// The description of the routes, as the server itself gives it.

import { ask, address } from "./api.js";
import { element } from "./render.js";

const place = document.getElementById("routes");

try {
  const page = await (await ask("openapi.json")).json();
  for (const [path, methods] of Object.entries(page.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      const parts = [element("h2", {}, `${method.toUpperCase()} ${path}`), element("p", {}, about.summary)];
      const body = about.requestBody?.content["application/json"];
      for (const { value } of Object.values(body?.examples ?? {})) {
        const text = JSON.stringify(value).replaceAll("'", "'\\''");
        parts.push(element("pre", { tabindex: 0 }, `curl ${address(path.slice(1))} -H 'Content-Type: application/json' -d '${text}'`));
      }
      if (body) {
        const schema = element("pre", { tabindex: 0 }, JSON.stringify(body.schema, null, 2));
        parts.push(element("details", {}, element("summary", {}, "Schema of the body"), schema));
      }
      const rows = Object.entries(about.responses).map(([code, answer]) => element(
        "tr", {}, element("th", { scope: "row" }, code), element("td", {}, answer.description),
      ));
      parts.push(element("table", {}, element("tbody", {}, ...rows)));
      place.append(element("section", {}, ...parts));
    }
  }
} catch (error) {
  const hint = error.status === 401 ? " The home page asks for the key." : "";
  place.append(element("p", { class: "problem" }, error.message + hint));
}
