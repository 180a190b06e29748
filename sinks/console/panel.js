// What is known of one device or area: its values, a curve, its alerts, and what of it was refused.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { ago, at, element, familyName, quantityName, span, withUnit } from "./format.js";
import { stateName, symbol } from "./marks.js";

const RANGES = [["1 h", 3_600_000], ["6 h", 21_600_000], ["24 h", 86_400_000], ["All", null]];
const FLAGS = { good: "good", not_evaluated: "not checked", suspect: "suspect", bad: "bad", missing: "missing" };
const FIRST_CHOICE = ["iaqi_pm2_5", "pm2_5", "speed", "rainfall_3h", "rainfall", "vibration", "water_level", "tag_reads", "temperature"];

export class Panel {
  constructor({ host, alertsOf, isEmpty, deviceOf, select }) {
    Object.assign(this, { host, alertsOf, isEmpty, deviceOf, select });
    this.range = 6 * 3_600_000;
    this.subject = null;
    this.showNothing();
    setInterval(() => this.tick(), 1000);
  }

  showNothing() {
    const text = this.isEmpty() ? "Values and charts appear here once a device is registered and has published."
      : "Choose a device: on the map, in an alert, or with the search box.";
    if (this.host.textContent !== text) this.host.replaceChildren(element("p", { class: "empty" }, text));
  }

  // `subject`: { kind: "device" | "area", name }. `device`: what the list knows already.
  async open(subject, device, quantity) {
    const isOther = this.subject?.name !== subject.name || this.subject?.kind !== subject.kind;
    this.subject = subject;
    this.device = device ?? null;
    if (isOther) {
      this.series = [];
      this.quantity = null;
      this.build();
    }
    if (device) this.showDevice();
    if (quantity) this.choose(quantity);
    await this.describe(quantity);
  }

  // What the store has of it, and what was refused.
  async describe(quantity) {
    const { subject } = this;
    try {
      const described = subject.kind === "device" ? await api.device(subject.name) : await api.area(subject.name);
      if (this.subject !== subject) return;
      this.series = described.series;
      if (subject.kind === "device") {
        this.device = described;
        this.showRefused(await api.quarantine(subject.name));
      } else {
        this.parts.about.textContent = `Area with ${described.devices.length} device${described.devices.length === 1 ? "" : "s"}`;
        this.showMembers(described.devices);
      }
      this.showDevice();
      this.choose(quantity ?? this.quantity ?? this.firstChoice());
    } catch (error) {
      if (this.subject === subject) this.parts.about.textContent = error.message;
    }
  }

  build() {
    const title = element("h2", {}, this.subject.name);
    const mark = element("span", { class: "mark-place" });
    const about = element("p", { class: "about" });
    const values = element("table", { class: "values" });
    const plot = element("div", { class: "plot" });
    const reading = element("p", { class: "reading" });
    const name = element("h3", { class: "curve-name" });
    const ranges = element("div", { class: "choice", role: "group", "aria-label": "Time range" }, ...RANGES.map(([label, ms]) =>
      element("button", { type: "button", "data-ms": ms ?? "all", onclick: () => this.setRange(ms) }, label)));
    const refused = element("details", { class: "refused", hidden: true });
    const members = element("ul", { class: "members" });
    this.parts = { members, title, mark, about, values, plot, reading, name, ranges, refused };
    this.chart?.clear();
    this.chart = new Chart(plot);
    this.chart.onread = (text) => { reading.textContent = text; };
    this.host.replaceChildren(
      element("div", { class: "top" }, mark, element("div", {}, title, about)),
      element("div", { class: "body" },
        element("div", { class: "left" }, values, members, refused),
        element("div", { class: "right" }, element("div", { class: "bar" }, name, reading, ranges), plot)));
    this.markRange();
  }

  // The device has changed.
  update(device) {
    if (this.subject?.kind !== "device" || this.subject.name !== device.id) return;
    this.device = { ...this.device, ...device };
    this.showDevice();
    if (!this.quantity) this.choose(this.firstChoice());
    this.isStale = true;
  }

  alertsChanged() {
    if (this.subject) this.isStale = true;
  }

  showDevice() {
    const { device, parts } = this;
    if (this.subject.kind === "area") {
      this.showValues(this.windowed().map(({ quantity, unit }) => ({ quantity, unit })));
      return;
    }
    if (!device) return;
    parts.title.textContent = device.label || device.id;
    parts.mark.replaceChildren(symbol(device.family, device.state, device.severity));
    parts.about.textContent = this.about();
    this.showValues(device.latest);
  }

  about() {
    const { device } = this;
    const facts = [device.label ? device.id : null, familyName(device.family), device.area || null];
    if (!device.is_registered) facts.push("not registered");
    if (!device.is_enabled) facts.push("disabled");
    if (device.ingest_time === null) facts.push("has never spoken");
    else {
      const every = device.interval_ms ? `every ${span(device.interval_ms)}` : null;
      facts.push(`${device.is_late ? "silent" : stateName("ok")}${every && !device.is_late ? ` ${every}` : ""}, last heard ${ago(api.now() - device.ingest_time)}`);
    }
    if (device.severity) facts.push(`${device.alerts} active alert${device.alerts === 1 ? "" : "s"}, worst ${device.severity}`);
    return facts.filter(Boolean).join(" · ");
  }

  showValues(latest) {
    const { values } = this.parts;
    this.rows ??= new Map();
    if (values.rows.length === 0) this.rows.clear();
    for (const value of latest) this.row(value);
    for (const [quantity, row] of this.rows) {
      if (!latest.some((value) => value.quantity === quantity)) {
        row.node.remove();
        this.rows.delete(quantity);
      }
    }
    const isBare = !latest.length && !values.rows.length && this.subject.kind === "device";
    if (isBare) values.replaceChildren(element("caption", { class: "empty" }, "No values yet."));
    else values.querySelector("caption")?.remove();
  }

  row(value) {
    let row = this.rows.get(value.quantity);
    if (!row) {
      const button = element("button", { type: "button", onclick: () => this.choose(value.quantity) }, quantityName(value.quantity));
      const [number, quality, age] = [element("td", { class: "number" }), element("td", { class: "quality" }), element("td", { class: "age" })];
      const node = element("tr", {}, element("th", { scope: "row" }, button), number, quality, age);
      row = { node, button, number, quality, age };
      this.rows.set(value.quantity, row);
      this.parts.values.append(node);
      node.classList.toggle("chosen", this.quantity === value.quantity);
    }
    if (value.value === undefined) return;
    row.number.textContent = withUnit(value.value, value.decimals, value.unit);
    row.quality.className = `quality ${value.flag}`;
    row.quality.textContent = value.flag === "good" ? "" : [FLAGS[value.flag], ...value.tests].join(": ");
    row.quality.title = `Quality: ${FLAGS[value.flag]}`;
    row.event = value.event_time;
    row.age.textContent = ago(api.now() - value.event_time);
    row.age.title = at(value.event_time, 0);
  }

  firstChoice() {
    const known = new Set([...(this.device?.latest ?? []).map(({ quantity }) => quantity), ...this.series.map(({ quantity }) => quantity)]);
    const active = this.alertsOf(this.subject.name).filter((alert) => alert.state !== "cleared").map(({ quantity }) => quantity);
    return [...active, ...FIRST_CHOICE].find((quantity) => known.has(quantity)) ?? [...known][0] ?? null;
  }

  choose(quantity) {
    if (!quantity) return this.showNoCurve();
    this.quantity = quantity;
    for (const [name, row] of this.rows ?? []) {
      row.node.classList.toggle("chosen", name === quantity);
      row.button.setAttribute("aria-pressed", name === quantity);
    }
    this.parts.name.textContent = quantityName(quantity);
    this.draw();
  }

  setRange(ms) {
    this.range = ms;
    this.markRange();
    if (this.quantity) this.draw();
  }

  markRange() {
    for (const button of this.parts.ranges.children) button.setAttribute("aria-pressed", button.dataset.ms === String(this.range ?? "all"));
  }

  windowed() {
    const seen = new Map();
    for (const info of this.series) {
      const known = seen.get(info.quantity);
      if (info.window_ms !== null && (!known || info.window_ms < known.window_ms)) seen.set(info.quantity, info);
    }
    return [...seen.values()];
  }

  // Raw values where there are any; else the shortest windows.
  source() {
    const infos = this.series.filter(({ quantity }) => quantity === this.quantity);
    const raw = infos.find(({ window_ms }) => window_ms === null);
    const latest = this.device?.latest.find(({ quantity }) => quantity === this.quantity);
    const info = raw ?? this.windowed().find(({ quantity }) => quantity === this.quantity);
    return { info, window_ms: raw ? null : info?.window_ms ?? latest?.window_ms ?? null };
  }

  async draw() {
    this.isStale = false;
    this.drawnAt = Date.now();
    this.asking?.abort();
    this.asking = new AbortController();
    const { subject, quantity, range } = this;
    const { info, window_ms } = this.source();
    const end = api.now();
    const from = range === null ? (info?.first ?? 0) - 1 : end - range;
    try {
      const curve = await api.series({
        [subject.kind]: subject.name, quantity, from: Math.floor(from), to: Math.floor(end + 60_000),
        max_points: Math.max(100, Math.min(2000, this.parts.plot.clientWidth)), window: window_ms ? `${window_ms}ms` : undefined,
      }, this.asking.signal);
      if (this.subject !== subject || this.quantity !== quantity || this.range !== range) return;
      this.showCurve(curve, from, end);
    } catch (error) {
      if (error.name !== "AbortError") this.showMessage(`No curve: ${error.message}`);
    }
  }

  showCurve(curve, from, end) {
    if (!curve.t.length) return this.showNoCurve();
    this.message?.remove();
    const isAll = this.range === null;
    const last = curve.t[curve.t.length - 1] + (curve.width_ms ?? 0);
    const pad = isAll ? Math.max(1000, (last - curve.t[0]) * 0.02) : 0;
    const range = isAll ? [curve.t[0] - pad, last + pad] : [from, end];
    this.chart.show(curve, this.spans(end), range);
  }

  spans(end) {
    const alerts = this.alertsOf(this.subject.name).filter(({ quantity }) => this.isAbout(quantity));
    return alerts.map((alert) => ({
      from: alert.opened_at,
      to: alert.state === "cleared" ? alert.cleared_at ?? alert.at : end,
      severity: alert.severity,
    }));
  }

  // An index is computed from its quantity, so an alert about one is about the other.
  isAbout(quantity) {
    return quantity === this.quantity || quantity === `iaqi_${this.quantity}` || `iaqi_${quantity}` === this.quantity
      || quantity.startsWith(`${this.quantity}_`);
  }

  showNoCurve() {
    this.parts.name.textContent = this.quantity ? quantityName(this.quantity) : "";
    const { info } = this.source();
    if (!info && this.subject.kind === "area") return this.showMessage("No values are kept of this area itself. Choose one of its devices.");
    if (!info || this.range === null) return this.showMessage("No values yet.");
    this.showMessage(`No values in this time. The newest is of ${at(info.last, api.now())}. `,
      element("button", { type: "button", onclick: () => this.setRange(null) }, "Show all"));
  }

  showMessage(...text) {
    this.chart.clear();
    this.message?.remove();
    this.message = element("p", { class: "empty" }, ...text);
    this.parts.plot.append(this.message);
  }

  showMembers(ids) {
    const members = ids.map((id) => this.deviceOf(id)).filter(Boolean);
    this.parts.members.replaceChildren(...members.map((device) => element("li", {},
      element("button", { type: "button", onclick: () => this.select({ kind: "device", name: device.id }) },
        symbol(device.family, device.state, device.severity), device.label || device.id))));
  }

  showRefused({ quarantine }) {
    const { refused } = this.parts;
    refused.hidden = quarantine.length === 0;
    if (!quarantine.length) return;
    refused.replaceChildren(element("summary", {}, `${quarantine.length === 20 ? "20 or more" : quarantine.length} refused payload${quarantine.length === 1 ? "" : "s"}`),
      element("ul", {}, ...quarantine.map((one) => element("li", {},
        element("b", {}, one.reason.replace(/_/g, " ")), ` ${at(one.ingest_time, api.now())} on `, element("code", {}, one.topic_name),
        element("p", {}, one.detail), element("pre", {}, one.text ?? one.hex)))));
  }

  tick() {
    if (!this.subject) return;
    for (const row of this.rows?.values() ?? []) if (row.event) row.age.textContent = ago(api.now() - row.event);
    if (this.device) this.parts.about.textContent = this.about();
    // Short ranges move visibly; a day does not change within a few seconds.
    const patience = this.range !== null && this.range <= 3_600_000 ? 1000 : this.range !== null && this.range <= 21_600_000 ? 5000 : 30_000;
    if (this.isStale && this.quantity && Date.now() - this.drawnAt >= patience && !document.hidden) this.draw();
  }
}
