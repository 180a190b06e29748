// Brings the parts of the page together.

import * as api from "./api.js";
import { Alerts, subjectOf } from "./alerts.js";
import { SEVERITIES, clock, element, familyName } from "./format.js";
import { Map2D } from "./map.js";
import { symbol } from "./marks.js";
import { Panel } from "./panel.js";

const $ = (id) => document.getElementById(id);
const MOST_FOUND = 12;
const NOTICES_EVERY = 15_000;

const devices = new Map();
const quantities = new Map();
let isLoaded = false;

const alerts = new Alerts({
  feed: $("feed"), filter: $("filter"), counts: $("counts"), said: $("said"), quantities, select: selectSubject,
  labelOf: ({ name }) => devices.get(name)?.label || name,
});
const map = new Map2D({ canvas: $("canvas"), tip: $("tip"), empty: $("map-empty"), legend: $("legend"), scale: $("scale"), unplaced: $("unplaced"),
  select: (name) => selectSubject({ kind: "device", name }) });
const panel = new Panel({ host: $("panel"), alertsOf: (name) => alerts.of(name), isEmpty: () => isLoaded && devices.size === 0,
  deviceOf: (id) => devices.get(id), select: selectSubject });

const feed = new api.Feed({
  connected: () => {
    showLink("live");
    loadDevices();
  },
  disconnected: () => showLink("reconnecting"),
  alert: (alert) => {
    alerts.take(alert);
    showAreas();
    if (subjectOf(alert).name === panel.subject?.name) panel.alertsChanged();
  },
  latest: (changed) => {
    for (const device of changed) devices.set(device.id, device);
    map.update(changed);
    for (const device of changed) panel.update(device);
    if (changed.some(({ id, position }) => position && !map.marks.has(id))) map.show(devices, isLoaded);
    if (!panel.subject) panel.showNothing();
  },
  reset: () => loadAlerts(),
});

async function loadDevices() {
  const { devices: list } = await api.devices();
  const isFirst = !isLoaded;
  devices.clear();
  for (const device of list) devices.set(device.id, device);
  isLoaded = true;
  map.show(devices, isLoaded);
  if (isFirst) {
    alerts.cards.clear();
    alerts.render();
    if (!panel.subject) panel.showNothing();
    openFromAddress();
  } else if (panel.subject?.kind === "device" && devices.has(panel.subject.name)) {
    panel.update(devices.get(panel.subject.name));
  }
}

async function loadAlerts() {
  const seq = await alerts.load();
  showAreas();
  return seq;
}

function showAreas() {
  const worst = new Map();
  for (const alert of alerts.active()) {
    const { kind, name } = subjectOf(alert);
    const known = worst.get(name);
    if (kind === "area" && (!known || SEVERITIES.indexOf(alert.severity) < SEVERITIES.indexOf(known))) worst.set(name, alert.severity);
  }
  map.markAreas(worst);
}

function selectSubject(subject, quantity) {
  const device = subject.kind === "device" ? devices.get(subject.name) : undefined;
  map.choose(subject.kind === "device" ? subject.name : null);
  map.reveal(subject.kind === "device" ? [subject.name] : [...devices.values()].filter(({ area }) => area === subject.name).map(({ id }) => id));
  panel.open(subject, device, quantity);
  history.replaceState(null, "", `#${subject.kind}/${encodeURIComponent(subject.name)}`);
  if (matchMedia("(max-width: 900px)").matches) showView("panel");
}

function openFromAddress() {
  const match = /^#(device|area)\/(.+)$/.exec(location.hash);
  if (!match) return;
  try {
    selectSubject({ kind: match[1], name: decodeURIComponent(match[2]) });
  } catch {
    // An address that can't be read opens nothing.
  }
}

function showView(view) {
  document.body.dataset.view = view;
  for (const button of document.querySelectorAll("nav [data-show]")) button.setAttribute("aria-pressed", button.dataset.show === view);
}

function showLink(state) {
  $("link").textContent = state;
  $("link").dataset.state = state;
}

class Search {
  constructor(input, list) {
    Object.assign(this, { input, list });
    this.index = -1;
    input.addEventListener("input", () => this.find());
    input.addEventListener("focus", () => this.find());
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    input.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, dialog")) return;
      event.preventDefault();
      input.focus();
    });
  }

  find() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? [...devices.values()].filter((device) => {
      const text = `${device.id} ${device.label} ${device.area} ${familyName(device.family)}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }) : [];
    this.found = found.slice(0, MOST_FOUND);
    this.index = this.found.length ? 0 : -1;
    const rows = this.found.map((device, index) => element("li", { role: "option", id: `found-${index}`, onpointerdown: (event) => {
      event.preventDefault();
      this.take(index);
    } }, symbol(device.family, device.state, device.severity), element("span", {}, device.label || device.id),
    element("span", { class: "dim" }, [device.label ? device.id : "", device.area].filter(Boolean).join(" · "))));
    if (words.length && !rows.length) rows.push(element("li", { class: "none" }, devices.size ? "No such device." : "No device yet."));
    if (found.length > MOST_FOUND) rows.push(element("li", { class: "none" }, `and ${found.length - MOST_FOUND} more`));
    this.list.replaceChildren(...rows);
    this.list.hidden = !words.length;
    this.input.setAttribute("aria-expanded", Boolean(words.length));
    this.mark();
  }

  mark() {
    [...this.list.children].forEach((row, index) => row.setAttribute("aria-selected", index === this.index));
    if (this.index >= 0) this.input.setAttribute("aria-activedescendant", `found-${this.index}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.key === "Escape") {
      this.input.value = "";
      this.close();
    } else if (event.key === "Enter" && this.index >= 0) this.take(this.index);
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && this.found?.length) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.index = (this.index + step + this.found.length) % this.found.length;
      this.mark();
      event.preventDefault();
    }
  }

  take(index) {
    const device = this.found[index];
    this.input.value = "";
    this.close();
    this.input.blur();
    selectSubject({ kind: "device", name: device.id });
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

new Search($("search"), $("found"));
for (const button of document.querySelectorAll("nav [data-show]")) button.addEventListener("click", () => showView(button.dataset.show));
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => ({ in: () => map.zoom(1.6), out: () => map.zoom(1 / 1.6), fit: () => map.fit() })[button.dataset.zoom]());
}
$("leave").addEventListener("click", api.leave);
addEventListener("hashchange", openFromAddress);
// What keeps the sinks themselves from working; the first in the bar, all of them in its tip.
async function showNotices() {
  const { notices } = await api.notices().catch(() => ({ notices: [] }));
  const texts = notices.map(({ source, text }) => `${source} ${text}`);
  $("notices").hidden = !texts.length;
  $("notices").textContent = texts.length > 1 ? `${texts[0]} (and ${texts.length - 1} more)` : texts[0] ?? "";
  $("notices").title = texts.join("\n");
}
setInterval(showNotices, NOTICES_EVERY);
const tick = () => { $("clock").textContent = clock(api.now()); };
setInterval(tick, 1000);

// Until the server answers, again and again: the page may be open before it is up.
async function start() {
  try {
    const [{ quantities: list }, { operator, has_login }] = await Promise.all([api.quantities(), api.session()]);
    $("leave").hidden = !has_login;
    $("leave").title = `Logged in as ${operator}`;
    for (const info of list) quantities.set(info.name, info);
    await loadDevices();
    feed.start(await loadAlerts());
    showNotices();
    tick();
  } catch (error) {
    showLink("reconnecting");
    setTimeout(start, 2000);
  }
}
start();
