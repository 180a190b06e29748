// The API, and the live feed with its resume.

const ROOT = "/api/v1";
// Without a word for so long, the connection is taken for dead: asking again costs nothing.
const SILENCE_MS = 45_000;

let skew = 0;

// The server's clock: ages are right on a machine whose clock is not.
export const now = () => Date.now() + skew;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, options) {
  const response = await fetch(ROOT + path, { credentials: "same-origin", ...options });
  if (response.status === 401) {
    location.assign("/login");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    const error = body?.error;
    throw new ApiError(response.status, error?.code ?? "failed", error?.message ?? `HTTP ${response.status}`);
  }
  if (typeof body?.now === "number") skew = body.now - Date.now();
  return body;
}

const query = (parameters) => {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return new URLSearchParams(kept).toString();
};

export const session = () => ask("/session");
export const leave = () => fetch("/logout", { method: "POST" }).finally(() => location.assign("/login"));
export const quantities = () => ask("/quantities");
export const notices = () => ask("/notices");
export const devices = () => ask("/devices");
export const device = (id) => ask(`/devices/${encodeURIComponent(id)}`);
export const area = (id) => ask(`/areas/${encodeURIComponent(id)}`);
export const series = (parameters, signal) => ask(`/series?${query(parameters)}`, { signal });
export const alerts = (parameters) => ask(`/alerts?${query(parameters)}`);
export const quarantine = (id) => ask(`/quarantine?${query({ device: id, limit: 20 })}`);
export const acknowledge = (id, note) =>
  ask("/alerts/acknowledge", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id, note }),
  });

// Follows the feed from `after` on. The browser resumes by itself after a cut; this looks after the rest: refusals,
// and connections that died without saying so.
export class Feed {
  constructor(handlers) {
    this.handlers = handlers;
    this.after = 0;
    this.tries = 0;
    this.heard = Date.now();
    setInterval(() => this.check(), 5000);
    document.addEventListener("visibilitychange", () => this.check());
  }

  start(after) {
    this.after = after;
    this.open();
  }

  open() {
    this.source?.close();
    const source = new EventSource(`${ROOT}/feed?after=${this.after}`);
    this.source = source;
    this.heard = Date.now();
    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        this.heard = Date.now();
        handle(event);
      });
    on("open", () => {
      this.tries = 0;
      this.handlers.connected();
    });
    on("alert", (event) => {
      const seq = Number(event.lastEventId);
      if (seq <= this.after) return;
      this.after = seq;
      this.handlers.alert(JSON.parse(event.data));
    });
    on("latest", (event) => {
      const { now, devices } = JSON.parse(event.data);
      skew = now - Date.now();
      this.handlers.latest(devices);
    });
    on("reset", (event) => {
      this.after = Number(event.lastEventId);
      this.handlers.reset();
    });
    on("error", () => {
      this.handlers.disconnected();
      if (source.readyState === EventSource.CLOSED) this.later();
    });
  }

  later() {
    clearTimeout(this.timer);
    this.tries += 1;
    this.timer = setTimeout(() => this.open(), Math.min(30_000, 1000 * 2 ** Math.min(this.tries, 5)));
  }

  check() {
    const isOpen = this.source?.readyState === EventSource.OPEN;
    if (isOpen && !document.hidden && Date.now() - this.heard > SILENCE_MS) this.open();
  }
}
