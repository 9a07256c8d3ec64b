// Asks the server this page came from. The key stays in this tab.

const root = new URL("../", import.meta.url);

export class Problem extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.field = error?.field ?? null;
    this.hint = error?.hint ?? null;
  }
}

export function key() {
  return sessionStorage.getItem("spago-key") ?? "";
}

export function setKey(value) {
  if (value) sessionStorage.setItem("spago-key", value);
  else sessionStorage.removeItem("spago-key");
}

export function address(path) {
  return new URL(path, root).href;
}

/** Asks, and returns the response where it is one of success. */
export async function ask(path, body, signal) {
  const headers = {};
  if (key()) headers.Authorization = `Bearer ${key()}`;
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(address(path), options);
  if (!response.ok) {
    const found = await response.json().catch(() => ({}));
    throw new Problem(response.status, found.error);
  }
  return response;
}

/** The line of a shell that asks the same; it names the key and does not show it. */
export function curl(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const auth = key() ? ` \\\n  -H "Authorization: Bearer $SPAGO_KEY"` : "";
  return `curl ${address(path)}${auth} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}

/** Where the time went, from the header of an answer. */
export function times(response) {
  const found = {};
  for (const part of (response.headers.get("server-timing") ?? "").split(", ")) {
    const [name, value] = part.split(";dur=");
    if (value) found[name] = Number(value);
  }
  return found;
}
